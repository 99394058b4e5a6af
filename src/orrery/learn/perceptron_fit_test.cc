#include "orrery/learn/perceptron_fit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "orrery/learn/test_values.h"

namespace orrery::learn {
namespace {

// y = sin x, from 256 rows.
struct Sine {
  std::vector<float> x;
  std::vector<uint32_t> training, held_back;
  Sine() : x(random_values(256, Seed{8})) {
    for (uint32_t i = 0; i < 256; ++i) (i % 5 ? training : held_back).push_back(i);
  }
  PerceptronFit fit(const PerceptronFitOptions& options) const {
    auto loss = [&](size_t row, std::span<const float> y, std::span<float> gradient) {
      const float off = y[0] - std::sin(x[row]);
      gradient[0] = 2 * off;
      return static_cast<double>(off * off);
    };
    auto error = [&](size_t row, std::span<const float> y) {
      return std::abs(static_cast<double>(y[0] - std::sin(x[row])));
    };
    return fit_perceptron(Perceptron({1, 32, 32, 1}, Seed{9}), x, training, held_back, loss, error, options);
  }
};

TEST(PerceptronFit, learns_a_curve_and_keeps_the_epoch_that_is_best_on_rows_held_back) {
  PerceptronFitOptions options;
  options.epochs = 150;
  options.batch = 16;
  options.learning_rate = 5e-3;
  const PerceptronFit fit = Sine().fit(options);
  EXPECT_LT(fit.error, 0.03);
  EXPECT_LT(fit.loss.back(), fit.loss.front() / 100);
  EXPECT_GT(fit.best_epoch, 10);
}

TEST(PerceptronFit, same_seed_same_bits) {
  PerceptronFitOptions options;
  options.epochs = 3;
  const Sine data;
  const PerceptronFit a = data.fit(options), b = data.fit(options);
  options.seed = Seed{2};
  const PerceptronFit c = data.fit(options);
  EXPECT_TRUE(std::equal(a.net.values().begin(), a.net.values().end(), b.net.values().begin()));
  EXPECT_FALSE(std::equal(a.net.values().begin(), a.net.values().end(), c.net.values().begin()));
}

TEST(PerceptronFit, decay_is_decoupled_from_the_gradient_and_the_first_step_is_the_rate) {
  PerceptronFitOptions options;
  options.epochs = 1;
  options.batch = 1;
  options.cosine = false;
  options.learning_rate = 0.1;
  options.decay = 0.5;
  const Perceptron start({1, 1}, Seed{1});
  const std::vector<float> x = {1};
  const std::vector<uint32_t> rows = {0};
  auto none = [](size_t, std::span<const float>) { return 0.; };
  auto flat = [](size_t, std::span<const float>, std::span<float> g) { return g[0] = 0, 0.; };
  auto slope = [](size_t, std::span<const float>, std::span<float> g) { return g[0] = 7, 0.; };
  const PerceptronFit decayed = fit_perceptron(start, x, rows, {}, flat, none, options);
  const PerceptronFit moved = fit_perceptron(start, x, rows, {}, slope, none, options);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(decayed.net.values()[i], 0.95f * start.values()[i], 1e-6);
    EXPECT_NEAR(moved.net.values()[i], 0.95f * start.values()[i] - 0.1f, 1e-5);
  }
}

}  // namespace
}  // namespace orrery::learn
