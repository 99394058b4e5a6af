// One R a block of keys, and R's of their unions up a binary tree (TSQR, Demmel et al. 2012). A key that
// leaves costs its block and one merge a level, and is exactly gone; a group splits and joins by moving
// blocks.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "orrery/keyindex/training/qr_factor.h"

namespace orrery::keyindex {

class RTree {
 public:
  explicit RTree(size_t columns) : columns_(columns) {}

  size_t columns() const { return columns_; }
  size_t blocks() const { return leaves_.size(); }
  size_t rows() const;
  QrFactor<double> factor_of(size_t block) const { return {columns_, leaves_[block].r}; }
  size_t rows_of(size_t block) const { return leaves_[block].rows; }

  // A block of `rows` rows before block `at` (<= blocks()); the factor of its rows.
  void insert(size_t at, size_t rows, const QrFactor<double>& factor);
  void replace(size_t at, size_t rows, const QrFactor<double>& factor);
  void erase(size_t at);
  // Cuts off the blocks from `at` on.
  RTree split(size_t at);
  void append(const RTree& other);  // same columns, same centres
  void insert_zero_column(size_t column);
  void shift_column(size_t column, double shift);
  void truncate(size_t columns);

  QrFactor<double> root();  // makes anew what changed since the last time
  uint64_t merges() const { return merges_; }
  size_t bytes() const;

 private:
  struct Leaf {
    size_t rows;
    std::vector<double> r;
  };
  void spoil(size_t leaf);  // its ancestors are to be made anew
  size_t columns_;
  uint64_t merges_ = 0;
  std::vector<Leaf> leaves_;
  std::vector<std::vector<std::vector<double>>> levels_;  // empty: to be made; level 0 joins pairs of leaves
};

}  // namespace orrery::keyindex
