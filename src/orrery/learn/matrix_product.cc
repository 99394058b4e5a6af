#include "orrery/learn/matrix_product.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace orrery::learn {
namespace {

// A panel of b: kWidth columns, contiguous in k, filled up with zeros where b is narrower.
constexpr size_t kWidth = 32;

template <size_t Lanes>
struct Vector {
  typedef float type __attribute__((vector_size(Lanes * sizeof(float)), aligned(4), may_alias));
};

// Rows × kWidth results, held in registers over the whole contraction.
template <size_t Lanes, size_t Rows, size_t Vectors>
[[gnu::always_inline]] inline void tile(size_t k, const float* a, size_t a_stride, const float* panel,
                                        float* out, size_t out_stride) {
  using V = typename Vector<Lanes>::type;
  V sum[Rows][Vectors] = {};
  for (size_t i = 0; i < k; ++i) {
    const V* b = reinterpret_cast<const V*>(panel + i * kWidth);
    for (size_t r = 0; r < Rows; ++r) {
      for (size_t v = 0; v < Vectors; ++v) sum[r][v] += b[v] * a[r * a_stride + i];
    }
  }
  for (size_t r = 0; r < Rows; ++r) {
    for (size_t v = 0; v < Vectors; ++v) reinterpret_cast<V*>(out + r * out_stride)[v] = sum[r][v];
  }
}

// The columns of one panel, tile by tile; `kBlock` of them at a time where registers are few.
template <size_t Lanes, size_t Rows, size_t Vectors>
[[gnu::always_inline]] inline void panel_product(size_t m, size_t k, const float* a, const float* panel,
                                                 float* out) {
  constexpr size_t kBlock = Lanes * Vectors;
  static_assert(kWidth % kBlock == 0);
  for (size_t column = 0; column < kWidth; column += kBlock) {
    size_t row = 0;
    for (; row + Rows <= m; row += Rows)
      tile<Lanes, Rows, Vectors>(k, a + row * k, k, panel + column, out + row * kWidth + column, kWidth);
    for (; row < m; ++row)
      tile<Lanes, 1, Vectors>(k, a + row * k, k, panel + column, out + row * kWidth + column, kWidth);
  }
}

using PanelProduct = void (*)(size_t m, size_t k, const float* a, const float* panel, float* out);

void portable(size_t m, size_t k, const float* a, const float* panel, float* out) {
  panel_product<4, 4, 2>(m, k, a, panel, out);
}
#if defined(__x86_64__)
[[gnu::target("avx2")]] void avx2(size_t m, size_t k, const float* a, const float* panel, float* out) {
  panel_product<8, 4, 2>(m, k, a, panel, out);
}
[[gnu::target("avx512f")]] void avx512(size_t m, size_t k, const float* a, const float* panel, float* out) {
  panel_product<16, 8, 2>(m, k, a, panel, out);
}
#endif

PanelProduct choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return avx512;
  if (__builtin_cpu_supports("avx2")) return avx2;
#endif
  return portable;
}

}  // namespace

void multiply(size_t m, size_t n, size_t k, const float* a, const float* b, float* c) {
  static const PanelProduct product = choose();
  thread_local std::vector<float> panel, out;
  panel.resize(k * kWidth);
  out.resize(m * kWidth);
  for (size_t begin = 0; begin < n; begin += kWidth) {
    const size_t width = std::min(kWidth, n - begin);
    if (width < kWidth) std::fill(panel.begin(), panel.end(), 0.f);
    for (size_t i = 0; i < k; ++i) std::memcpy(&panel[i * kWidth], b + i * n + begin, width * sizeof(float));
    product(m, k, a, panel.data(), out.data());
    for (size_t row = 0; row < m; ++row)
      std::memcpy(c + row * n + begin, &out[row * kWidth], width * sizeof(float));
  }
}

void transpose(size_t rows, size_t columns, const float* a, float* b) {
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < columns; ++j) b[j * rows + i] = a[i * columns + j];
  }
}

}  // namespace orrery::learn
