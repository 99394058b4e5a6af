#pragma once

// Fitting of boosted_trees.h: leaf-wise growth over quantile bins.
//
// Losses, with r = target - prediction and w the row's weight
//   Squared   w r^2 / 2
//   Huber     w r^2 / 2 up to |r| = huber_width, then linear
//   Absolute  w |r|: a leaf is the weighted median of its residuals
//   Quantile  w max(q r, (q - 1) r): a leaf is the weighted q-quantile of its residuals
// A leaf's value is shrunk by W / (W + l2), W its weight, times the learning rate.
// A split must leave min_leaf_rows rows and min_leaf_weight weight on both sides.

#include <cstdint>
#include <span>
#include <vector>

#include "orrery/learn/boosted_trees.h"

namespace orrery::learn {

enum class TreeLoss { Squared, Huber, Absolute, Quantile };

struct BoostedTreesOptions {
  TreeLoss loss = TreeLoss::Squared;
  double huber_width = 1.0;
  double quantile = 0.5;
  int trees = 200;
  int leaves = 16;  // at most BoostedTrees::kMaxLeaves
  double learning_rate = 0.1;
  double l2 = 1.0;  // in units of weight
  int min_leaf_rows = 20;
  double min_leaf_weight = 0.0;
  int bins = 64;                   // of a feature, 2 … BoostedTrees::kMaxBins
  std::vector<int> monotone = {};  // of a feature: -1, 0 or 1; empty = none
  double row_share = 1.0;          // rows that a tree sees, drawn anew for each tree
  double column_share = 1.0;       // features that a tree sees, likewise
  std::uint64_t seed = 1;
  int stopping_rounds =
      0;  // 0 = never stop early; else after so many trees without a better loss on the held-out rows
  int threads = 1;
};

struct BoostedTreesData {
  std::span<const float> features;  // rows * columns, row major, finite
  std::size_t columns = 0;
  std::span<const double> target;            // rows
  std::span<const double> weight = {};       // rows, >= 0; empty = 1 each
  std::span<const std::int32_t> group = {};  // rows; needed only for early stopping
  std::vector<std::int32_t> held_out =
      {};  // groups that are not fitted but decide when to stop, each with equal say
};

struct BoostedTreesFit {
  BoostedTrees model;
  std::vector<double> held_out_loss;  // after each tree; mean over the held-out groups
};

// Asserts nothing about scale: residuals in log units or in seconds do equally. Rows are never copied but for
// their 8-bit codes. Preconditions: sizes agree, 1 <= leaves, bins and shares in range, some row has weight.
BoostedTreesFit fit_boosted_trees(const BoostedTreesData& data, const BoostedTreesOptions& options);

}  // namespace orrery::learn
