#include "orrery/learn/boosted_trees.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "orrery/base/error.h"
#include "orrery/base/random.h"
#include "orrery/learn/boosted_trees_fit.h"

namespace orrery::learn {
namespace {

struct Sample {
  std::size_t columns;
  std::vector<float> x;
  std::vector<double> y, w;
  std::vector<std::int32_t> group;

  BoostedTreesData data() const { return {.features = x, .columns = columns, .target = y, .weight = w}; }
};

Sample wavy(std::size_t rows, std::size_t columns, double noise, std::uint64_t seed) {
  Random random{Seed{seed}};
  Sample s{columns, {}, {}, {}, {}};
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t f = 0; f < columns; ++f) s.x.push_back(static_cast<float>(random.uniform()));
    const float* x = s.x.data() + r * columns;
    s.y.push_back(std::sin(5 * x[0]) + 2 * x[0] * x[1] + noise * random.normal());
    s.w.push_back(0.5 + random.uniform());
    s.group.push_back(static_cast<std::int32_t>(r % 5));
  }
  return s;
}

double mean_absolute_error(const BoostedTrees& model, const Sample& s) {
  std::vector<double> out(s.y.size());
  model.predict(s.x, out);
  double sum = 0;
  for (std::size_t r = 0; r < out.size(); ++r) sum += std::abs(out[r] - s.y[r]);
  return sum / static_cast<double>(out.size());
}

// The best two-leaf regression of weighted squares by trying every cut of every feature.
double least_squares_stump(const Sample& s, double l2, int min_rows) {
  double base = 0, total = 0;
  for (std::size_t r = 0; r < s.y.size(); ++r) base += s.w[r] * s.y[r], total += s.w[r];
  base /= total;
  double best_gain = 0;
  double best_loss = std::numeric_limits<double>::infinity();
  for (std::size_t f = 0; f < s.columns; ++f) {
    for (std::size_t cut = 0; cut < s.y.size(); ++cut) {
      double g[2] = {}, h[2] = {};
      int n[2] = {};
      const auto side = [&](std::size_t r) {
        return s.x[r * s.columns + f] > s.x[cut * s.columns + f] ? 1 : 0;
      };
      for (std::size_t r = 0; r < s.y.size(); ++r) {
        g[side(r)] += s.w[r] * (s.y[r] - base);
        h[side(r)] += s.w[r];
        ++n[side(r)];
      }
      if (std::min(n[0], n[1]) < min_rows) continue;
      const double gain = g[0] * g[0] / (h[0] + l2) + g[1] * g[1] / (h[1] + l2);
      if (gain <= best_gain) continue;
      best_gain = gain;
      best_loss = 0;
      for (std::size_t r = 0; r < s.y.size(); ++r) {
        const double e = s.y[r] - base - g[side(r)] / (h[side(r)] + l2);
        best_loss += s.w[r] * e * e;
      }
    }
  }
  return best_loss;
}

TEST(BoostedTrees, first_split_is_the_best_that_brute_force_finds) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Sample s = wavy(60, 3, 0.3, seed);
    const auto fit = fit_boosted_trees(
        s.data(), {.trees = 1, .leaves = 2, .learning_rate = 1, .l2 = 0.7, .min_leaf_rows = 4, .bins = 100});
    double loss = 0;
    for (std::size_t r = 0; r < s.y.size(); ++r) {
      const double e = s.y[r] - fit.model.predict({s.x.data() + r * 3, 3});
      loss += s.w[r] * e * e;
    }
    const double oracle = least_squares_stump(s, 0.7, 4);
    EXPECT_NEAR(loss, oracle, 1e-3 * oracle);
  }
}

TEST(BoostedTrees, full_tree_without_shrinkage_reproduces_distinct_targets) {
  Sample s{1, {}, {}, {}, {}};
  for (int i = 0; i < 60; ++i) s.x.push_back(static_cast<float>(i)), s.y.push_back(std::cos(i * i));
  const auto fit = fit_boosted_trees(
      s.data(), {.trees = 1, .leaves = 60, .learning_rate = 1, .l2 = 0, .min_leaf_rows = 1, .bins = 100});
  EXPECT_LT(mean_absolute_error(fit.model, s), 1e-4);
}

TEST(BoostedTrees, learns_an_interaction_better_than_its_noise) {
  const Sample s = wavy(8000, 4, 0.1, 3);
  const auto fit = fit_boosted_trees(s.data(), {});
  const Sample fresh = wavy(4000, 4, 0.0, 4);
  EXPECT_LT(mean_absolute_error(fit.model, fresh), 0.04);
}

TEST(BoostedTrees, weight_equals_repetition) {
  Sample once = wavy(200, 2, 0.2, 5);
  Sample twice = once;
  for (std::size_t r = 0; r < 200; ++r) {
    once.w[r] = twice.w[r] = 1;
    if (r % 3 != 0) continue;
    once.w[r] = 2;
    twice.x.insert(twice.x.end(), {once.x[2 * r], once.x[2 * r + 1]});
    twice.y.push_back(once.y[r]);
    twice.w.push_back(1);
  }
  const BoostedTreesOptions options{.trees = 30, .min_leaf_rows = 1, .min_leaf_weight = 5, .bins = 254};
  Sample a = once, b = twice;
  const auto fit_a = fit_boosted_trees(a.data(), options);
  const auto fit_b = fit_boosted_trees(b.data(), options);
  for (std::size_t r = 0; r < 200; ++r) {
    EXPECT_NEAR(fit_a.model.predict({once.x.data() + 2 * r, 2}),
                fit_b.model.predict({once.x.data() + 2 * r, 2}), 1e-3);
  }
}

TEST(BoostedTrees, monotone_constraints_hold_for_every_loss) {
  for (const TreeLoss loss : {TreeLoss::Squared, TreeLoss::Huber, TreeLoss::Absolute, TreeLoss::Quantile}) {
    const Sample s = wavy(3000, 3, 0.5, 6);
    const auto fit = fit_boosted_trees(
        s.data(), {.loss = loss, .huber_width = 0.3, .quantile = 0.8, .trees = 60, .monotone = {-1, 1, 0}});
    Random random{Seed{7}};
    for (int i = 0; i < 3000; ++i) {
      float low[3], high[3];
      for (int f = 0; f < 3; ++f) low[f] = high[f] = static_cast<float>(random.uniform());
      const int f = i % 2;
      high[f] += static_cast<float>(random.uniform());
      const double change = fit.model.predict(high) - fit.model.predict(low);
      EXPECT_GE(f == 0 ? -change : change, 0);
    }
  }
}

TEST(BoostedTrees, quantile_loss_covers_its_share) {
  const Sample s = wavy(20000, 2, 0.5, 8);
  const Sample fresh = wavy(10000, 2, 0.5, 9);
  for (const double q : {0.05, 0.5, 0.95}) {
    const auto fit = fit_boosted_trees(s.data(), {.loss = TreeLoss::Quantile, .quantile = q, .trees = 100});
    std::vector<double> out(fresh.y.size());
    fit.model.predict(fresh.x, out);
    double below = 0;
    for (std::size_t r = 0; r < out.size(); ++r) below += fresh.y[r] <= out[r] ? 1 : 0;
    EXPECT_NEAR(below / static_cast<double>(out.size()), q, 0.02);
  }
}

TEST(BoostedTrees, robust_losses_ignore_wild_outliers) {
  Sample s = wavy(5000, 2, 0.1, 10);
  for (std::size_t r = 0; r < s.y.size(); r += 20) s.y[r] += 1000;
  const Sample fresh = wavy(2000, 2, 0.0, 11);
  for (const TreeLoss loss : {TreeLoss::Huber, TreeLoss::Absolute}) {
    const auto fit = fit_boosted_trees(s.data(), {.loss = loss, .huber_width = 0.2, .trees = 300});
    EXPECT_LT(mean_absolute_error(fit.model, fresh), 0.06);
  }
}

TEST(BoostedTrees, any_number_of_threads_gives_the_same_bits) {
  const Sample s = wavy(4000, 5, 0.3, 12);
  for (const TreeLoss loss : {TreeLoss::Squared, TreeLoss::Absolute}) {
    BoostedTreesOptions options{.loss = loss, .trees = 30, .row_share = 0.7, .column_share = 0.6};
    const std::string one = fit_boosted_trees(s.data(), options).model.to_text();
    for (const int threads : {2, 3, 8}) {
      options.threads = threads;
      EXPECT_EQ(one, fit_boosted_trees(s.data(), options).model.to_text());
    }
  }
}

TEST(BoostedTrees, held_out_groups_stop_the_fit_and_are_not_learned) {
  Sample s = wavy(2000, 2, 0.1, 13);
  for (std::size_t r = 0; r < s.y.size(); ++r) {
    if (s.group[r] == 4) s.y[r] = -100;  // were they learned, the prediction would show it
  }
  BoostedTreesData data = s.data();
  data.group = s.group;
  data.held_out = {4};
  const auto fit = fit_boosted_trees(data, {.trees = 50});
  EXPECT_GT(fit.model.predict({s.x.data(), 2}), -10);

  const Sample noise = [] {
    Sample n = wavy(600, 3, 0.0, 14);
    Random random{Seed{15}};
    for (double& y : n.y) y = random.normal();
    return n;
  }();
  data = noise.data();
  data.group = noise.group;
  data.held_out = {3, 4};
  const auto stopped = fit_boosted_trees(data, {.trees = 500, .min_leaf_rows = 5, .stopping_rounds = 20});
  EXPECT_LT(stopped.model.trees(), 100u);
  ASSERT_FALSE(stopped.held_out_loss.empty());
  const auto least = std::min_element(stopped.held_out_loss.begin(), stopped.held_out_loss.end());
  EXPECT_EQ(stopped.model.trees(), static_cast<std::size_t>(least - stopped.held_out_loss.begin()) + 1);
}

TEST(BoostedTrees, batch_equals_rows_one_at_a_time_and_text_round_trips) {
  for (const std::size_t rows : {1u, 7u, 8u, 63u, 64u, 65u, 1000u}) {
    const Sample s = wavy(std::max<std::size_t>(rows, 50), 3, 0.2, rows);
    const auto model = fit_boosted_trees(s.data(), {.trees = 20, .leaves = 31, .min_leaf_rows = 2}).model;
    const auto again = BoostedTrees::from_text(model.to_text());
    EXPECT_EQ(again.to_text(), model.to_text());
    EXPECT_EQ(model.to_text().find_first_of("\"\\\n"), std::string::npos);
    std::vector<double> out(rows);
    again.predict({s.x.data(), rows * 3}, out);
    for (std::size_t r = 0; r < rows; ++r) EXPECT_EQ(out[r], model.predict({s.x.data() + 3 * r, 3}));
  }
}

TEST(BoostedTrees, non_finite_features_are_answered_alike_in_batches_and_alone) {
  const Sample s = wavy(500, 2, 0.2, 21);
  const auto model = fit_boosted_trees(s.data(), {.trees = 10}).model;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> rows;
  for (int i = 0; i < 10; ++i)
    rows.insert(rows.end(), {i % 2 == 0 ? nan : infinity, i % 3 == 0 ? -infinity : 0.5f});
  std::vector<double> out(10);
  model.predict(rows, out);
  for (std::size_t r = 0; r < 10; ++r) {
    EXPECT_TRUE(std::isfinite(out[r]));
    EXPECT_EQ(out[r], model.predict({rows.data() + 2 * r, 2}));
  }
}

TEST(BoostedTrees, fits_of_nothing_and_of_one_value_are_constants) {
  Sample s{2, {1, 2, 1, 2}, {3, 3}, {}, {}};
  const auto fit = fit_boosted_trees(s.data(), {.trees = 3, .min_leaf_rows = 1});
  EXPECT_DOUBLE_EQ(fit.model.predict({s.x.data(), 2}), 3);
  EXPECT_EQ(BoostedTrees::from_text(fit.model.to_text()).predict({s.x.data(), 2}), 3);
}

TEST(BoostedTrees, wrong_text_is_refused_with_a_reason) {
  const std::string good = "trees1 0.5 0.25 1 2 1 2 1 f0:0 -3 f0:1 2 4";
  const auto model = BoostedTrees::from_text(good);
  EXPECT_EQ(model.predict(std::vector<float>{1.5f}), 0.5 + 0.25 * 2);
  EXPECT_EQ(model.to_text(), good);
  for (const char* bad : {
           "",
           "trees2 0 1 0 0",
           "trees1 nan 1 0 0",
           "trees1 0 1 99999999999999 0",
           "trees1 0 1 1 2 2 1 0",
           "trees1 0 1 1 300 1 2",
           "trees1 0.5 0.25 1 2 1 2 1 f0:0 -3 f0:1 2",
           "trees1 0.5 0.25 1 2 1 2 1 f1:0 -3 4",
           "trees1 0.5 0.25 1 2 1 2 1 f0:2 -3 4",
           "trees1 0.5 0.25 1 2 1 2 1 f0:0 -3 99999",
           "trees1 0 1 0 1 f0:0 1 1",
           "trees1 0.5 0.25 1 2 1 2 1 f0:0 -3 4 5",
           "trees1 0 1 0 9999999999 1",
       }) {
    EXPECT_THROW(BoostedTrees::from_text(bad), Error) << bad;
  }
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    try {
      (void)BoostedTrees::from_text(good.substr(0, cut));
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace orrery::learn
