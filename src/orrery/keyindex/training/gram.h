// The Gram matrix G = AᵀA of rows of small integers, exact in 64-bit integers: rows can be taken out again,
// and two matrices joined or a column shifted, without any error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace orrery::keyindex {

class Gram {
 public:
  explicit Gram(size_t columns);
  Gram(size_t columns, std::vector<int64_t> packed);  // upper triangle by rows

  size_t columns() const { return columns_; }
  int64_t at(size_t i, size_t j) const;  // either order
  std::span<const int64_t> packed() const { return values_; }
  std::vector<int64_t> release() && { return std::move(values_); }

  // rows: row-major count × stride, |entry| <= 2^20, count · entry² < 2^62. sign: 1 adds, -1 takes out.
  void add(const int32_t* rows, size_t count, size_t stride, int sign = 1);
  void add(const Gram& other);
  void insert_zero_column(size_t column);
  void shift_column(size_t column, int64_t shift);  // column 0 being the ones
  void truncate(size_t columns);

  // β of Gβ = z by Cholesky's factorization, columns that the earlier ones determine skipped (weight 0), and
  // steps of refinement with the exact G.
  std::vector<double> solve(std::span<const double> z) const;

 private:
  size_t index(size_t i, size_t j) const { return i * columns_ - i * (i + 1) / 2 + j; }  // i <= j
  size_t columns_;
  std::vector<int64_t> values_;
};

}  // namespace orrery::keyindex
