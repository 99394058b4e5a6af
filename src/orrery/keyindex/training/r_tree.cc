#include "orrery/keyindex/training/r_tree.h"

#include <algorithm>

namespace orrery::keyindex {

size_t RTree::rows() const {
  size_t total = 0;
  for (const Leaf& leaf : leaves_) total += leaf.rows;
  return total;
}

void RTree::spoil(size_t leaf) {
  for (auto& level : levels_) {
    leaf /= 2;
    if (leaf < level.size()) level[leaf].clear();
  }
}

void RTree::insert(size_t at, size_t rows, const QrFactor<double>& factor) {
  leaves_.insert(leaves_.begin() + static_cast<std::ptrdiff_t>(at), {rows, factor.packed()});
  levels_.clear();  // all later blocks moved
}

void RTree::replace(size_t at, size_t rows, const QrFactor<double>& factor) {
  leaves_[at] = {rows, factor.packed()};
  spoil(at);
}

void RTree::erase(size_t at) {
  leaves_.erase(leaves_.begin() + static_cast<std::ptrdiff_t>(at));
  levels_.clear();
}

RTree RTree::split(size_t at) {
  RTree tail(columns_);
  const auto from = leaves_.begin() + static_cast<std::ptrdiff_t>(at);
  tail.leaves_.assign(std::make_move_iterator(from), std::make_move_iterator(leaves_.end()));
  leaves_.erase(from, leaves_.end());
  levels_.clear();
  return tail;
}

void RTree::append(const RTree& other) {
  leaves_.insert(leaves_.end(), other.leaves_.begin(), other.leaves_.end());
  levels_.clear();
}

void RTree::insert_zero_column(size_t column) {
  for (Leaf& leaf : leaves_) {
    QrFactor<double> factor(columns_, leaf.r);
    factor.insert_zero_column(column);
    leaf.r = factor.packed();
  }
  ++columns_;
  levels_.clear();
}

void RTree::shift_column(size_t column, double shift) {
  for (Leaf& leaf : leaves_) {
    QrFactor<double> factor(columns_, leaf.r);
    factor.shift_column(column, shift);
    leaf.r = factor.packed();
  }
  levels_.clear();
}

void RTree::truncate(size_t columns) {
  for (Leaf& leaf : leaves_) {
    QrFactor<double> factor(columns_, leaf.r);
    factor.truncate(columns);
    leaf.r = factor.packed();
  }
  columns_ = columns;
  levels_.clear();
}

QrFactor<double> RTree::root() {
  if (leaves_.empty()) return QrFactor<double>(columns_);
  size_t below = leaves_.size();
  for (size_t depth = 0; below > 1; ++depth) {
    const size_t here = (below + 1) / 2;
    if (levels_.size() <= depth) levels_.emplace_back();
    levels_[depth].resize(here);
    for (size_t i = 0; i < here; ++i) {
      std::vector<double>& node = levels_[depth][i];
      if (!node.empty()) continue;
      const auto child = [&](size_t which) -> const std::vector<double>& {
        return depth == 0 ? leaves_[which].r : levels_[depth - 1][which];
      };
      if (2 * i + 1 == below) {
        node = child(2 * i);
        continue;
      }
      QrFactor<double> joined(columns_, child(2 * i));
      joined.add(QrFactor<double>(columns_, child(2 * i + 1)));
      ++merges_;
      node = joined.packed();
    }
    below = here;
  }
  return {columns_, levels_.empty() ? leaves_.front().r : levels_.back().front()};
}

size_t RTree::bytes() const {
  size_t total = 0;
  for (const Leaf& leaf : leaves_) total += leaf.r.size() * sizeof(double);
  for (const auto& level : levels_)
    for (const auto& node : level) total += node.size() * sizeof(double);
  return total;
}

}  // namespace orrery::keyindex
