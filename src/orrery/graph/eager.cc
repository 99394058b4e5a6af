#include "orrery/graph/eager.h"

#include <array>
#include <optional>
#include <span>

namespace orrery::graph {
namespace {

using Kind = OperatorKind;

constexpr EagerDialect kDialects[] = {
    {.family = "gpt2",
     .fused_qkv = true,
     .scale = ScoreScale::DivideByTensor,
     .mask = ScoreMask::Where,
     .decomposed_gelu = true,
     .wide_softmax = false,
     .head_copies = HeadCopies::ByMatmul,
     .embedding_dropout = true},
    {"gpt_neo", false, ScoreScale::None, ScoreMask::Where, true, false},
    {"gpt_neox", true, ScoreScale::Multiply, ScoreMask::Add, false, false},
    {.family = "opt",
     .fused_qkv = false,
     .scale = ScoreScale::MultiplyQuery,
     .mask = ScoreMask::Add,
     .decomposed_gelu = false,
     .wide_softmax = false,
     .head_copies = HeadCopies::Written,
     .attention_dropout = false,
     .contiguous_logits = true,
     .counted_positions = true},
    {.family = "bert",
     .fused_qkv = false,
     .scale = ScoreScale::Divide,
     .mask = ScoreMask::AddKeys,
     .decomposed_gelu = false,
     .wide_softmax = false,
     .head_copies = HeadCopies::ByMatmul,
     .embedding_dropout = true,
     .key_mask = true},
    {.family = "t5",
     .fused_qkv = false,
     .scale = ScoreScale::None,
     .mask = ScoreMask::Add,
     .decomposed_gelu = true,
     .wide_softmax = false,
     .head_copies = HeadCopies::ByMatmul,
     .embedding_dropout = true,
     .inner_dropout = true},
    {.family = "switch_transformers",
     .fused_qkv = false,
     .scale = ScoreScale::None,
     .mask = ScoreMask::Add,
     .decomposed_gelu = true,
     .wide_softmax = false,
     .head_copies = HeadCopies::ByMatmul,
     .embedding_dropout = true,
     .inner_dropout = true,
     .sequential_experts = true},
    {"vit", false, ScoreScale::Multiply, ScoreMask::None, false, false},
    {"clip", false, ScoreScale::Multiply, ScoreMask::Add, false, false},
    {"", false, ScoreScale::Multiply, ScoreMask::Add, false, true},
};

// One operator of an expansion. Operands: kMain and kSecond are the inputs of the operator that is
// replaced, numbers from 0 are earlier results, kScalar is nothing (a scalar, or tables of positions that
// count as broadcast).
constexpr int8_t kMain = -1, kSecond = -2, kScalar = -4;
struct Primitive {
  Kind kind;
  int8_t a, b = kScalar;
  bool narrow = false;  // one value a row
  bool half = false;    // half of the columns
};

constexpr Primitive kRmsNorm[] = {
    {Kind::Power, kMain},           {Kind::Mean, 0, kScalar, true}, {Kind::Add, 1, kScalar, true},
    {Kind::Sqrt, 2, kScalar, true}, {Kind::Multiply, kMain, 3},     {Kind::Multiply, 4, kSecond},
};
// 16-bit models square and average in FP32: one pass each way.
constexpr Primitive kRmsNormWide[] = {
    {Kind::Copy, kMain},
    {Kind::Power, 0},
    {Kind::Mean, 1, kScalar, true},
    {Kind::Add, 2, kScalar, true},
    {Kind::Sqrt, 3, kScalar, true},
    {Kind::Multiply, 0, 4},
    {Kind::Copy, 5},
    {Kind::Multiply, 6, kSecond},
};
constexpr Primitive kTanhGelu[] = {
    {Kind::Multiply, kMain}, {Kind::Power, kMain}, {Kind::Multiply, 1}, {Kind::Add, kMain, 2},
    {Kind::Multiply, 3},     {Kind::Tanh, 4},      {Kind::Add, 5},      {Kind::Multiply, 0, 6},
};
constexpr Primitive kQuickGelu[] = {{Kind::Multiply, kMain}, {Kind::Sigmoid, 0}, {Kind::Multiply, kMain, 1}};
constexpr Primitive kRope[] = {
    {Kind::Multiply, kMain}, {Kind::Copy, kMain, kScalar, false, true},
    {Kind::Copy, kMain},     {Kind::Multiply, 2},
    {Kind::Add, 0, 3},
};
constexpr Primitive kGatedSilu[] = {{Kind::Silu, kMain}, {Kind::Multiply, 0, kSecond}};
constexpr Primitive kGatedGelu[] = {{Kind::Gelu, kMain}, {Kind::Multiply, 0, kSecond}};
constexpr Primitive kGatedRelu[] = {{Kind::Relu, kMain}, {Kind::Multiply, 0, kSecond}};
constexpr Primitive kGatedTanhGelu[] = {
    {Kind::Multiply, kMain}, {Kind::Power, kMain},   {Kind::Multiply, 1},
    {Kind::Add, kMain, 2},   {Kind::Multiply, 3},    {Kind::Tanh, 4},
    {Kind::Add, 5},          {Kind::Multiply, 0, 6}, {Kind::Multiply, 7, kSecond},
};

struct Expansion {
  Kind kind;
  std::optional<Activation> activation;  // only under this one
  bool decomposed_gelu, sixteen_bit;     // only in dialects, or types, that do so
  std::span<const Primitive> operators;
};
// The first row that applies is taken.
constexpr Expansion kExpansions[] = {
    {Kind::RmsNorm, {}, false, true, kRmsNormWide},
    {Kind::RmsNorm, {}, false, false, kRmsNorm},
    {Kind::Gelu, Activation::GeluTanh, true, false, kTanhGelu},
    {Kind::Gelu, Activation::QuickGelu, false, false, kQuickGelu},
    {Kind::GatedActivation, Activation::GeluTanh, true, false, kGatedTanhGelu},
    {Kind::GatedActivation, Activation::GeluTanh, false, false, kGatedGelu},
    {Kind::GatedActivation, Activation::Gelu, false, false, kGatedGelu},
    {Kind::GatedActivation, Activation::Relu, false, false, kGatedRelu},
    {Kind::GatedActivation, {}, false, false, kGatedSilu},
    {Kind::Rope, {}, false, false, kRope},
};

const Expansion* expansion_of(const OperatorShape& shape, const EagerDialect& dialect,
                              Activation activation) {
  for (const Expansion& row : kExpansions) {
    if (row.kind != shape.kind) continue;
    if (row.activation && *row.activation != activation) continue;
    if (row.decomposed_gelu && !dialect.decomposed_gelu) continue;
    if (row.sixteen_bit && bytes_per_element(shape.type) != 2) continue;
    return &row;
  }
  return nullptr;
}

void expand(Block& block, const Step& step, const Expansion& expansion, bool one_operand,
            std::vector<Step>& out) {
  VectorSize whole = vector_size(step.shape());
  std::vector<ValueId> results;
  auto operand = [&](int8_t reference) {
    return reference >= 0 ? results[static_cast<size_t>(reference)]
                          : step.inputs[static_cast<size_t>(-1 - reference)];
  };
  for (const Primitive& primitive : expansion.operators) {
    VectorSize size{.rows = whole.rows, .columns = primitive.half ? whole.columns / 2 : whole.columns};
    auto full = static_cast<double>(size.rows * size.columns);
    bool reduces = primitive.kind == Kind::Mean;
    bool last = &primitive == &expansion.operators.back();
    Step next;
    next.name = step.name;
    next.core = step.core;
    next.inputs = {operand(primitive.a)};
    if (primitive.narrow && !reduces) size.columns = 1;
    if (primitive.b != kScalar && !(last && one_operand && step.shape().kind == Kind::Gelu)) {
      ValueId second = operand(primitive.b);
      next.inputs.push_back(second);
      if (block.values[second].elements < full) {
        size.broadcast = static_cast<int64_t>(block.values[second].elements);
      } else {
        size.inputs = 2;
      }
    } else if (step.shape().kind == Kind::Rope && primitive.kind == Kind::Multiply) {
      size.broadcast = whole.broadcast;
    }
    ValueId result =
        last ? step.outputs[0]
             : block.add_value(primitive.narrow ? static_cast<double>(size.rows) : full, step.shape().type);
    next.outputs = {result};
    next.kernel.parts = {make(primitive.kind, size, step.shape().type)};
    results.push_back(result);
    out.push_back(std::move(next));
  }
}

}  // namespace

const EagerDialect& eager_dialect(std::string_view family) {
  const EagerDialect* row = kDialects;
  while (!row->family.empty() && row->family != family) ++row;
  return *row;
}

void expand_eager(Block& block, const EagerDialect& dialect, Activation activation, bool one_operand) {
  std::vector<Step> expanded;
  expanded.reserve(block.forward.size() * 2);
  for (Step& step : block.forward) {
    const Expansion* expansion = step.is_view() ? nullptr : expansion_of(step.shape(), dialect, activation);
    if (expansion == nullptr) {
      expanded.push_back(std::move(step));
    } else {
      expand(block, step, *expansion, one_operand, expanded);
    }
  }
  block.forward = std::move(expanded);
}

}  // namespace orrery::graph
