#include "orrery/validate/latency_gemm.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace orrery::validate {
namespace {

TEST(ValidateGemm, beats_both_copies_on_every_gpu_left_out) {
  const char* folder = std::getenv("ORRERY_DATA");
  if (folder == nullptr) GTEST_SKIP() << "needs the measured rows: set ORRERY_DATA";
  const std::vector<LatencyScores> scores = evaluate_gemm(folder, 2);
  ASSERT_EQ(scores.size(), 6u);
  for (const LatencyScores& s : scores) {
    EXPECT_GT(s.rank, .99) << s.gpu << " " << s.setting;
    if (s.setting != "GPU left out") continue;
    EXPECT_LT(s.mean, .125) << s.gpu;
    EXPECT_LT(s.mean, s.copy) << s.gpu;
    EXPECT_LT(s.mean, s.copy_scaled) << s.gpu;
  }
  EXPECT_FALSE(gemm_tables(scores).front().rows.empty());
}

}  // namespace
}  // namespace orrery::validate
