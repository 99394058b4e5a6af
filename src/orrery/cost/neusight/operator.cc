#include "orrery/cost/neusight/operator.h"

#include <algorithm>

namespace orrery::cost {
namespace {

using graph::OperatorKind;
using graph::OperatorShape;
using Kind = NeuSightKind;

constexpr std::string_view kNames[kNeuSightKinds] = {"bmm",  "linear", "add",  "mul",     "pow",
                                                     "div",  "addu",   "mulu", "powu",    "divu",
                                                     "relu", "gelu",   "tanh", "softmax", "ln"};

double d(int64_t v) {
  return static_cast<double>(v);
}

// The regressed operator that a vector kind is, or is priced as: operators that were not measured go by the
// nearest one of as many inputs.
std::optional<Kind> vector_kind(OperatorKind kind, int64_t inputs) {
  const bool scalar = inputs < 2;
  switch (kind) {
    case OperatorKind::Add:
    case OperatorKind::Subtract:
      return scalar ? Kind::AddScalar : Kind::Add;
    case OperatorKind::Multiply:
    case OperatorKind::GatedActivation:
      return scalar ? Kind::MulScalar : Kind::Mul;
    case OperatorKind::Divide:
      return scalar ? Kind::DivScalar : Kind::Div;
    case OperatorKind::Power:
      return scalar ? Kind::PowScalar : Kind::Pow;
    case OperatorKind::Relu:
      return Kind::Relu;
    case OperatorKind::Gelu:
    case OperatorKind::Erf:
      return Kind::Gelu;
    case OperatorKind::Tanh:
    case OperatorKind::Sigmoid:
    case OperatorKind::Silu:
    case OperatorKind::Sqrt:
    case OperatorKind::Exp:
    case OperatorKind::Sin:
    case OperatorKind::Cos:
      return Kind::Tanh;
    case OperatorKind::Softmax:
      return Kind::Softmax;
    case OperatorKind::LayerNorm:
    case OperatorKind::RmsNorm:
      return Kind::LayerNorm;
    default:
      return std::nullopt;
  }
}

// Inputs, those that are broadcast included.
int64_t inputs_of(const graph::VectorSize& size) {
  return size.inputs + (size.broadcast > 0 ? 1 : 0);
}

double flops_per_output(Kind kind) {
  return kind == Kind::Softmax ? 5 : kind == Kind::LayerNorm ? 6 : 1;
}

double bytes(const OperatorShape& part) {
  const graph::Traffic traffic = graph::traffic(part);
  return (traffic.read + traffic.written).value();
}

void add_attention(const OperatorShape& part, NeuSightWork& work) {
  const graph::AttentionSize a = graph::attention_size(part);
  const double heads = d(a.batch * a.heads), query = d(a.query), keys = d(a.cached + a.query);
  work.operators.push_back(neusight_product(Kind::Bmm, heads, query, keys, d(a.head_dim)));
  work.operators.push_back(neusight_vector(Kind::Softmax, heads * query, keys));
  work.operators.push_back(neusight_product(Kind::Bmm, heads, query, d(a.value_dim), keys));
}

// The vector parts of a kernel as one operator.
void add_vectors(const std::vector<const OperatorShape*>& parts, NeuSightWork& work) {
  if (parts.empty()) return;
  double moved = 0, flops = 0;
  for (const OperatorShape* part : parts) {
    const graph::VectorSize size = graph::vector_size(*part);
    moved += bytes(*part);
    if (std::optional<Kind> kind = vector_kind(part->kind, inputs_of(size)))
      flops += flops_per_output(*kind) * d(size.rows) * d(size.columns);
  }
  const graph::VectorSize last = graph::vector_size(*parts.back());
  const std::optional<Kind> kind = vector_kind(parts.back()->kind, inputs_of(last));
  const double outputs = d(last.rows) * d(last.columns);
  if (!kind) {
    work.memory_bytes += moved;
  } else if (outputs > 1) {
    NeuSightOperator op = neusight_vector(*kind, d(last.rows), d(last.columns));
    op.bytes_per_output = moved / outputs;
    op.flops_per_output = flops / outputs;
    work.operators.push_back(op);
  }
}

}  // namespace

std::string_view name(Kind kind) {
  return kNames[static_cast<size_t>(kind)];
}

std::optional<Kind> parse_neusight_kind(std::string_view text) {
  auto found = std::find(std::begin(kNames), std::end(kNames), text);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<Kind>(found - std::begin(kNames));
}

NeuSightClass class_of(Kind kind) {
  switch (kind) {
    case Kind::Bmm:
      return NeuSightClass::Bmm;
    case Kind::Linear:
      return NeuSightClass::Linear;
    case Kind::Softmax:
      return NeuSightClass::Softmax;
    case Kind::LayerNorm:
      return NeuSightClass::LayerNorm;
    default:
      return NeuSightClass::Vector;
  }
}

NeuSightOperator neusight_product(Kind kind, double batch, double m, double n, double k) {
  return {.kind = kind, .batch = batch, .m = m, .n = n, .k = k};
}

NeuSightOperator neusight_vector(Kind kind, double rows, double columns, double inputs) {
  if (inputs <= 0) inputs = kind >= Kind::Add && kind <= Kind::Div ? 2 : 1;
  return {.kind = kind,
          .m = rows,
          .n = columns,
          .bytes_per_output = 4 * (inputs + 1),
          .flops_per_output = flops_per_output(kind)};
}

NeuSightWork neusight_work(const graph::Kernel& kernel) {
  NeuSightWork work;
  std::vector<const OperatorShape*> vectors;
  for (const OperatorShape& part : kernel.parts) {
    const graph::Engine engine = graph::traits(part.kind).engine;
    if (engine == graph::Engine::None) continue;
    if (part.type != DataType::FP32 || engine == graph::Engine::Link) {
      work.known = false;
    } else if (part.kind == OperatorKind::Gemm) {
      const graph::GemmSize s = graph::gemm_size(part);
      work.operators.push_back(
          neusight_product(s.batch > 1 ? Kind::Bmm : Kind::Linear, d(s.batch), d(s.m), d(s.n), d(s.k)));
    } else if (part.kind == OperatorKind::Attention && part.pass == graph::Pass::Forward) {
      add_attention(part, work);
    } else if (engine == graph::Engine::Matrix) {
      work.known = false;
    } else if (part.kind == OperatorKind::OptimizerStep || part.kind == OperatorKind::Pooling ||
               part.kind == OperatorKind::TopK) {
      work.memory_bytes += bytes(part);
    } else {
      vectors.push_back(&part);
    }
  }
  add_vectors(vectors, work);
  return work;
}

}  // namespace orrery::cost
