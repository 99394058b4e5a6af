#include "orrery/learn/robust_regression.h"

#include <gtest/gtest.h>

#include "orrery/base/random.h"

namespace orrery::learn {
namespace {

struct Sample {
  std::vector<double> features, targets;
};

Sample planted(size_t rows, double outliers) {
  Random random(Seed{3});
  Sample sample;
  for (size_t i = 0; i < rows; ++i) {
    double a = random.uniform(), b = random.uniform();
    sample.features.insert(sample.features.end(), {a, b});
    sample.targets.push_back(0.5 * a - 0.25 * b + 0.01 * random.normal() +
                             (random.uniform() < outliers ? 10 : 0));
  }
  return sample;
}

TEST(RobustRegression, planted_coefficients_come_back_despite_outliers) {
  Sample sample = planted(4000, 0.05);
  auto beta = robust_regression(sample.features, 2, sample.targets, {.noise_sd = 0.01});
  EXPECT_NEAR(beta[0], 0.5, 0.01);
  EXPECT_NEAR(beta[1], -0.25, 0.01);
}

TEST(RobustRegression, few_rows_stay_near_the_prior) {
  std::vector<double> features = {1}, targets = {1};
  double loose = robust_regression(features, 1, targets, {.prior_sd = 10, .noise_sd = 1})[0];
  double stiff = robust_regression(features, 1, targets, {.prior_sd = 0.1, .noise_sd = 1})[0];
  EXPECT_NEAR(loose, 100.0 / 101, 1e-9);  // closed form: prior variance over the sum of both
  EXPECT_NEAR(stiff, 0.01 / 1.01, 1e-9);
}

TEST(RobustRegression, no_rows_give_the_prior) {
  EXPECT_EQ(robust_regression({}, 3, {}), std::vector<double>(3, 0.0));
}

}  // namespace
}  // namespace orrery::learn
