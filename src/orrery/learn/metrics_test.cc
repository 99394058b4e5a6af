#include "orrery/learn/metrics.h"

#include <gtest/gtest.h>

#include "orrery/base/random.h"

namespace orrery::learn {
namespace {

const std::vector<double> kPredicted = {11, 8, 30, 100}, kMeasured = {10, 10, 30, 200};

TEST(Metrics, worked_values) {
  EXPECT_NEAR(mean_absolute_error(kPredicted, kMeasured), (.1 + .2 + 0 + .5) / 4, 1e-12);
  EXPECT_NEAR(median_absolute_error(kPredicted, kMeasured), .15, 1e-12);
  EXPECT_NEAR(weighted_absolute_error(kPredicted, kMeasured), 103.0 / 250, 1e-12);
  EXPECT_NEAR(bias(kPredicted, kMeasured), (.1 - .2 + 0 - .5) / 4, 1e-12);
  EXPECT_NEAR(quantile({4, 1, 3, 2}, .5), 2.5, 1e-12);
  EXPECT_NEAR(quantile({4, 1, 3, 2}, 1), 4, 1e-12);
}

TEST(Metrics, rank_correlation_sees_order_alone) {
  const std::vector<double> a = {1, 2, 3, 4}, squared = {1, 4, 9, 16}, reversed = {4, 3, 2, 1},
                            tied = {1, 1, 1, 1};
  EXPECT_NEAR(rank_correlation(a, squared), 1, 1e-12);
  EXPECT_NEAR(rank_correlation(a, reversed), -1, 1e-12);
  EXPECT_EQ(rank_correlation(a, tied), 0);
}

TEST(Metrics, empty_input_gives_zero) {
  EXPECT_EQ(mean_absolute_error({}, {}), 0);
  EXPECT_EQ(median_absolute_error({}, {}), 0);
  EXPECT_EQ(quantile({}, .5), 0);
  EXPECT_EQ(conformal_quantile({}, .5), 0);
}

TEST(Metrics, weighted_quantile_counts_weights) {
  const std::vector<double> values = {3, 1, 2}, weights = {1, 8, 1};
  EXPECT_EQ(weighted_quantile(values, weights, .5), 1);
  EXPECT_EQ(weighted_quantile(values, weights, .85), 2);
  EXPECT_EQ(weighted_quantile(values, weights, 1), 3);
}

TEST(Metrics, conformal_quantile_covers_at_least_what_it_promises) {
  Random random(Seed{3});
  int covered = 0;
  constexpr int kTrials = 4000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> scores(19);
    for (double& score : scores) score = random.uniform();
    covered += random.uniform() <= conformal_quantile(scores, .9);
  }
  EXPECT_GE(covered / double{kTrials}, .89);  // 18 / 20 in expectation
  EXPECT_EQ(conformal_quantile({1, 2, 3}, .99), 3);
}

TEST(Metrics, coverage_counts_both_ends) {
  const std::vector<double> low = {0, 0, 0}, high = {1, 1, 1}, measured = {0, 1, 1.5};
  EXPECT_NEAR(coverage(low, high, measured), 2.0 / 3, 1e-12);
}

}  // namespace
}  // namespace orrery::learn
