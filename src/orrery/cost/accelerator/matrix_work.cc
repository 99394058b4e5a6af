#include "orrery/cost/accelerator/matrix_work.h"

#include <algorithm>
#include <initializer_list>

namespace orrery::cost {
namespace {

using graph::GemmSize;
using graph::OperatorKind;
using graph::Pass;

// A product of sizes; beyond 2^53, where no machine is, it stays there.
int64_t times(std::initializer_list<int64_t> sizes) {
  constexpr double kMost = 9007199254740992.0;
  double product = 1;
  for (int64_t size : sizes) product *= static_cast<double>(size);
  return static_cast<int64_t>(std::min(product, kMost));
}

double words(int64_t batch, int64_t rows, int64_t columns) {
  return static_cast<double>(batch) * static_cast<double>(rows) * static_cast<double>(columns);
}

// A product whose operands are plain matrices.
MatrixWork plain(const GemmSize& s) {
  return {s, words(s.batch, s.m, s.k), words(s.batch, s.k, s.n), words(s.batch, s.m, s.n)};
}

MatrixWork convolution(const graph::ConvolutionSize& c, Pass pass) {
  MatrixWork work;
  work.size = convolution_gemm(c, pass);
  work.groups = c.groups > 1;
  double image = words(times({c.batch, c.in_channels}), c.height, c.width),
         result = words(times({c.batch, c.out_channels}), c.out_height(), c.out_width()),
         weights = words(times({c.out_channels, c.in_channels / c.groups}), c.kernel_h, c.kernel_w);
  switch (pass) {
    case Pass::InputGradient:
      work.lhs_words = result, work.rhs_words = weights, work.out_words = image;
      break;
    case Pass::WeightGradient:
      work.lhs_words = image, work.rhs_words = result, work.out_words = weights;
      break;
    default:
      work.lhs_words = image, work.rhs_words = weights, work.out_words = result;
  }
  return work;
}

// Rows are spread evenly over the experts.
MatrixWork experts(const graph::GroupedGemmSize& g, Pass pass) {
  int64_t rows = (g.m + g.experts - 1) / std::max<int64_t>(1, g.experts);
  if (pass == Pass::InputGradient) return plain({g.experts, rows, g.k, g.n});
  if (pass == Pass::WeightGradient) return plain({g.experts, g.k, g.n, rows});
  return plain({g.experts, rows, g.n, g.k});
}

// Scores stay on chip: they are neither an operand nor a result at DRAM. Backward computes the scores again,
// then gradients of probabilities, values, queries, keys.
std::vector<MatrixWork> attention(const graph::AttentionSize& a, Pass pass) {
  int64_t heads = times({a.batch, a.heads}), keys = a.cached + a.query;
  double query = words(heads, a.query, a.head_dim),
         key = words(times({a.batch, a.kv_heads}), keys, a.head_dim),
         value = a.shared ? 0 : words(times({a.batch, a.kv_heads}), keys, a.value_dim),
         out = words(heads, a.query, a.value_dim);
  MatrixWork scores{{heads, a.query, keys, a.head_dim}, query, key, 0};
  if (pass != Pass::InputGradient) return {scores, {{heads, a.query, a.value_dim, keys}, 0, value, out}};
  return {scores,
          {{heads, a.query, keys, a.value_dim}, out, value, 0},
          {{heads, keys, a.value_dim, a.query}, 0, 0, value},
          {{heads, a.query, a.head_dim, keys}, 0, 0, query},
          {{heads, keys, a.head_dim, a.query}, 0, 0, key}};
}

}  // namespace

GemmSize convolution_gemm(const graph::ConvolutionSize& c, Pass pass) {
  int64_t pixels = times({c.batch, c.out_height(), c.out_width()}), out = c.out_channels / c.groups,
          window = times({c.in_channels / c.groups, c.kernel_h, c.kernel_w});
  if (pass == Pass::InputGradient) return {c.groups, pixels, window, out};
  if (pass == Pass::WeightGradient) return {c.groups, window, out, pixels};
  return {c.groups, pixels, out, window};
}

double multiply_accumulates(const GemmSize& s) {
  return words(s.batch, s.m, s.n) * static_cast<double>(s.k);
}

std::vector<MatrixWork> matrix_work(const graph::OperatorShape& shape) {
  switch (shape.kind) {
    case OperatorKind::Gemm:  // gradients carry sizes of their own
      return {plain(graph::gemm_size(shape))};
    case OperatorKind::GroupedGemm:
      return {experts(graph::grouped_gemm_size(shape), shape.pass)};
    case OperatorKind::Convolution:
      return {convolution(graph::convolution_size(shape), shape.pass)};
    case OperatorKind::Attention:
      return attention(graph::attention_size(shape), shape.pass);
    default:
      return {};
  }
}

}  // namespace orrery::cost
