#include "orrery/learn/boosted_trees_fit.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

#include "orrery/base/random.h"
#include "orrery/base/threads.h"

namespace orrery::learn {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The value at which the weight of the values up to it reaches a share q of all; reorders `values`.
double weighted_quantile(std::vector<std::pair<double, double>>* values, double q) {
  if (values->empty()) return 0;
  double target = 0;
  for (const auto& [value, weight] : *values) target += weight;
  target *= q;
  // Quickselect by weight: [first, last) holds the answer, `below` is the weight before it.
  auto first = values->begin();
  auto last = values->end();
  double below = 0;
  while (last - first > 1) {
    const auto middle = first + (last - first) / 2;
    std::nth_element(first, middle, last);
    double left = below;
    for (auto i = first; i != middle; ++i) left += i->second;
    if (left >= target && left > below) {
      last = middle;
    } else {
      first = middle;
      below = left;
    }
  }
  return first->first;
}

struct Bin {
  double gradient = 0;
  double weight = 0;
  std::uint32_t rows = 0;

  void operator+=(const Bin& other) {
    gradient += other.gradient;
    weight += other.weight;
    rows += other.rows;
  }
  friend Bin operator-(Bin a, const Bin& b) {
    a.gradient -= b.gradient;
    a.weight -= b.weight;
    a.rows -= b.rows;
    return a;
  }
};

struct Split {
  double gain = 0;
  std::int16_t feature = -1;
  std::uint8_t threshold = 0;
  Bin left, right;
};

struct Leaf {
  std::size_t begin = 0, end = 0;  // of the row order
  Bin sum;
  double low = -kInfinity, high = kInfinity;  // what monotone constraints leave to it
  std::vector<Bin> histogram;                 // columns * stride
  Split best;
  int node = 0;  // in the growing tree
};

struct GrowingNode {
  Split split;
  int left = -1, right = -1;
  double value = 0;
};

class Fitter {
 public:
  Fitter(const BoostedTreesData& data, const BoostedTreesOptions& options)
      : data_(data), options_(options), rows_(data.target.size()), columns_(data.columns) {
    assert(data.features.size() == rows_ * columns_);
    assert(options.leaves >= 1 && options.leaves <= BoostedTrees::kMaxLeaves);
    assert(options.bins >= 2 && options.bins <= BoostedTrees::kMaxBins);
    for (std::size_t r = 0; r < rows_; ++r) {
      const bool out = !data.group.empty() && std::find(data.held_out.begin(), data.held_out.end(),
                                                        data.group[r]) != data.held_out.end();
      (out ? stopping_ : training_).push_back(static_cast<std::uint32_t>(r));
    }
    thresholds_.resize(columns_);
    codes_.resize(columns_ * rows_);
    for_each_column([this](std::size_t f) { bin(f); });
    score_.assign(rows_, base());
    base_ = rows_ == 0 ? 0 : score_[0];
    gradient_.resize(rows_);
    ordered_gradient_.resize(rows_);
    ordered_weight_.resize(rows_);
  }

  BoostedTreesFit run() {
    BoostedTreesFit fit;
    double least = kInfinity;
    std::size_t best_trees = 0;
    for (int t = 0; t < options_.trees; ++t) {
      forest_.push_back(grow(t));
      for (const std::uint32_t r : stopping_) score_[r] += value_of(forest_.back(), r);
      if (options_.stopping_rounds <= 0 || stopping_.empty()) continue;
      fit.held_out_loss.push_back(held_out_loss());
      if (fit.held_out_loss.back() < least) {
        least = fit.held_out_loss.back();
        best_trees = forest_.size();
      } else if (forest_.size() >= best_trees + static_cast<std::size_t>(options_.stopping_rounds)) {
        break;
      }
    }
    if (!fit.held_out_loss.empty()) forest_.resize(best_trees);
    fit.model = assemble();
    return fit;
  }

 private:
  template <class Work>
  void for_each_column(const Work& work) const {
    parallel_for(columns_, 1, options_.threads, [&](std::size_t f, std::size_t, std::size_t) { work(f); });
  }

  double weight(std::uint32_t r) const { return data_.weight.empty() ? 1.0 : data_.weight[r]; }
  std::uint8_t code(std::size_t f, std::uint32_t r) const { return codes_[f * rows_ + r]; }
  int monotone(std::size_t f) const { return f < options_.monotone.size() ? options_.monotone[f] : 0; }
  bool ranked() const { return options_.loss == TreeLoss::Absolute || options_.loss == TreeLoss::Quantile; }
  double rank() const { return options_.loss == TreeLoss::Quantile ? options_.quantile : 0.5; }

  // Thresholds between distinct values; where there are more values than bins, at equal counts of rows.
  void bin(std::size_t f) {
    std::vector<float> values;
    values.reserve(training_.size());
    for (const std::uint32_t r : training_) values.push_back(data_.features[r * columns_ + f]);
    std::sort(values.begin(), values.end());
    std::vector<std::size_t> last;  // of each run of equal values
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i + 1 == values.size() || values[i] != values[i + 1]) last.push_back(i);
    }
    const std::size_t bins = static_cast<std::size_t>(options_.bins);
    auto& edges = thresholds_[f];
    double next = 0;
    for (std::size_t i = 0; i + 1 < last.size(); ++i) {
      const double seen = static_cast<double>(last[i] + 1);
      if (last.size() > bins) {
        if (seen < next) continue;
        const double left = static_cast<double>(bins - 1 - edges.size());
        if (left < 1) break;
        next = seen + (static_cast<double>(values.size()) - seen) / left;
      }
      const float low = values[last[i]];
      const float middle = low + (values[last[i] + 1] - low) / 2;
      edges.push_back(middle < values[last[i] + 1] ? middle : low);
    }
    for (std::size_t r = 0; r < rows_; ++r) {
      const float x = data_.features[r * columns_ + f];
      codes_[f * rows_ + r] =
          static_cast<std::uint8_t>(std::lower_bound(edges.begin(), edges.end(), x) - edges.begin());
    }
  }

  double base() const {
    std::vector<std::pair<double, double>> values;
    double sum = 0;
    double total = 0;
    for (const std::uint32_t r : training_) {
      sum += weight(r) * data_.target[r];
      total += weight(r);
      if (options_.loss != TreeLoss::Squared) values.emplace_back(data_.target[r], weight(r));
    }
    if (options_.loss != TreeLoss::Squared) return weighted_quantile(&values, rank());
    return total > 0 ? sum / total : 0;
  }

  double loss(std::uint32_t r) const {
    const double residual = data_.target[r] - score_[r];
    switch (options_.loss) {
      case TreeLoss::Squared:
        return residual * residual / 2;
      case TreeLoss::Huber: {
        const double d = options_.huber_width;
        return std::abs(residual) <= d ? residual * residual / 2 : d * (std::abs(residual) - d / 2);
      }
      case TreeLoss::Absolute:
      case TreeLoss::Quantile:
        return std::max(rank() * residual, (rank() - 1) * residual);
    }
    return 0;
  }

  double held_out_loss() const {
    std::map<std::int32_t, std::pair<double, double>> groups;
    for (const std::uint32_t r : stopping_) {
      auto& [sum, total] = groups[data_.group[r]];
      sum += weight(r) * loss(r);
      total += weight(r);
    }
    double mean = 0;
    for (const auto& [group, sums] : groups) mean += sums.first / std::max(sums.second, 1e-300);
    return mean / static_cast<double>(groups.size());
  }

  double slope(std::uint32_t r) const {  // of the loss by the prediction, for weight 1
    const double over = score_[r] - data_.target[r];
    switch (options_.loss) {
      case TreeLoss::Squared:
        return over;
      case TreeLoss::Huber:
        return std::clamp(over, -options_.huber_width, options_.huber_width);
      case TreeLoss::Absolute:
      case TreeLoss::Quantile:
        return over > 0 ? 1 - rank() : -rank();
    }
    return 0;
  }

  double leaf_value(const Leaf& leaf) {
    if (!ranked()) return -leaf.sum.gradient / (leaf.sum.weight + options_.l2);
    residuals_.clear();
    for (std::size_t i = leaf.begin; i < leaf.end; ++i) {
      residuals_.emplace_back(data_.target[order_[i]] - score_[order_[i]], weight(order_[i]));
    }
    return weighted_quantile(&residuals_, rank()) * leaf.sum.weight / (leaf.sum.weight + options_.l2);
  }

  double bounded_value(const Leaf& leaf) { return std::clamp(leaf_value(leaf), leaf.low, leaf.high); }

  // How much a node of sums s improves the loss when it takes its best value within its bounds.
  double gain(const Bin& s, const Leaf& bounds) const {
    const double curvature = s.weight + options_.l2;
    if (curvature <= 0) return 0;
    if (ranked()) return s.gradient * s.gradient / curvature;
    const double value = std::clamp(-s.gradient / curvature, bounds.low, bounds.high);
    return -2 * s.gradient * value - curvature * value * value;
  }

  void accumulate(std::size_t f, Leaf* leaf) const {
    Bin* bins = leaf->histogram.data() + f * stride();
    for (std::size_t i = leaf->begin; i < leaf->end; ++i) {
      Bin& bin = bins[code(f, order_[i])];
      bin.gradient += ordered_gradient_[i];
      bin.weight += ordered_weight_[i];
      ++bin.rows;
    }
  }

  std::size_t stride() const { return static_cast<std::size_t>(options_.bins); }

  Split best_of_feature(const Leaf& leaf, std::size_t f) const {
    Split best;
    const Bin* bins = leaf.histogram.data() + f * stride();
    const double whole = gain(leaf.sum, leaf);
    const auto least = static_cast<std::uint32_t>(std::max(1, options_.min_leaf_rows));
    Bin left;
    for (std::size_t b = 0; b < thresholds_[f].size(); ++b) {
      left += bins[b];
      const Bin right = leaf.sum - left;
      if (left.rows < least || left.weight < options_.min_leaf_weight) continue;
      if (right.rows < least || right.weight < options_.min_leaf_weight) break;
      if (left.weight <= 0 || right.weight <= 0) continue;
      if (monotone(f) != 0) {
        const double rise =
            left.gradient / (left.weight + options_.l2) - right.gradient / (right.weight + options_.l2);
        if (rise * monotone(f) < 0) continue;
      }
      const double gained = gain(left, leaf) + gain(right, leaf) - whole;
      if (gained > best.gain) {
        best = {gained, static_cast<std::int16_t>(f), static_cast<std::uint8_t>(b), left, right};
      }
    }
    return best;
  }

  void gather(const Leaf& leaf) {
    for (std::size_t i = leaf.begin; i < leaf.end; ++i) {
      ordered_gradient_[i] = gradient_[order_[i]];
      ordered_weight_[i] = weight(order_[i]);
    }
  }

  // Histograms and best splits of one leaf, or of two sisters: the smaller is summed, the other is the
  // difference.
  void search(Leaf* small, Leaf* large) {
    std::vector<Split> best_small(columns_);
    std::vector<Split> best_large(columns_);
    gather(*small);
    for_each_column([&](std::size_t f) {
      if (!used_[f]) return;
      accumulate(f, small);
      best_small[f] = best_of_feature(*small, f);
      if (large == nullptr) return;
      for (std::size_t b = f * stride(); b < (f + 1) * stride(); ++b) {
        large->histogram[b] = large->histogram[b] - small->histogram[b];
      }
      best_large[f] = best_of_feature(*large, f);
    });
    const auto take_best = [](Leaf* leaf, const std::vector<Split>& splits) {
      leaf->best = {};
      for (const Split& split : splits) {
        if (split.gain > leaf->best.gain) leaf->best = split;
      }
    };
    take_best(small, best_small);
    if (large != nullptr) take_best(large, best_large);
  }

  std::vector<GrowingNode> grow(int tree) {
    Random random(Seed{options_.seed}.derive(static_cast<std::uint64_t>(tree)));
    used_.assign(columns_, true);
    if (options_.column_share < 1 && columns_ > 0) {
      for (std::size_t f = 0; f < columns_; ++f) used_[f] = random.uniform() < options_.column_share;
      used_[random.index(columns_)] = true;
    }
    order_.clear();
    Leaf root;
    for (const std::uint32_t r : training_) {
      if (options_.row_share < 1 && random.uniform() >= options_.row_share) continue;
      gradient_[r] = slope(r) * weight(r);
      order_.push_back(r);
      root.sum += Bin{gradient_[r], weight(r), 1};
    }
    root.end = order_.size();
    root.histogram.assign(columns_ * stride(), {});
    std::vector<GrowingNode> nodes(1);
    std::vector<Leaf> leaves;
    leaves.push_back(std::move(root));
    search(&leaves[0], nullptr);
    while (leaves.size() < static_cast<std::size_t>(options_.leaves)) {
      std::size_t chosen = 0;
      for (std::size_t i = 1; i < leaves.size(); ++i) {
        if (leaves[i].best.gain > leaves[chosen].best.gain) chosen = i;
      }
      if (leaves[chosen].best.feature < 0) break;
      leaves.push_back(divide(&leaves[chosen], &nodes));
      Leaf* left = &leaves[chosen];
      Leaf* right = &leaves.back();
      const bool left_is_small = left->end - left->begin <= right->end - right->begin;
      Leaf* small = left_is_small ? left : right;
      Leaf* large = left_is_small ? right : left;
      if (left_is_small) std::swap(left->histogram, right->histogram);
      // `large` now holds the parent's histogram.
      small->histogram.assign(columns_ * stride(), {});
      search(small, large);
    }
    const bool sampled = order_.size() < training_.size();
    for (const Leaf& leaf : leaves) {
      GrowingNode& node = nodes[static_cast<std::size_t>(leaf.node)];
      node.value = options_.learning_rate * bounded_value(leaf);
      if (sampled) continue;
      for (std::size_t i = leaf.begin; i < leaf.end; ++i) score_[order_[i]] += node.value;
    }
    if (sampled) {
      for (const std::uint32_t r : training_) score_[r] += value_of(nodes, r);
    }
    return nodes;
  }

  // Splits a leaf at its best split: the leaf becomes the left child and keeps the parent's histogram; the
  // right one is returned without any.
  Leaf divide(Leaf* leaf, std::vector<GrowingNode>* nodes) {
    const Split split = leaf->best;
    const auto f = static_cast<std::size_t>(split.feature);
    const auto first = order_.begin() + static_cast<std::ptrdiff_t>(leaf->begin);
    const auto last = order_.begin() + static_cast<std::ptrdiff_t>(leaf->end);
    const auto middle =
        std::stable_partition(first, last, [&](std::uint32_t r) { return code(f, r) <= split.threshold; });
    Leaf right;
    right.begin = static_cast<std::size_t>(middle - order_.begin());
    right.end = leaf->end;
    right.sum = split.right;
    right.low = leaf->low;
    right.high = leaf->high;
    leaf->end = right.begin;
    leaf->sum = split.left;
    if (monotone(f) != 0) {
      const double between = (bounded_value(*leaf) + bounded_value(right)) / 2;
      Leaf* lower = monotone(f) > 0 ? leaf : &right;
      Leaf* upper = monotone(f) > 0 ? &right : leaf;
      lower->high = std::min(lower->high, between);
      upper->low = std::max(upper->low, between);
    }
    const int left_node = static_cast<int>(nodes->size());
    GrowingNode& parent = (*nodes)[static_cast<std::size_t>(leaf->node)];
    parent.split = split;
    parent.left = left_node;
    parent.right = left_node + 1;
    nodes->resize(nodes->size() + 2);
    leaf->node = left_node;
    right.node = left_node + 1;
    return right;
  }

  double value_of(const std::vector<GrowingNode>& tree, std::uint32_t r) const {
    const GrowingNode* node = &tree[0];
    while (node->left >= 0) {
      const bool right = code(static_cast<std::size_t>(node->split.feature), r) > node->split.threshold;
      node = &tree[static_cast<std::size_t>(right ? node->right : node->left)];
    }
    return node->value;
  }

  BoostedTrees assemble() const {
    double largest = 0;
    for (const auto& tree : forest_) {
      for (const GrowingNode& node : tree)
        largest = std::max(largest, node.left < 0 ? std::abs(node.value) : 0.0);
    }
    // A power of two: every leaf, sum and product with it is exact.
    const double step = largest > 0 ? std::exp2(std::ceil(std::log2(largest / 32767))) : 1;
    std::vector<std::uint32_t> first(1, 0);
    std::vector<BoostedTrees::Node> nodes;
    for (const auto& tree : forest_) {
      const std::size_t begin = nodes.size();
      const std::function<void(int)> emit = [&](int index) {
        const GrowingNode& from = tree[static_cast<std::size_t>(index)];
        const std::size_t at = nodes.size();
        nodes.emplace_back();
        if (from.left < 0) {
          nodes[at].leaf = static_cast<std::int16_t>(std::lround(from.value / step));
          return;
        }
        nodes[at].feature = from.split.feature;
        nodes[at].threshold = from.split.threshold;
        emit(from.left);
        nodes[at].right = static_cast<std::uint16_t>(nodes.size() - begin);
        emit(from.right);
      };
      emit(0);
      first.push_back(static_cast<std::uint32_t>(nodes.size()));
    }
    return BoostedTrees(base_, step, thresholds_, std::move(first), std::move(nodes));
  }

  const BoostedTreesData& data_;
  const BoostedTreesOptions& options_;
  std::size_t rows_, columns_;
  std::vector<std::uint32_t> training_, stopping_;
  std::vector<std::vector<float>> thresholds_;
  std::vector<std::uint8_t> codes_;  // columns * rows
  std::vector<double> score_, gradient_, ordered_gradient_, ordered_weight_;
  std::vector<std::uint32_t> order_;
  std::vector<bool> used_;
  std::vector<std::pair<double, double>> residuals_;
  std::vector<std::vector<GrowingNode>> forest_;
  double base_ = 0;
};

}  // namespace

BoostedTreesFit fit_boosted_trees(const BoostedTreesData& data, const BoostedTreesOptions& options) {
  return Fitter(data, options).run();
}

}  // namespace orrery::learn
