#include "orrery/trace/readers/recording_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orrery/base/test_support.h"

namespace orrery::trace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kData = std::string(ORRERY_SOURCE_DIR) + "/src/orrery/trace/readers/testdata/";

TEST(RecordingProfile, a_recording_of_counts_gives_loads_and_steps) {
  RoutingProfile profile = read_routing(kData + "stat.pt");
  EXPECT_EQ(profile.experts, 4);
  EXPECT_THAT(profile.layer_ids, ElementsAre(1, 2));
  EXPECT_THAT(profile.load[0], ElementsAre(6, 8, 0, 2));
  ASSERT_EQ(profile.steps.size(), 2u);
  EXPECT_THAT(profile.steps[1], ElementsAre(1, 7, 0, 0, 3, 3, 1, 1));
  EXPECT_TRUE(profile.transition.empty());
  EXPECT_EQ(profile.tokens, nullptr);
}

TEST(RecordingProfile, the_files_of_all_ranks_in_a_folder_are_one_recording) {
  TemporaryFolder folder("recording");
  for (const char* name : {"per-token-rank0.pt", "per-token-rank1.pt"})
    std::filesystem::copy_file(kData + name, folder.file(name));
  RoutingProfile profile = read_routing(folder.path());
  ASSERT_TRUE(profile.tokens);
  EXPECT_EQ(profile.tokens->tokens(), 14u);
  EXPECT_EQ(profile.top_k, 2);
  EXPECT_EQ(profile.total(0), 28);
  EXPECT_EQ(profile.steps.size(), 2u);
  EXPECT_EQ(profile.transition.size(), 1u);
}

TEST(RecordingProfile, vllm_load_statistics_are_told_by_their_record_type) {
  RoutingProfile profile = parse_routing(
      R"({"record_type": "eplb_load_stats", "step": 1, "expert_load": [[3, 1]], "p2l_map": [[1, 0]]})"
      "\n",
      "s.jsonl", {});
  EXPECT_THAT(profile.load[0], ElementsAre(1, 3));
}

TEST(RecordingProfile, what_is_wrong_names_the_file) {
  TemporaryFolder empty("no_recording");
  EXPECT_THAT(error_of([&] { read_routing(empty.path()); }), HasSubstr("no .pt file"));
  EXPECT_THAT(error_of([&] { read_routing(kData + "stat.pt", {.experts = 8}); }),
              HasSubstr("4 experts a layer; expected 8"));
}

}  // namespace
}  // namespace orrery::trace
