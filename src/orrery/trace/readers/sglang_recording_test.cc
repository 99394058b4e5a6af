// The recordings in testdata are written by PyTorch in the recorder's layout:
// bench/experts/make_recordings.py.
#include "orrery/trace/readers/sglang_recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"
#include "orrery/trace/readers/test_support.h"

namespace orrery::trace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kData = std::string(ORRERY_SOURCE_DIR) + "/src/orrery/trace/readers/testdata/";

ExpertRecording read(std::vector<std::string> names) {
  for (std::string& name : names) name = kData + name;
  return read_sglang_recording(names);
}

TEST(SglangRecording, stat_keeps_steps_and_leaves_out_idle_steps_and_layers_without_experts) {
  ExpertRecording recording = read({"stat.pt"});
  EXPECT_EQ(recording.layers, 2);
  EXPECT_EQ(recording.experts, 4);
  EXPECT_THAT(recording.model_layer, ElementsAre(1, 2));
  ASSERT_EQ(recording.steps.size(), 2u);
  EXPECT_THAT(recording.steps[0].tokens, ElementsAre(5, 1, 0, 2, 2, 2, 2, 2));
  EXPECT_THAT(recording.steps[1].tokens, ElementsAre(1, 7, 0, 0, 3, 3, 1, 1));
  EXPECT_EQ(recording.empty_steps, 1u);
  EXPECT_EQ(recording.top_k, 0);
  EXPECT_EQ(recording.format, "SGLang recorder, stat, 1 file");
}

TEST(SglangRecording, two_dimensions_are_one_step) {
  ExpertRecording recording = read({"stat-one-step.pt"});
  ASSERT_EQ(recording.steps.size(), 1u);
  EXPECT_THAT(recording.steps[0].tokens, ElementsAre(5, 1, 0, 2, 2, 2, 2, 2));
}

TEST(SglangRecording, ranks_add_up_pass_by_pass_and_slots_become_experts) {
  ExpertRecording both = read({"per-pass-rank0.pt", "per-pass-rank1.pt"}),
                  swapped = read({"per-pass-rank1.pt", "per-pass-rank0.pt"});
  ExpertRecording zero = read({"per-pass-rank0.pt"}), one = read({"per-pass-rank1.pt"});
  ASSERT_EQ(both.steps.size(), 2u);
  EXPECT_EQ(both.steps[0].id, 11);
  EXPECT_EQ(both.steps[1].id, 12);
  for (size_t step = 0; step < 2; ++step) {
    EXPECT_EQ(both.steps[step].tokens, swapped.steps[step].tokens);
    for (size_t i = 0; i < both.steps[step].tokens.size(); ++i)
      EXPECT_EQ(both.steps[step].tokens[i], zero.steps[step].tokens[i] + one.steps[step].tokens[i]);
    // 3 tokens of rank 0 and 4 of rank 1, two choices each, in each of two layers
    EXPECT_EQ(std::accumulate(both.steps[step].tokens.begin(), both.steps[step].tokens.end(), uint64_t{0}),
              2u * 2 * 7);
  }
  EXPECT_EQ(both.slot_to_expert, (std::vector<std::vector<int>>{{3, 2, 1, 0, 0, 3}, {1, 1, 0, 2, 3, 2}}));
  EXPECT_THAT(both.format, HasSubstr("per_pass, 2 files"));
}

TEST(SglangRecording, choices_of_tokens_agree_with_the_counts_beside_them) {
  ExpertRecording recording = read({"per-token-rank1.pt", "per-token-rank0.pt"});
  EXPECT_EQ(recording.top_k, 2);
  EXPECT_EQ(recording.tokens(), 14u);
  EXPECT_EQ(recording.incomplete_tokens, 0u);
  EXPECT_THAT(recording.format, HasSubstr("per_token"));
  std::vector<std::vector<uint64_t>> counted(2, std::vector<uint64_t>(8));
  for (size_t token = 0; token < recording.tokens(); ++token) {
    for (size_t layer = 0; layer < 2; ++layer) {
      for (size_t r = 0; r < 2; ++r) {
        int expert = recording.chosen[(token * 2 + layer) * 2 + r];
        ++counted[recording.step_of_token[token]][layer * 4 + static_cast<size_t>(expert)];
      }
    }
  }
  EXPECT_EQ(counted[0], recording.steps[0].tokens);
  EXPECT_EQ(counted[1], recording.steps[1].tokens);
}

TEST(SglangRecording, forward_modes_tell_prefill_from_decode) {
  const ExpertRecording recording = read({"per-token-phases.pt"});
  const Phase p = Phase::Prefill, d = Phase::Decode;
  EXPECT_THAT(recording.phase_of_token, ElementsAre(p, p, p, d, d, p, p, d, d));
  EXPECT_THAT(recording.step_of_token, ElementsAre(0, 0, 0, 1, 1, 2, 2, 2, 2));
  EXPECT_TRUE(read({"per-pass-rank0.pt", "per-pass-rank1.pt"}).phase_of_token.empty());
}

TEST(SglangRecording, what_contradicts_itself_is_refused) {
  EXPECT_THAT(error_of([] {
                read({"per-pass-rank0.pt", "per-pass-rank0.pt"});
              }),
              HasSubstr("pass 11 of rank 0 stands twice"));
  EXPECT_THAT(error_of([] { read({"stat.pt", "per-pass-rank0.pt"}); }), HasSubstr("files of one recording"));
  auto refused = [](const std::string& pickle) {
    return error_of([&] {
      read_sglang_recording(std::vector<RecordingFile>{{torch_file_of(pickle), "x.pt"}});
    });
  };
  EXPECT_THAT(refused("N."), HasSubstr("x.pt: expected a recording of SGLang's"));
  EXPECT_THAT(refused("}Vrecords\n]s."), HasSubstr("last_physical_to_logical_map is missing"));
  EXPECT_THAT(refused("}Vlogical_count\nI1\ns."), HasSubstr("expected a tensor, found the number 1"));
  EXPECT_THAT(refused("cos\nsystem\n."), HasSubstr("x.pt: data.pkl at byte 0: asks for 'os.system'"));
  EXPECT_THAT(error_of([] { read_sglang_recording(std::vector<std::string>{"/nowhere.pt"}); }),
              HasSubstr("/nowhere.pt"));
}

}  // namespace
}  // namespace orrery::trace
