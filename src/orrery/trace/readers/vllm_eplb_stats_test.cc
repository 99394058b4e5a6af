#include "orrery/trace/readers/vllm_eplb_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orrery/base/test_support.h"

namespace orrery::trace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kRecord =
    R"({"record_type": "eplb_load_stats", "version": 1, "step": 7, "num_ranks": 2, "expert_load": [[10, 1, 5, 2], [2, 8, 1, 3]], "p2l_map": [[0, 1, 2, 0], [2, 1, 0, 0]]})";

TEST(VllmEplbStats, loads_of_slots_become_loads_of_experts) {
  ExpertRecording recording = parse_vllm_eplb_stats(R"({"record_type": "session_metadata"})"
                                                    "\n\n" +
                                                        kRecord + "\n",
                                                    "s.jsonl");
  EXPECT_EQ(recording.layers, 2);
  EXPECT_EQ(recording.experts, 3);
  ASSERT_EQ(recording.steps.size(), 1u);
  EXPECT_EQ(recording.steps[0].id, 7);
  EXPECT_THAT(recording.steps[0].tokens, ElementsAre(12, 1, 5, 4, 8, 2));
  EXPECT_EQ(recording.slot_to_expert[1], (std::vector<int>{2, 1, 0, 0}));
}

TEST(VllmEplbStats, lines_of_one_step_add_up) {
  ExpertRecording recording = parse_vllm_eplb_stats(kRecord + "\n" + kRecord, "s.jsonl");
  ASSERT_EQ(recording.steps.size(), 1u);
  EXPECT_THAT(recording.steps[0].tokens, ElementsAre(24, 2, 10, 8, 16, 4));
}

TEST(VllmEplbStats, errors_name_file_line_and_column) {
  auto refused = [](const std::string& text) {
    return error_of([&] { parse_vllm_eplb_stats(text, "s.jsonl"); });
  };
  EXPECT_THAT(refused(kRecord + "\n{"), StartsWith("s.jsonl:2:"));
  EXPECT_THAT(refused(""), HasSubstr("s.jsonl: no eplb_load_stats line"));
  EXPECT_THAT(refused("{}"), StartsWith("s.jsonl:1:1: record_type is missing"));
  std::string other = kRecord;
  other.replace(other.find("[2, 1, 0, 0]"), 12, "[2, 1, 9, 0]");
  EXPECT_THAT(refused(kRecord + "\n" + other), StartsWith("s.jsonl:2:"));
  other = kRecord;
  other.replace(other.find("[2, 8, 1, 3]"), 12, "[2, 8, -1, 3]");
  EXPECT_THAT(refused(other), StartsWith("s.jsonl:1:"));
  other = kRecord;
  other.replace(other.find(", [2, 8, 1, 3]"), 14, "");
  EXPECT_THAT(refused(other), HasSubstr("p2l_map has 2 layers, expert_load 1"));
  other = kRecord;
  other.replace(other.find("\"step\": 7"), 9, "\"step\": 6");
  EXPECT_THAT(refused(kRecord + "\n" + other), HasSubstr("step 6 follows step 7"));
}

}  // namespace
}  // namespace orrery::trace
