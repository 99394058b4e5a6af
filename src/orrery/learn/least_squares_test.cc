#include "orrery/learn/least_squares.h"

#include <gtest/gtest.h>

#include <cmath>

#include "orrery/base/random.h"

namespace orrery::learn {
namespace {

struct Planted {
  std::vector<double> x, y;
};

// y = a · exp(−b x) + c with a little noise, and every tenth row far off.
Planted planted(double a, double b, double c, double outlier) {
  Random random(Seed{7});
  Planted data;
  for (int i = 0; i < 400; ++i) {
    const double x = 5 * random.uniform();
    data.x.push_back(x);
    data.y.push_back(a * std::exp(-b * x) + c + .01 * random.normal() + (i % 10 == 0 ? outlier : 0));
  }
  return data;
}

LeastSquaresFit fit(const Planted& data, const std::vector<FitParameter>& parameters,
                    LeastSquaresOptions options) {
  const ResidualFunction residuals = [&](std::span<const double> p, std::span<double> out) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = p[0] * std::exp(-p[1] * data.x[i]) + p[2] - data.y[i];
  };
  return fit_least_squares(parameters, residuals, data.x.size(), {}, options);
}

const std::vector<FitParameter> kLoose = {{"a", 1, 3, true}, {"b", 1, 3, true}, {"c", 0, 5, false}};

TEST(LeastSquares, recovers_planted_constants_through_outliers) {
  const LeastSquaresFit result = fit(planted(3, .7, -1, 4), kLoose, {.noise = .01, .prior_weight = 1e-3});
  EXPECT_NEAR(result.value[0], 3, .02);
  EXPECT_NEAR(result.value[1], .7, .01);
  EXPECT_NEAR(result.value[2], -1, .01);
  EXPECT_TRUE(result.converged);
}

TEST(LeastSquares, stays_at_the_prior_where_rows_say_nothing) {
  auto parameters = kLoose;
  parameters.push_back({"unused", 4, .5, true});
  const LeastSquaresFit result = fit(planted(3, .7, -1, 0), parameters, {.noise = .01});
  EXPECT_NEAR(result.value[3], 4, 1e-9);
}

TEST(LeastSquares, a_strong_prior_holds_a_constant_back) {
  auto parameters = kLoose;
  parameters[1].spread = .01;
  const LeastSquaresFit held = fit(planted(3, .7, -1, 0), parameters, {.noise = .01, .prior_weight = 1e4});
  EXPECT_GT(held.value[1], .9);
}

TEST(LeastSquares, keeps_to_bounds) {
  auto parameters = kLoose;
  parameters[0].high = 2;
  parameters[2].low = -.5;
  const LeastSquaresFit result = fit(planted(3, .7, -1, 0), parameters, {.noise = .01, .prior_weight = 1e-3});
  EXPECT_LE(result.value[0], 2 + 1e-12);
  EXPECT_GE(result.value[2], -.5);
}

TEST(LeastSquares, gives_the_same_bits_for_any_number_of_threads) {
  const Planted data = planted(3, .7, -1, 4);
  const LeastSquaresFit one = fit(data, kLoose, {.noise = .01, .threads = 1});
  const LeastSquaresFit three = fit(data, kLoose, {.noise = .01, .threads = 3});
  EXPECT_EQ(one.value, three.value);
  EXPECT_EQ(one.objective, three.objective);
}

TEST(LeastSquares, row_weights_choose_what_is_fitted) {
  const Planted near = planted(3, .7, -1, 0);
  std::vector<double> weights(near.x.size(), 1);
  Planted data = near;
  for (size_t i = 0; i < data.x.size(); i += 2) {
    data.y[i] += 1;
    weights[i] = 0;
  }
  const ResidualFunction residuals = [&](std::span<const double> p, std::span<double> out) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = p[0] * std::exp(-p[1] * data.x[i]) + p[2] - data.y[i];
  };
  const LeastSquaresFit result =
      fit_least_squares(kLoose, residuals, data.x.size(), weights, {.noise = .01, .prior_weight = 1e-3});
  EXPECT_NEAR(result.value[2], -1, .02);
}

}  // namespace
}  // namespace orrery::learn
