#include "orrery/validate/latency_fp8.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace orrery::validate {
namespace {

TEST(LatencyFp8, left_out_gpus_and_families_stay_within_the_asked_errors) {
  const char* data = std::getenv("ORRERY_DATA");
  if (data == nullptr) GTEST_SKIP() << "ORRERY_DATA names no folder with the measured data";
  const auto scores = evaluate_fp8(data, hardware::Catalogue::shipped(), 2);
  for (const LatencyScores& s : scores) {
    if (s.what != "fp8 GEMM") continue;
    const bool hopper = s.gpu.find("H100") != std::string::npos;
    if (s.setting == "GPU left out") {
      EXPECT_LT(s.mean, hopper ? .127 : .187) << s.gpu;
      EXPECT_LT(s.mean, s.copy);
      EXPECT_LT(s.mean, s.copy_scaled);
      EXPECT_GT(s.coverage, .85) << s.gpu;
    } else {
      EXPECT_LT(s.mean, hopper ? .044 : .067) << s.gpu;
    }
    EXPECT_GT(s.rank, .98) << s.gpu;
  }
  EXPECT_EQ(fp8_tables(scores).front().rows.size(), scores.size());
}

}  // namespace
}  // namespace orrery::validate
