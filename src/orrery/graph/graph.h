// An operator graph: interned kernels, small operators in topological order, tensors with their bytes.
//
// Invariants: operators stand in topological order; each tensor has at most one producer, and it comes before
// its users; kernels are distinct; `uses` holds, for each operator from first_use on, its input tensors and
// then its output tensors. A graph describes one device's share of the work (tensor-parallel splits are
// already applied, collectives are operators).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "orrery/graph/operator_shape.h"

namespace orrery::graph {

using KernelId = uint32_t;
using OperatorId = uint32_t;
using TensorId = uint32_t;
using NameId = uint32_t;
inline constexpr uint32_t kNone = UINT32_MAX;

// What is launched as one: several parts when fused.
struct Kernel {
  std::vector<OperatorShape> parts;
  bool operator==(const Kernel&) const = default;
};

struct Operator {
  KernelId kernel = 0;
  int32_t layer = 0;          // −1 before the first layer, the number of layers after the last
  OperatorId mirror = kNone;  // backward: the forward operator whose gradient this is
  uint32_t first_use = 0;
  uint16_t inputs = 0, outputs = 0;
  NameId name = 0;  // "attention.qkv", shared by all layers
};

enum class TensorKind : uint8_t { Activation, Weight, Gradient, OptimizerState, KvCache, Input };

struct Tensor {
  Bytes bytes;
  OperatorId producer = kNone;  // kNone: an input, a weight or a cache
  uint32_t storage = kNone;     // views share their source's storage
  TensorKind kind = TensorKind::Activation;
};

struct Graph {
  std::vector<Kernel> kernels;
  std::vector<Operator> operators;
  std::vector<Tensor> tensors;
  std::vector<TensorId> uses;
  std::vector<std::string> names;
  int layers = 0;

  std::span<const TensorId> inputs(const Operator& op) const {
    return {uses.data() + op.first_use, op.inputs};
  }
  std::span<const TensorId> outputs(const Operator& op) const {
    return {uses.data() + op.first_use + op.inputs, op.outputs};
  }
};

Flops matrix_flops(const Graph&);
Traffic traffic(const Kernel&);  // the sum over its parts
Bytes bytes_of(const Graph&, TensorKind);
// Checks the invariants; the text names the first that is broken, empty when all hold.
std::string broken_invariant(const Graph&);

// Builds a graph in topological order and interns its kernels.
class GraphBuilder {
 public:
  TensorId input(Bytes bytes, TensorKind kind);
  // Adds an operator with one new output tensor of `bytes`.
  TensorId add(std::string_view name, int layer, OperatorShape shape, std::span<const TensorId> inputs,
               Bytes output);
  // The general form: a fused kernel, any number of outputs; returns the operator.
  OperatorId add(std::string_view name, int layer, Kernel kernel, std::span<const TensorId> inputs,
                 std::span<const Bytes> outputs, OperatorId mirror = kNone);
  // A view of another tensor: shares its storage, costs nothing.
  TensorId view(TensorId of, Bytes bytes);
  const Graph& graph() const { return graph_; }
  Graph take(int layers);

  // For builders that stamp many equal layers: intern once, then append to the graph itself.
  KernelId intern(Kernel kernel);
  NameId intern(std::string_view name);
  Graph& unchecked() { return graph_; }

 private:
  Graph graph_;
  std::unordered_multimap<uint64_t, KernelId> kernels_;
  std::map<std::string, NameId, std::less<>> names_;
};

}  // namespace orrery::graph
