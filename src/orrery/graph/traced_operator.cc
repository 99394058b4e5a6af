#include "orrery/graph/traced_operator.h"

#include <fmt/format.h>

#include <vector>

#include "orrery/base/error.h"

namespace orrery::graph {
namespace {

using Kind = OperatorKind;

// `two`: read two tensors; `one`: a tensor, or a tensor and a scalar.
struct Name {
  Kind kind;
  std::string_view two, one;
};
constexpr Name kNames[] = {
    {Kind::Add, "VECadd", "VECaddu"},    {Kind::Multiply, "VECmul", "VECmulu"},
    {Kind::Divide, "VECdiv", "VECdivu"}, {Kind::Power, "VECpow", "VECpowu"},
    {Kind::Tanh, "VECtanh", "VECtanh"},  {Kind::Relu, "VECrelu", "VECrelu"},
    {Kind::Gelu, "VECgelu", "VECgelu"},  {Kind::Softmax, "VECsoftmax", "VECsoftmax"},
    {Kind::LayerNorm, "VECln", "VECln"},
};

constexpr std::string_view kSlice = "head.select";

}  // namespace

TracedOperator traced_operator(const OperatorShape& shape) {
  const auto& d = shape.dims;
  switch (shape.kind) {
    case Kind::View:
      return {};
    case Kind::Gemm:
      return d[0] == 1 ? TracedOperator{"Linear", {d[1], d[3], d[2]}}
                       : TracedOperator{"BMM", {d[0], d[1], d[3], d[2]}};
    case Kind::AllReduce:
    case Kind::SendReceive:
      return {shape.kind == Kind::AllReduce ? "ALLREDUCE" : "SENDRECV",
              {d[0] / static_cast<int64_t>(bytes_per_element(DataType::FP32))}};
    case Kind::Embedding:  // an index read and a row written for each token
      return {"MEM", {d[0] + d[0] * d[1]}};
    default:
      break;
  }
  for (const Name& row : kNames) {
    if (row.kind == shape.kind) return {d[2] > 1 || d[3] > 0 ? row.two : row.one, {d[0], d[1]}};
  }
  if (traits(shape.kind).engine != Engine::Vector) {
    throw InputError(fmt::format("{}: no such operator in NeuSight's lettering", traits(shape.kind).name));
  }
  Traffic moved = traffic(shape);
  return {"MEM",
          {static_cast<int64_t>((moved.read + moved.written).value() / bytes_per_element(shape.type))}};
}

std::map<TracedOperator, int64_t> traced_operators(const Graph& graph) {
  std::map<TracedOperator, int64_t> count;
  for (const Operator& op : graph.operators) {
    if (graph.names[op.name] == kSlice) continue;
    for (const OperatorShape& part : graph.kernels[op.kernel].parts) {
      TracedOperator traced = traced_operator(part);
      if (!traced.name.empty()) ++count[traced];
    }
  }
  return count;
}

std::string to_string(const TracedOperator& op) {
  std::vector<int64_t> dims(op.dims.begin(), op.dims.end());
  while (dims.size() > 1 && dims.back() == 0) dims.pop_back();
  return fmt::format("{}({})", op.name, fmt::join(dims, ", "));
}

}  // namespace orrery::graph
