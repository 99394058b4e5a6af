#include "orrery/keyindex/training/fpga_model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace orrery::keyindex {
namespace {

constexpr uint64_t kLanes = 8;

uint64_t vectors(uint64_t rows) {
  return (rows + kLanes - 1) / kLanes;
}

uint64_t read_out(const FpgaShape& shape) {
  return static_cast<uint64_t>(shape.columns) * static_cast<uint64_t>(shape.columns) / kLanes;
}

uint64_t cycles_of_vectors(const FpgaShape& shape, uint64_t length) {
  const uint64_t outer = 5 * length + 19 + std::max<uint64_t>(7 + length, 36), inner = 6 * length + 30;
  const auto parallel = static_cast<uint64_t>(shape.inner_elements);
  uint64_t total = 0;
  for (auto left = static_cast<uint64_t>(shape.columns); left > 0; --left)
    total += outer + (left + parallel - 1) / parallel * inner;
  return total;
}

}  // namespace

uint64_t unit_cycles(const FpgaShape& shape, uint64_t rows) {
  return cycles_of_vectors(shape, vectors(rows));
}

uint64_t merge_cycles(const FpgaShape& shape, uint64_t units) {
  return units * read_out(shape) +
         cycles_of_vectors(shape, units * static_cast<uint64_t>(shape.columns) / kLanes);
}

FpgaTime fpga_time(const FpgaShape& shape, uint64_t rows, uint64_t columns) {
  FpgaTime time;
  const auto rows_a_unit = static_cast<uint64_t>(shape.rows_a_unit);
  const uint64_t parts = std::max<uint64_t>(1, (rows + rows_a_unit - 1) / rows_a_unit);
  const auto units = std::min(parts, static_cast<uint64_t>(shape.units));
  const uint64_t rounds = (parts + units - 1) / units;
  time.cycles = rounds * unit_cycles(shape, std::min(rows, rows_a_unit)) + read_out(shape);
  if (parts > 1) time.cycles += rounds * merge_cycles(shape, units);
  time.compute = Cycles(static_cast<double>(time.cycles)) / shape.clock;
  time.transfer = static_cast<double>(columns * vectors(rows)) * shape.handshake;
  time.bytes = 4 * (columns * vectors(rows) * kLanes + columns * columns);
  return time;
}

float table_square_root(float x) {
  if (!(x > 0)) return 0;
  // sqrt(f · 4^e), f in [1, 4): the table holds the roots at the middle of 256 steps of [1, 2), the
  // multiplication brings in sqrt(2) for odd exponents.
  static const std::array<float, 256> table = [] {
    std::array<float, 256> roots{};
    for (size_t i = 0; i < roots.size(); ++i)
      roots[i] = static_cast<float>(std::sqrt(1 + (static_cast<double>(i) + .5) / 256));
    return roots;
  }();
  int exponent = 0;
  const float fraction = 2 * std::frexp(x, &exponent);  // [1, 2)
  --exponent;
  const uint32_t top = std::bit_cast<uint32_t>(fraction) >> 15 & 0xff;
  const bool odd = exponent & 1;
  return std::ldexp(table[top] * (odd ? 1.41421356f : 1.0f), (exponent - odd) / 2);
}

QrFactor<float> fpga_factor(const QrFactor<float>& before, const RowMatrix& added) {
  const size_t n = before.columns(), extra = n, rows = extra + added.rows();
  // Column-major, the old triangle on top.
  std::vector<float> a(rows * n);
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = 0; i <= j; ++i) a[j * rows + i] = before.at(i, j);
    for (size_t i = 0; i < added.rows(); ++i) a[j * rows + extra + i] = static_cast<float>(added.row(i)[j]);
  }
  std::vector<float> packed;
  for (size_t k = 0; k < n; ++k) {
    float* u = &a[k * rows];
    float squares = 0;
    for (size_t i = k; i < rows; ++i) squares += u[i] * u[i];
    const float length = table_square_root(squares);
    if (length > 0) {
      const float head = u[k], sign = head < 0 ? -1.0f : 1.0f;
      // gamma = -1 / (length² + length |x₁|): the reflector is exact only as far as the root is.
      const float gamma = -1 / (length * length + length * std::abs(head));
      u[k] = head + sign * length;
      for (size_t j = k + 1; j < n; ++j) {
        float* column = &a[j * rows];
        float dot = 0;
        for (size_t i = k; i < rows; ++i) dot += u[i] * column[i];
        const float factor = gamma * dot;
        for (size_t i = k; i < rows; ++i) column[i] += factor * u[i];
      }
      u[k] = -sign * length;
    }
  }
  for (size_t i = 0; i < n; ++i)
    for (size_t j = i; j < n; ++j) packed.push_back(a[j * rows + i]);
  return {n, std::span<const float>(packed)};
}

}  // namespace orrery::keyindex
