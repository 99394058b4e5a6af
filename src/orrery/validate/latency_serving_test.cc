#include "orrery/validate/latency_serving.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace orrery::validate {
namespace {

TEST(MeasuredServing, time_per_output_token_and_prefill_time_are_within_twelve_percent) {
  const char* data = std::getenv("ORRERY_DATA");
  if (!data) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured data";
  std::vector<ServingScores> scores = evaluate_serving(data);
  std::fputs(report::to_markdown(serving_table(scores)).c_str(), stdout);
  for (const ServingScores& s : scores) {
    if (s.predictor != "default") continue;
    EXPECT_LE(s.tpot_error, 0.12) << s.gpu;
    EXPECT_LE(s.prefill_error, 0.12) << s.gpu;
  }
}

}  // namespace
}  // namespace orrery::validate
