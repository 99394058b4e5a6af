// The R factor of A = QR, kept alone: rows are added to it, two are joined, a column known to be constant is
// put in, and least squares are solved with it. RᵀR = AᵀA throughout, so the order of the rows is free. Q
// never exists.
//
// Adding rows B eliminates [R; B] by Householder reflectors that touch one row of R and all of B each: 2·b·n²
// operations for b rows (Golub and Van Loan, Matrix Computations, 5.2; the structure of LAPACK's tpqrt).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace orrery::keyindex {

// Places that a row takes: whole cache lines.
template <class Real>
constexpr size_t stride_of(size_t columns) {
  constexpr size_t kLanes = 64 / sizeof(Real);
  return (columns + kLanes - 1) / kLanes * kLanes;
}

template <class Real>
class QrFactor {
 public:
  // columns <= 64. The factor of no rows: zero.
  explicit QrFactor(size_t columns);
  // From `packed`, the upper triangle by rows, size columns · (columns + 1) / 2.
  QrFactor(size_t columns, std::span<const Real> packed);
  QrFactor(const QrFactor& other);
  QrFactor& operator=(const QrFactor& other);
  ~QrFactor() = default;

  size_t columns() const { return columns_; }
  size_t stride() const { return stride_; }
  Real at(size_t row, size_t column) const { return values_[row * stride_ + column]; }
  std::vector<Real> packed() const;

  // Adds rows; `rows` is row-major count × stride() on a cache line, the places past the columns zero, and
  // is overwritten.
  void add(Real* rows, size_t count);
  void add(const QrFactor& other);  // the rows that made `other`; same columns
  // A column of zeros at `column` (>= 1): what a constant column is once its constant has been subtracted.
  void insert_zero_column(size_t column);
  // Subtracts `shift` from every entry of `column`, given that column 0 is the ones.
  void shift_column(size_t column, Real shift);
  void truncate(size_t columns);  // drops the last ones

 private:
  void allocate();
  size_t columns_, stride_;
  std::vector<Real> storage_;
  Real* values_;  // within storage_, on a cache line
};

// Solves with R, skipping columns that the earlier ones determine: those whose pivot is at most tolerance · n
// · max |r_jj|, after what their row still says about later columns has been folded into these. A skipped
// column has weight 0; nothing is ever divided by a pivot that small.
class TriangularSolver {
 public:
  // factor's last `right_sides` columns are carried along (Qᵀy); tolerance: 1e-12 for doubles, 1e-5 for
  // floats.
  template <class Real>
  TriangularSolver(const QrFactor<Real>& factor, size_t right_sides, double tolerance);

  std::vector<double> solve_normal(std::span<const double> z) const;  // β of RᵀRβ = z
  std::vector<double> solve_carried() const;                          // β of Rβ = first carried column
  // As solve_normal, but a skipped column, if it is not all zeros, gets z over its square: what a
  // preconditioner needs so that a coarse R shuts no column out.
  std::vector<double> precondition(std::span<const double> z) const;
  size_t skipped() const { return skipped_; }

 private:
  void back_substitute(std::span<double> x) const;
  size_t n_, stride_, skipped_ = 0;
  std::vector<double> r_, squares_;  // squares of the columns that are skipped; empty where none is
  std::vector<bool> skip_;
};

}  // namespace orrery::keyindex
