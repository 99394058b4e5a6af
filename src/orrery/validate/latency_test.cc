#include "orrery/validate/latency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orrery/base/error.h"

namespace orrery::validate {
namespace {

using testing::HasSubstr;

LatencyScores scores_of(const char* gpu, const char* what, double mean) {
  LatencyScores s;
  s.gpu = gpu;
  s.what = what;
  s.setting = "GPU left out";
  s.rows = 100;
  s.mean = mean;
  s.median = 0.05;
  s.coverage = 0.9;
  s.width = 0.19;
  return s;
}

TEST(LatencyValidation, a_target_is_met_when_the_error_is_a_quarter_below_the_prototype) {
  bool met = false;
  const LatencyScores good[] = {scores_of("l40s", "fp8 GEMM", 0.187)};
  const report::Table table = measured_table(good, {}, &met);
  EXPECT_TRUE(met);
  ASSERT_EQ(table.rows.size(), 2u);  // the error and the band
  const LatencyScores bad[] = {scores_of("l40s", "fp8 GEMM", 0.19)};
  measured_table(bad, {}, &met);
  EXPECT_FALSE(met);
}

TEST(LatencyValidation, a_band_fails_by_coverage_and_by_width) {
  LatencyScores s = scores_of("L40S", "fp8 GEMM", 0.1);
  bool met = true;
  s.coverage = 0.97;
  measured_table(std::span(&s, 1), {}, &met);
  EXPECT_FALSE(met);
  s.coverage = 0.9;
  s.width = 0.21;
  measured_table(std::span(&s, 1), {}, &met);
  EXPECT_FALSE(met);
}

TEST(LatencyValidation, a_speed_is_met_below_its_limit) {
  bool met = false;
  const SpeedResult speeds[] = {{"one", 0.5e-3, 1e-3, 0.4e-3}};
  EXPECT_THAT(report::to_markdown(measured_table({}, speeds, &met)),
              HasSubstr("0.5 ms (0.4 ms of processor)"));
  EXPECT_TRUE(met);
}

TEST(LatencyValidation, an_unknown_part_and_missing_data_are_said) {
  try {
    validate_latency({.parts = {"gem"}, .data_folder = {}, .program = {}}, {});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("gemm"));
  }
  EXPECT_THROW(validate_latency({}, {}), NotFound);
}

TEST(LatencyScoresOfRows, errors_bias_and_coverage_by_hand) {
  const std::vector<TimedRow> rows = {{1.1e-5, 1e-5, 0.9e-5, 1.2e-5}, {0.8e-3, 1e-3, 0.7e-3, 0.9e-3}};
  const LatencyScores s = score(rows);
  EXPECT_NEAR(s.mean, 0.15, 1e-9);
  EXPECT_NEAR(s.bias, -0.05, 1e-9);
  EXPECT_NEAR(s.weighted, (1e-6 + 2e-4) / 1.01e-3, 1e-9);
  EXPECT_DOUBLE_EQ(s.coverage, 0.5);
  EXPECT_NEAR(s.size_class[0], 0.1, 1e-9);
  EXPECT_NEAR(s.size_class[3], 0.2, 1e-9);
  EXPECT_EQ(s.points.size(), 2u);
}

}  // namespace
}  // namespace orrery::validate
