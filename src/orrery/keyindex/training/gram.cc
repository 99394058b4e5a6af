#include "orrery/keyindex/training/gram.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "orrery/keyindex/training/simd.h"

namespace orrery::keyindex {
namespace {

constexpr size_t kMost = 64;

// Bytes less a centre lie within ±255: 64 rows of products stay far below 2^31.
constexpr int32_t kNarrow = 1 << 12;
constexpr size_t kBlockRows = 64;

ORRERY_CLONES bool all_narrow(const int32_t* entries, size_t count) {
  int32_t seen = 0;
  for (size_t i = 0; i < count; ++i) seen |= entries[i] < 0 ? -entries[i] : entries[i];
  return seen < kNarrow;
}

// Upper triangle of one block's products; sums: columns × width, width a multiple of 16 and at most 64. Row i
// begins at the line of its diagonal.
template <int Width>
inline __attribute__((always_inline)) void products_of(const int32_t* rows, size_t count, size_t stride,
                                                       size_t columns, int32_t* sums) {
  typedef int32_t Ints __attribute__((vector_size(64), aligned(4)));
  for (size_t i = 0; i < columns; ++i) {
    const size_t first = i / 16;
    Ints acc[Width / 16] = {};
    for (size_t r = 0; r < count; ++r) {
      const int32_t* row = rows + r * stride;
      const int32_t x = row[i];
      for (size_t g = first; g < Width / 16; ++g) acc[g] += x * *reinterpret_cast<const Ints*>(row + g * 16);
    }
    for (size_t g = first; g < Width / 16; ++g) *reinterpret_cast<Ints*>(sums + i * Width + g * 16) = acc[g];
  }
}

ORRERY_CLONES void narrow_products(const int32_t* rows, size_t count, size_t stride, size_t columns,
                                   size_t width, int32_t* sums) {
  switch (width) {
    case 16:
      products_of<16>(rows, count, stride, columns, sums);
      break;
    case 32:
      products_of<32>(rows, count, stride, columns, sums);
      break;
    case 48:
      products_of<48>(rows, count, stride, columns, sums);
      break;
    default:
      products_of<64>(rows, count, stride, columns, sums);
      break;
  }
}

// Cholesky's U of a symmetric matrix (upper rows, n × 64), right-looking; pivots below what rounding can
// leave mark their column as skipped.
ORRERY_CLONES void cholesky(double* u, size_t n, const double* diagonal, bool* skip) {
  for (size_t k = 0; k < n; ++k) {
    double* row = u + k * kMost;
    skip[k] = !(row[k] > diagonal[k] * static_cast<double>(n) * 1e-14);
    if (skip[k]) {
      for (size_t j = 0; j < n; ++j) row[j] = 0;
      row[k] = 1;
      continue;
    }
    const double inverse = 1 / std::sqrt(row[k]);
    for (size_t j = k; j < n; ++j) row[j] *= inverse;
    for (size_t i = k + 1; i < n; ++i) {
      const double factor = row[i];
      double* target = u + i * kMost;
      for (size_t j = i & ~size_t{7}; j < n; ++j) target[j] -= factor * row[j];
    }
  }
}

}  // namespace

Gram::Gram(size_t columns) : columns_(columns), values_(columns * (columns + 1) / 2) {}
Gram::Gram(size_t columns, std::vector<int64_t> packed) : columns_(columns), values_(std::move(packed)) {}

int64_t Gram::at(size_t i, size_t j) const {
  return values_[i <= j ? index(i, j) : index(j, i)];
}

void Gram::add(const int32_t* rows, size_t count, size_t stride, int sign) {
  if (stride % 16 == 0 && all_narrow(rows, count * stride)) {
    alignas(64) int32_t sums[kMost * kMost];
    const size_t width = (columns_ + 15) / 16 * 16;
    for (size_t begin = 0; begin < count; begin += kBlockRows) {
      narrow_products(rows + begin * stride, std::min(kBlockRows, count - begin), stride, columns_, width,
                      sums);
      size_t at = 0;
      for (size_t i = 0; i < columns_; ++i)
        for (size_t j = i; j < columns_; ++j) values_[at++] += sign * sums[i * width + j];
    }
    return;
  }
  for (size_t r = 0; r < count; ++r) {
    const int32_t* row = rows + r * stride;
    size_t at = 0;
    for (size_t i = 0; i < columns_; ++i)
      for (size_t j = i; j < columns_; ++j) values_[at++] += sign * int64_t{row[i]} * row[j];
  }
}

void Gram::add(const Gram& other) {
  for (size_t i = 0; i < values_.size(); ++i) values_[i] += other.values_[i];
}

void Gram::insert_zero_column(size_t column) {
  Gram wider(columns_ + 1);
  size_t at = 0;
  for (size_t i = 0; i < columns_; ++i)
    for (size_t j = i; j < columns_; ++j)
      wider.values_[wider.index(i + (i >= column), j + (j >= column))] = values_[at++];
  *this = std::move(wider);
}

void Gram::shift_column(size_t column, int64_t shift) {
  // (x_c - s)·x_j = x_c·x_j - s·(1·x_j); for j = c: x_c² - 2 s (1·x_c) + s² (1·1).
  const int64_t count = at(0, 0), sum = at(0, column);
  for (size_t j = 0; j < columns_; ++j) {
    if (j == column) continue;
    values_[j < column ? index(j, column) : index(column, j)] -= shift * (j == 0 ? count : at(0, j));
  }
  values_[index(column, column)] += shift * (shift * count - 2 * sum);
}

void Gram::truncate(size_t columns) {
  Gram narrower(columns);
  size_t to = 0;
  for (size_t i = 0; i < columns; ++i)
    for (size_t j = i; j < columns; ++j) narrower.values_[to++] = at(i, j);
  *this = std::move(narrower);
}

std::vector<double> Gram::solve(std::span<const double> z) const {
  const size_t n = columns_;
  alignas(64) double u[kMost * kMost], g[kMost * kMost];
  double diagonal[kMost] = {}, residual[kMost], step[kMost];
  bool skip[kMost] = {};
  size_t from = 0;
  for (size_t i = 0; i < n; ++i) {
    // The update runs from the line of the diagonal: what lies before it in the line must be a number.
    for (size_t j = i & ~size_t{7}; j < i; ++j) u[i * kMost + j] = 0;
    for (size_t j = i; j < n; ++j) {
      const auto value = static_cast<double>(values_[from++]);
      u[i * kMost + j] = g[i * kMost + j] = g[j * kMost + i] = value;
    }
    diagonal[i] = u[i * kMost + i];
  }
  cholesky(u, n, diagonal, skip);
  std::vector<double> x(n);
  constexpr int kRefinements = 1;
  for (int round = 0; round <= kRefinements; ++round) {
    for (size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (size_t j = 0; round > 0 && j < n; ++j) sum += g[i * kMost + j] * x[j];
      residual[i] = z[i] - sum;
    }
    for (size_t i = 0; i < n; ++i) {
      const double* row = u + i * kMost;
      residual[i] = skip[i] ? 0 : residual[i] / row[i];
      for (size_t j = i + 1; j < n; ++j) residual[j] -= row[j] * residual[i];
    }
    for (size_t i = n; i-- > 0;) {
      const double* row = u + i * kMost;
      double sum = residual[i];
      for (size_t j = i + 1; j < n; ++j) sum -= row[j] * step[j];
      step[i] = skip[i] ? 0 : sum / row[i];
      x[i] += step[i];
    }
  }
  return x;
}

}  // namespace orrery::keyindex
