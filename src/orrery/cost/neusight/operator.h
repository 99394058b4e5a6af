// The operators that NeuSight's regressors know, and how a kernel of a graph reads as them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "orrery/cost/neusight/options.h"
#include "orrery/graph/graph.h"

namespace orrery::cost {

// As the measured files name them; …u: a tensor and a scalar.
enum class NeuSightKind : uint8_t {
  Bmm,
  Linear,
  Add,
  Mul,
  Pow,
  Div,
  AddScalar,
  MulScalar,
  PowScalar,
  DivScalar,
  Relu,
  Gelu,
  Tanh,
  Softmax,
  LayerNorm
};
inline constexpr size_t kNeuSightKinds = 15;
std::string_view name(NeuSightKind);  // "bmm", "addu", "ln"
std::optional<NeuSightKind> parse_neusight_kind(std::string_view);
NeuSightClass class_of(NeuSightKind);
constexpr bool is_product(NeuSightKind kind) {
  return kind <= NeuSightKind::Linear;
}

// Products: batch × (m×k)·(k×n), k the contraction. Vector operators: m rows of n columns.
struct NeuSightOperator {
  NeuSightKind kind = NeuSightKind::Linear;
  double batch = 1, m = 1, n = 1, k = 1;
  double bytes_per_output = 0, flops_per_output = 0;  // vector operators
};
NeuSightOperator neusight_product(NeuSightKind, double batch, double m, double n, double k);
// With `inputs` tensors of its own shape (0: as the name says) and one output: 8 or 12 bytes an output; 1, 5
// (softmax) or 6 (layer norm) FLOP.
NeuSightOperator neusight_vector(NeuSightKind, double rows, double columns, double inputs = 0);

// A kernel as the method prices it: regressed operators, and bytes that pass at memory bandwidth. A kernel
// that it has no word for: known is false.
struct NeuSightWork {
  std::vector<NeuSightOperator> operators;
  double memory_bytes = 0;
  bool known = true;
};
// FP32 only. A fused vector kernel is its last operator with the traffic and FLOP of all. Attention in one
// kernel reads as its two products and the softmax between them. Vector operators on one element are free, as
// are views; what is neither product, elementwise, softmax nor norm passes at memory bandwidth.
NeuSightWork neusight_work(const graph::Kernel&);

}  // namespace orrery::cost
