#include "orrery/keyindex/training/qr_factor.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "orrery/keyindex/training/simd.h"

namespace orrery::keyindex {
namespace {

typedef double Doubles __attribute__((vector_size(64)));
typedef float Floats __attribute__((vector_size(64)));
template <class Real>
struct LineOf;
template <>
struct LineOf<double> {
  using type = Doubles;
};
template <>
struct LineOf<float> {
  using type = Floats;
};

// One reflector: column `lane` of `rows` (and of the row `r` of the factor) becomes zero below r. Pointers
// begin at the line that holds the column; Lines are those from there to the end of the row.
template <class Real, int Lines>
inline __attribute__((always_inline)) void reflect(Real* r, Real* rows, size_t count, size_t stride,
                                                   size_t lane) {
  using Line = typename LineOf<Real>::type;
  constexpr size_t kLanes = 64 / sizeof(Real);
  Line sums[Lines] = {};
  for (size_t i = 0; i < count; ++i) {
    const Real* row = rows + i * stride;
    const Real head = row[lane];
    for (int g = 0; g < Lines; ++g) sums[g] += head * *reinterpret_cast<const Line*>(row + g * kLanes);
  }
  const Real sigma = sums[0][lane];
  const Real alpha = r[lane];
  const Real length = std::sqrt(alpha * alpha + sigma);
  if (!(sigma > std::numeric_limits<Real>::min())) return;
  const Real head_of_reflector = alpha + std::copysign(length, alpha);
  const Real scale = 1 / (length * std::abs(head_of_reflector));
  Line amounts[Lines];
  for (int g = 0; g < Lines; ++g) {
    Line& r_line = *reinterpret_cast<Line*>(r + g * kLanes);
    amounts[g] = scale * (head_of_reflector * r_line + sums[g]);
    r_line -= head_of_reflector * amounts[g];
  }
  for (size_t i = 0; i < count; ++i) {
    Real* row = rows + i * stride;
    const Real head = row[lane];
    for (int g = 0; g < Lines; ++g) *reinterpret_cast<Line*>(row + g * kLanes) -= head * amounts[g];
  }
}

template <class Real>
inline __attribute__((always_inline)) void eliminate(Real* r, size_t columns, size_t stride, Real* rows,
                                                     size_t count) {
  constexpr size_t kLanes = 64 / sizeof(Real);
  for (size_t k = 0; k < columns; ++k) {
    const size_t line = k / kLanes, lane = k % kLanes;
    Real* pivot_row = r + k * stride + line * kLanes;
    Real* from = rows + line * kLanes;
    switch (stride / kLanes - line) {
      case 1:
        reflect<Real, 1>(pivot_row, from, count, stride, lane);
        break;
      case 2:
        reflect<Real, 2>(pivot_row, from, count, stride, lane);
        break;
      case 3:
        reflect<Real, 3>(pivot_row, from, count, stride, lane);
        break;
      case 4:
        reflect<Real, 4>(pivot_row, from, count, stride, lane);
        break;
      case 5:
        reflect<Real, 5>(pivot_row, from, count, stride, lane);
        break;
      case 6:
        reflect<Real, 6>(pivot_row, from, count, stride, lane);
        break;
      case 7:
        reflect<Real, 7>(pivot_row, from, count, stride, lane);
        break;
      default:
        reflect<Real, 8>(pivot_row, from, count, stride, lane);
        break;
    }
  }
}

ORRERY_CLONES void eliminate_rows(double* r, size_t columns, size_t stride, double* rows, size_t count) {
  eliminate(r, columns, stride, rows, count);
}
ORRERY_CLONES void eliminate_rows(float* r, size_t columns, size_t stride, float* rows, size_t count) {
  eliminate(r, columns, stride, rows, count);
}

// Rows that stay in the first-level cache while all reflectors pass over them.
constexpr size_t kBlockRows = 64;

}  // namespace

template <class Real>
void QrFactor<Real>::allocate() {
  constexpr size_t kLanes = 64 / sizeof(Real);
  storage_.assign(columns_ * stride_ + kLanes, 0);
  const auto address = reinterpret_cast<uintptr_t>(storage_.data());
  values_ = storage_.data() + (64 - address % 64) % 64 / sizeof(Real);
}

template <class Real>
QrFactor<Real>::QrFactor(size_t columns) : columns_(columns), stride_(stride_of<Real>(columns)) {
  allocate();
}

template <class Real>
QrFactor<Real>::QrFactor(size_t columns, std::span<const Real> packed) : QrFactor(columns) {
  size_t from = 0;
  for (size_t i = 0; i < columns; from += columns - i, ++i)
    std::copy_n(packed.data() + from, columns - i, values_ + i * stride_ + i);
}

template <class Real>
QrFactor<Real>::QrFactor(const QrFactor& other) : columns_(other.columns_), stride_(other.stride_) {
  allocate();
  std::copy_n(other.values_, columns_ * stride_, values_);
}

template <class Real>
QrFactor<Real>& QrFactor<Real>::operator=(const QrFactor& other) {
  if (this == &other) return *this;
  columns_ = other.columns_;
  stride_ = other.stride_;
  allocate();
  std::copy_n(other.values_, columns_ * stride_, values_);
  return *this;
}

template <class Real>
std::vector<Real> QrFactor<Real>::packed() const {
  std::vector<Real> out(columns_ * (columns_ + 1) / 2);
  Real* to = out.data();
  for (size_t i = 0; i < columns_; ++i) to = std::copy_n(values_ + i * stride_ + i, columns_ - i, to);
  return out;
}

template <class Real>
void QrFactor<Real>::add(Real* rows, size_t count) {
  for (size_t begin = 0; begin < count; begin += kBlockRows)
    eliminate_rows(values_, columns_, stride_, rows + begin * stride_, std::min(kBlockRows, count - begin));
}

template <class Real>
void QrFactor<Real>::add(const QrFactor& other) {
  QrFactor rows(other);
  // Below the diagonal lies what rounding left of eliminated entries.
  for (size_t i = 0; i < columns_; ++i) std::fill_n(rows.values_ + i * stride_, i, Real{0});
  add(rows.values_, columns_);
}

template <class Real>
void QrFactor<Real>::insert_zero_column(size_t column) {
  QrFactor wider(columns_ + 1);
  for (size_t i = 0; i < columns_; ++i)
    for (size_t j = i; j < columns_; ++j) wider.values_[i * wider.stride_ + j + (j >= column)] = at(i, j);
  *this = wider;
}

template <class Real>
void QrFactor<Real>::shift_column(size_t column, Real shift) {
  values_[column] -= shift * values_[0];
}

template <class Real>
void QrFactor<Real>::truncate(size_t columns) {
  QrFactor narrower(columns);
  for (size_t i = 0; i < columns; ++i)
    for (size_t j = i; j < columns; ++j) narrower.values_[i * narrower.stride_ + j] = at(i, j);
  *this = narrower;
}

template class QrFactor<double>;
template class QrFactor<float>;

template <class Real>
TriangularSolver::TriangularSolver(const QrFactor<Real>& factor, size_t right_sides, double tolerance)
    : n_(factor.columns() - right_sides), stride_(factor.columns()), r_(n_ * stride_), skip_(n_) {
  double largest = 0;
  for (size_t i = 0; i < n_; ++i) {
    for (size_t j = i; j < stride_; ++j) r_[i * stride_ + j] = static_cast<double>(factor.at(i, j));
    largest = std::max(largest, std::abs(r_[i * stride_ + i]));
  }
  const double least = tolerance * static_cast<double>(n_) * largest;
  for (size_t j = 0; j < n_; ++j) {
    double* pivot_row = &r_[j * stride_];
    if (std::abs(pivot_row[j]) > least) continue;
    if (skipped_++ == 0) squares_.assign(n_, 0);
    skip_[j] = true;
    for (size_t i = 0; i <= j; ++i) squares_[j] += std::pow(static_cast<double>(factor.at(i, j)), 2);
    for (size_t i = 0; i <= j; ++i) r_[i * stride_ + j] = 0;
    // The row that its pivot has left is spare: rotate it into those below, one column after the other.
    for (size_t k = j + 1; k < n_; ++k) {
      double* row = &r_[k * stride_];
      if (pivot_row[k] == 0) continue;
      const double length = std::hypot(row[k], pivot_row[k]);
      const double c = row[k] / length, s = pivot_row[k] / length;
      for (size_t m = k; m < stride_; ++m) {
        const double kept = c * row[m] + s * pivot_row[m];
        pivot_row[m] = c * pivot_row[m] - s * row[m];
        row[m] = kept;
      }
    }
    std::fill_n(pivot_row, stride_, 0.0);
    pivot_row[j] = 1;
  }
}

template TriangularSolver::TriangularSolver(const QrFactor<double>&, size_t, double);
template TriangularSolver::TriangularSolver(const QrFactor<float>&, size_t, double);

void TriangularSolver::back_substitute(std::span<double> x) const {
  for (size_t i = n_; i-- > 0;) {
    const double* row = &r_[i * stride_];
    // Four sums: each addition need not wait for the one before.
    double sums[4] = {};
    size_t j = i + 1;
    for (; j + 4 <= n_; j += 4)
      for (size_t lane = 0; lane < 4; ++lane) sums[lane] += row[j + lane] * x[j + lane];
    for (; j < n_; ++j) sums[0] += row[j] * x[j];
    x[i] = skip_[i] ? 0 : (x[i] - ((sums[0] + sums[1]) + (sums[2] + sums[3]))) / row[i];
  }
}

std::vector<double> TriangularSolver::solve_normal(std::span<const double> z) const {
  std::vector<double> x(z.begin(), z.begin() + static_cast<std::ptrdiff_t>(n_));
  for (size_t i = 0; i < n_; ++i) {
    const double* row = &r_[i * stride_];
    x[i] = skip_[i] ? 0 : x[i] / row[i];
    for (size_t j = i + 1; j < n_; ++j) x[j] -= row[j] * x[i];
  }
  back_substitute(x);
  return x;
}

std::vector<double> TriangularSolver::precondition(std::span<const double> z) const {
  std::vector<double> x = solve_normal(z);
  for (size_t j = 0; j < n_; ++j)
    if (skip_[j] && squares_[j] > 0) x[j] = z[j] / squares_[j];
  return x;
}

std::vector<double> TriangularSolver::solve_carried() const {
  std::vector<double> x(n_);
  for (size_t i = 0; i < n_; ++i) x[i] = r_[i * stride_ + n_];
  back_substitute(x);
  return x;
}

}  // namespace orrery::keyindex
