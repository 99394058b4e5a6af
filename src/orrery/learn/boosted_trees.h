#pragma once

// Histogram gradient boosting for regression: a sum of small binary trees, each fitted to the gradient of the
// loss at the sum of the trees before it (Friedman 2001; histograms and leaf-wise growth as in Ke et al.
// 2017).
//
// What always holds
// - A fitted model is immutable; any number of threads may predict with it.
// - Fitting gives the same bits for any number of threads: a histogram is summed by one thread, in row order.
// - `predict` of a batch and of its rows one at a time give the same bits: leaves are 16-bit multiples of one
// step,
//   so that the sum over trees is an exact integer.
// - With a monotone constraint on a feature, raising that feature alone never moves the prediction the other
// way.
//
// Features are finite floats, row major, size rows * columns. A NaN at prediction goes the way of +infinity.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::learn {

class BoostedTrees {
 public:
  static constexpr int kMaxLeaves = 255;  // of a tree: a leaf's index is a byte while a batch is predicted
  static constexpr int kMaxBins = 255;    // of a feature: a code is a byte

  // A node of a tree in preorder: an inner node sends codes > `threshold` of `feature` to `right`, others to
  // the node that follows it. A leaf has feature -1 and holds `leaf` steps.
  struct Node {
    std::int16_t feature = -1;
    std::uint8_t threshold = 0;
    std::uint16_t right = 0;  // index within the tree
    std::int16_t leaf = 0;
  };

  // A tree's inner nodes in an order in which children come before parents; operands name a slot of leaf
  // indices: below `leaves` the constant index of a leaf, from kMaxLeaves + 1 on an inner node's result.
  struct Step {
    std::uint16_t feature = 0;
    std::uint8_t threshold = 0;
    std::uint16_t left = 0;
    std::uint16_t right = 0;
  };

  BoostedTrees() = default;

  // The parts of a model, as the fitting gives them. thresholds[f] ascends; nodes of tree t: first[t] ..
  // first[t + 1].
  BoostedTrees(double base, double step, std::vector<std::vector<float>> thresholds,
               std::vector<std::uint32_t> first, std::vector<Node> nodes);

  std::size_t columns() const { return thresholds_.size(); }
  std::size_t trees() const { return first_.empty() ? 0 : first_.size() - 1; }
  double base() const { return base_; }

  // `row` has columns() features.
  double predict(std::span<const float> row) const;

  // `rows` has out.size() * columns() features, row major.
  void predict(std::span<const float> rows, std::span<double> out) const;

  // One line of ASCII without quotes or backslashes, so that it stands in a JSON string as it is:
  //   trees1 BASE STEP COLUMNS {COUNT THRESHOLD…}… TREES {nodes in preorder: fF:T inner, INTEGER leaf}…
  std::string to_text() const;

  // Reads what to_text wrote; throws Error, whose text says what was wrong. Hostile text costs no more than
  // its size.
  static BoostedTrees from_text(std::string_view text);

 private:
  void plan_batches();

  double base_ = 0;
  double step_ = 0;
  std::vector<std::vector<float>> thresholds_;
  std::vector<std::uint32_t> first_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> first_step_;
  std::vector<Step> steps_;
  std::vector<std::uint32_t> first_leaf_;
  std::vector<std::int32_t> leaves_;
};

}  // namespace orrery::learn
