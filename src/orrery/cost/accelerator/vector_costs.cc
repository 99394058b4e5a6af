#include "orrery/cost/accelerator/vector_costs.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace orrery::cost {
namespace {

using graph::OperatorKind;
using graph::OperatorShape;
using Kind = graph::OperatorKind;

constexpr std::array<std::string_view, 2> kNames = {"revised", "released"};

struct PassCycles {
  double forward = 0, backward = 0;
};
struct Row {
  Kind kind;
  PassCycles released, revised;
};
// Released: WHAM's table (a look-up, an addition, a multiplication, a comparison are one cycle, a division
// ten). Kinds that it has not are sums of its own: rope is two multiplications and an addition, a gated
// activation a SiLU and a multiplication, quantization a scale and a clamp.
constexpr Row kRows[] = {
    {Kind::Add, {1, 1}, {1, 1}},
    {Kind::Subtract, {1, 1}, {1, 1}},
    {Kind::Multiply, {1, 1}, {1, 1}},
    {Kind::Divide, {10, 10}, {10, 10}},
    {Kind::Power, {15, 16}, {15, 16}},
    {Kind::Sqrt, {15, 16}, {15, 16}},
    {Kind::Tanh, {27, 2}, {27, 2}},
    {Kind::Sigmoid, {12, 2}, {12, 2}},
    {Kind::Relu, {1, 1}, {1, 1}},
    {Kind::Gelu, {15, 15}, {15, 15}},
    {Kind::Silu, {12, 2}, {13, 4}},
    {Kind::HardSwish, {14, 15}, {5, 5}},   // revised: two clamps, a sum and two products
    {Kind::HardSigmoid, {12, 2}, {4, 2}},  // without the second product
    {Kind::Erf, {15, 15}, {15, 15}},
    {Kind::Exp, {2, 1}, {2, 1}},
    {Kind::Sin, {13, 2}, {13, 2}},
    {Kind::Cos, {13, 2}, {13, 2}},
    {Kind::GatedActivation, {13, 3}, {14, 6}},
    {Kind::Dropout, {2, 1}, {2, 1}},
    {Kind::Mask, {1, 1}, {1, 1}},
    {Kind::Fill, {1, 1}, {1, 1}},
    {Kind::Copy, {0, 0}, {1, 1}},
    {Kind::Softmax, {10, 2}, {10, 2}},
    {Kind::LayerNorm, {1, 1}, {4, 6}},
    {Kind::RmsNorm, {1, 1}, {4, 6}},
    {Kind::BatchNorm, {1, 1}, {4, 6}},
    {Kind::Mean, {10, 10}, {10, 10}},
    {Kind::Reduce, {1, 1}, {1, 1}},
    {Kind::CrossEntropy, {15, 4}, {15, 4}},  // log-softmax 13 / 2 and its pick 2 / 2
    {Kind::Rope, {3, 3}, {3, 3}},
    {Kind::Embedding, {0, 0}, {1, 1}},
    {Kind::Pooling, {1, 1}, {1, 1}},  // for each element of the window
    {Kind::TopK, {2, 2}, {2, 2}},
    {Kind::Sampling, {10, 10}, {10, 10}},
    {Kind::Quantize, {2, 2}, {2, 2}},
    {Kind::KvWrite, {0, 0}, {1, 1}},
};

const Row* row_of(Kind kind) {
  auto row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.kind == kind; });
  return row == std::end(kRows) ? nullptr : row;
}

bool is_backward(graph::Pass pass) {
  return pass == graph::Pass::InputGradient || pass == graph::Pass::WeightGradient;
}

// SGD reads a weight and its gradient, multiplies and subtracts: 2. Momentum doubles that. Adam: two moments,
// a root and a division.
double optimizer_cycles(const OperatorShape& step) {
  double words = static_cast<double>(step.dims[1]) / bytes_per_element(step.type);
  return words <= 3 ? 2 : words <= 5 ? 4 : 12;
}

double softmax_cycles(double rows, double columns, double per_element, double lanes, VectorCosts costs) {
  double elements = std::ceil(rows * columns / lanes) * per_element;
  if (costs == VectorCosts::Released) return elements + std::ceil(rows / lanes) * columns;
  return rows * std::ceil(columns / lanes) + per_element + elements;
}

bool reduces_rows(const OperatorShape& shape) {
  return !is_backward(shape.pass) &&
         (shape.kind == Kind::Softmax || shape.kind == Kind::CrossEntropy || shape.kind == Kind::Sampling);
}

}  // namespace

std::string_view name(VectorCosts costs) {
  return kNames[static_cast<size_t>(costs)];
}

std::optional<VectorCosts> parse_vector_costs(std::string_view text) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return static_cast<VectorCosts>(i);
  }
  return std::nullopt;
}

double cycles_per_element(const OperatorShape& shape, VectorCosts costs) {
  if (shape.kind == Kind::OptimizerStep) return optimizer_cycles(shape);
  const Row* row = row_of(shape.kind);
  if (!row) return 0;
  const PassCycles& cycles = costs == VectorCosts::Released ? row->released : row->revised;
  double each = is_backward(shape.pass) ? cycles.backward : cycles.forward;
  if (shape.kind == Kind::Pooling)
    each *= static_cast<double>(shape.dims[4]) * static_cast<double>(shape.dims[5]);
  return each;
}

double vector_elements(const OperatorShape& shape) {
  const auto& d = shape.dims;
  if (shape.kind == Kind::OptimizerStep) return static_cast<double>(d[0]);
  if (shape.kind == Kind::Pooling)
    return static_cast<double>(d[0]) * static_cast<double>(d[1]) * static_cast<double>(d[2]) *
           static_cast<double>(d[3]);
  return static_cast<double>(d[0]) * static_cast<double>(d[1]);
}

double vector_cycles(const OperatorShape& shape, double lanes, VectorCosts costs) {
  if (graph::traits(shape.kind).engine != graph::Engine::Vector) return 0;
  double each = cycles_per_element(shape, costs);
  double rows = static_cast<double>(shape.dims[0]), columns = static_cast<double>(shape.dims[1]);
  if (reduces_rows(shape)) return softmax_cycles(rows, columns, each, lanes, costs);
  if (shape.kind == Kind::Mean && costs == VectorCosts::Revised && !is_backward(shape.pass))
    return rows * (std::ceil(columns / lanes) + each);
  return std::ceil(vector_elements(shape) / lanes) * each;
}

double attention_softmax_cycles(const graph::AttentionSize& a, graph::Pass pass, double lanes,
                                VectorCosts costs) {
  double rows = static_cast<double>(a.batch) * static_cast<double>(a.heads) * static_cast<double>(a.query),
         columns = static_cast<double>(a.cached + a.query);
  const PassCycles& cycles = row_of(Kind::Softmax)->revised;
  double forward = softmax_cycles(rows, columns, cycles.forward, lanes, costs);  // backward computes it again
  return is_backward(pass) ? forward + std::ceil(rows * columns / lanes) * cycles.backward : forward;
}

}  // namespace orrery::cost
