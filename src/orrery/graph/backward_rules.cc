#include "orrery/graph/backward_rules.h"

#include <algorithm>
#include <iterator>

namespace orrery::graph {
namespace {

using Kind = OperatorKind;

using Operators = std::array<BackwardOperator, 3>;

constexpr Operators only(Kind kind) {
  return {{{kind}}};
}
constexpr Operators kNothing = {};

constexpr BackwardRule kRules[] = {
    {Kind::Gemm, Flow::Products, kNothing, Saved::Inputs, WeightFlow::Product},
    {Kind::GroupedGemm, Flow::Joint, only(Kind::GroupedGemm), Saved::Nothing, WeightFlow::Product},
    {Kind::Convolution, Flow::Joint, only(Kind::Convolution), Saved::Nothing, WeightFlow::Product},
    {Kind::Attention, Flow::Joint, only(Kind::Attention), Saved::Both, WeightFlow::None},
    {Kind::Add, Flow::Through, kNothing, Saved::Nothing, WeightFlow::None},
    {Kind::Subtract, Flow::Through, kNothing, Saved::Nothing, WeightFlow::None},
    {Kind::Multiply, Flow::Each, only(Kind::Multiply), Saved::Inputs, WeightFlow::None},
    {Kind::Divide, Flow::Each, only(Kind::Divide), Saved::Inputs, WeightFlow::None},
    {Kind::Power,
     Flow::Each,
     {{{Kind::Power}, {Kind::Multiply}, {Kind::Multiply}}},
     Saved::Inputs,
     WeightFlow::None},
    {Kind::Sqrt, Flow::Each, only(Kind::Sqrt), Saved::Output, WeightFlow::None},
    {Kind::Tanh, Flow::Each, only(Kind::Tanh), Saved::Output, WeightFlow::None},
    {Kind::Sigmoid, Flow::Each, only(Kind::Sigmoid), Saved::Output, WeightFlow::None},
    {Kind::Relu, Flow::Each, only(Kind::Relu), Saved::Output, WeightFlow::None},
    {Kind::Gelu, Flow::Each, only(Kind::Gelu), Saved::Inputs, WeightFlow::None},
    {Kind::Silu, Flow::Each, only(Kind::Silu), Saved::Inputs, WeightFlow::None},
    {Kind::HardSwish, Flow::Each, only(Kind::HardSwish), Saved::Inputs, WeightFlow::None},
    {Kind::HardSigmoid, Flow::Each, only(Kind::HardSigmoid), Saved::Inputs, WeightFlow::None},
    {Kind::Erf, Flow::Each, only(Kind::Erf), Saved::Inputs, WeightFlow::None},
    {Kind::Exp, Flow::Each, only(Kind::Exp), Saved::Output, WeightFlow::None},
    {Kind::Sin, Flow::Each, only(Kind::Sin), Saved::Inputs, WeightFlow::None},
    {Kind::Cos, Flow::Each, only(Kind::Cos), Saved::Inputs, WeightFlow::None},
    {Kind::GatedActivation, Flow::Joint, only(Kind::GatedActivation), Saved::Inputs, WeightFlow::None},
    {Kind::Dropout, Flow::Each, only(Kind::Dropout), Saved::Nothing, WeightFlow::None},
    {Kind::Mask, Flow::Each, only(Kind::Mask), Saved::Nothing, WeightFlow::None},
    {Kind::Fill, Flow::None, kNothing, Saved::Nothing, WeightFlow::None},
    {Kind::Copy, Flow::Each, only(Kind::Copy), Saved::Nothing, WeightFlow::None},
    {Kind::Softmax, Flow::Joint, only(Kind::Softmax), Saved::Output, WeightFlow::None},
    {Kind::LayerNorm, Flow::Joint, only(Kind::LayerNorm), Saved::Inputs, WeightFlow::Reduction},
    {Kind::RmsNorm, Flow::Joint, only(Kind::RmsNorm), Saved::Inputs, WeightFlow::Reduction},
    {Kind::BatchNorm, Flow::Joint, only(Kind::BatchNorm), Saved::Inputs, WeightFlow::Reduction},
    {Kind::Mean, Flow::Joint, only(Kind::Mean), Saved::Nothing, WeightFlow::None},
    {Kind::Reduce, Flow::Joint, only(Kind::Reduce), Saved::Nothing, WeightFlow::None},
    {Kind::CrossEntropy, Flow::Joint, only(Kind::CrossEntropy), Saved::Inputs, WeightFlow::None},
    {Kind::Rope, Flow::Joint, only(Kind::Rope), Saved::Nothing, WeightFlow::None},
    {Kind::Embedding, Flow::None, kNothing, Saved::Nothing, WeightFlow::Scatter},
    {Kind::Pooling, Flow::Joint, only(Kind::Pooling), Saved::Nothing, WeightFlow::None},
    {Kind::TopK, Flow::Joint, only(Kind::TopK), Saved::Nothing, WeightFlow::None},
    {Kind::Sampling, Flow::None, kNothing, Saved::Nothing, WeightFlow::None},
    {Kind::Quantize, Flow::Through, kNothing, Saved::Nothing, WeightFlow::None},
    {Kind::KvWrite, Flow::None, kNothing, Saved::Nothing, WeightFlow::None},
    {Kind::OptimizerStep, Flow::None, kNothing, Saved::Nothing, WeightFlow::None},
    {Kind::AllReduce, Flow::Through, kNothing, Saved::Nothing, WeightFlow::None},
    {Kind::AllGather, Flow::Joint, only(Kind::ReduceScatter), Saved::Nothing, WeightFlow::None},
    {Kind::ReduceScatter, Flow::Joint, only(Kind::AllGather), Saved::Nothing, WeightFlow::None},
    {Kind::AllToAll, Flow::Joint, only(Kind::AllToAll), Saved::Nothing, WeightFlow::None},
    {Kind::SendReceive, Flow::Joint, only(Kind::SendReceive), Saved::Nothing, WeightFlow::None},
    {Kind::View, Flow::Through, kNothing, Saved::Nothing, WeightFlow::None},
};
static_assert(std::size(kRules) == kOperatorKinds);

constexpr BackwardOperator kPass = {Kind::Fill, 0};
constexpr Operators kTwoPasses = {{kPass, kPass}};
constexpr Operators same(Kind kind, int8_t inputs) {
  return {{{kind, inputs}}};
}

// The rows of PerOperator that differ.
constexpr BackwardRule kPerOperator[] = {
    {Kind::Gemm, Flow::Products, kNothing, Saved::Inputs, WeightFlow::Product},
    {Kind::Add, Flow::Each, {{kPass}}, Saved::Nothing, WeightFlow::None},
    {Kind::Subtract, Flow::Each, {{kPass}}, Saved::Nothing, WeightFlow::None},
    {Kind::Power,
     Flow::Each,
     {{{Kind::Power, 1}, {Kind::Multiply, 2}, {Kind::Multiply, 1}}},
     Saved::Inputs,
     WeightFlow::None},
    {Kind::Sqrt, Flow::Each, same(Kind::Copy, 1), Saved::Nothing, WeightFlow::None},
    {Kind::Tanh, Flow::Each, {{{Kind::Multiply, 1}, {Kind::Add, 1}}}, Saved::Nothing, WeightFlow::None},
    {Kind::Relu, Flow::Each, same(Kind::Relu, 1), Saved::Nothing, WeightFlow::None},
    {Kind::Gelu, Flow::Each, same(Kind::Gelu, 1), Saved::Nothing, WeightFlow::None},
    {Kind::Dropout, Flow::First, kTwoPasses, Saved::Nothing, WeightFlow::None},
    {Kind::Mask, Flow::First, kTwoPasses, Saved::Nothing, WeightFlow::None},
    {Kind::Copy, Flow::First, kTwoPasses, Saved::Nothing, WeightFlow::None},
    {Kind::Mean, Flow::First, kTwoPasses, Saved::Nothing, WeightFlow::None},
    {Kind::Softmax,
     Flow::First,
     {{{Kind::Multiply, 2}, {Kind::Softmax, 1}}},
     Saved::Output,
     WeightFlow::None},
    {Kind::Embedding, Flow::None, kNothing, Saved::Nothing, WeightFlow::Passes},
};
constexpr BackwardRule kNormIsProduct = {
    Kind::LayerNorm, Flow::First, {{{Kind::Multiply, 2}}}, Saved::Inputs, WeightFlow::Accumulated};

constexpr bool table_is_in_order() {
  for (size_t i = 0; i < kOperatorKinds; ++i) {
    if (kRules[i].kind != static_cast<Kind>(i)) return false;
  }
  return true;
}
static_assert(table_is_in_order());

}  // namespace

BackwardTable backward_table(const EagerOptions& options, int64_t heads) {
  BackwardTable table{};
  std::ranges::copy(kRules, table.rules.begin());
  table.needless = options.needless_gradients;
  table.every_bias = options.bias_everywhere;
  if (options.repeated_score_shapes) table.softmax_columns = heads;
  auto replace = [&](const BackwardRule& rule) { table.rules[static_cast<size_t>(rule.kind)] = rule; };
  if (options.gradients == GradientRules::PerOperator) {
    std::ranges::for_each(kPerOperator, replace);
    table.sums = table.reductions = false;
  }
  if (options.norm_gradient_is_product) replace(kNormIsProduct);
  return table;
}

}  // namespace orrery::graph
