#include "orrery/graph/graph.h"

#include <fmt/format.h>

#include <algorithm>

namespace orrery::graph {

Flops matrix_flops(const Graph& graph) {
  std::vector<Flops> of_kernel(graph.kernels.size());
  for (size_t i = 0; i < graph.kernels.size(); ++i) {
    for (const OperatorShape& part : graph.kernels[i].parts) of_kernel[i] += matrix_flops(part);
  }
  Flops total;
  for (const Operator& op : graph.operators) total += of_kernel[op.kernel];
  return total;
}

Traffic traffic(const Kernel& kernel) {
  Traffic sum;
  for (const OperatorShape& part : kernel.parts) {
    Traffic one = traffic(part);
    sum.read += one.read;
    sum.written += one.written;
    sum.weights += one.weights;
  }
  return sum;
}

Bytes bytes_of(const Graph& graph, TensorKind kind) {
  Bytes total;
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    const Tensor& tensor = graph.tensors[i];
    if (tensor.kind == kind && tensor.storage == i)
      total += tensor.bytes;  // views share storage and count once
  }
  return total;
}

std::string broken_invariant(const Graph& graph) {
  std::vector<bool> produced(graph.tensors.size());
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    const Tensor& tensor = graph.tensors[t];
    if (tensor.storage >= graph.tensors.size()) return fmt::format("tensor {} has no storage", t);
    if (tensor.bytes.value() < 0) return fmt::format("tensor {} has a negative size", t);
    produced[t] = tensor.producer == kNone;
  }
  for (size_t i = 0; i < graph.operators.size(); ++i) {
    const Operator& op = graph.operators[i];
    if (op.kernel >= graph.kernels.size()) return fmt::format("operator {} has no kernel", i);
    if (op.name >= graph.names.size()) return fmt::format("operator {} has no name", i);
    if (op.first_use + op.inputs + op.outputs > graph.uses.size())
      return fmt::format("operator {} has uses past the end", i);
    if (op.layer < -1 || op.layer > graph.layers)
      return fmt::format("operator {} lies in layer {}", i, op.layer);
    for (TensorId t : graph.inputs(op)) {
      if (t >= graph.tensors.size() || !produced[graph.tensors[t].storage]) {
        return fmt::format("operator {} ({}) reads a tensor before it is made", i, graph.names[op.name]);
      }
    }
    for (TensorId t : graph.outputs(op)) {
      if (t >= graph.tensors.size() || graph.tensors[t].producer != i)
        return fmt::format("operator {} does not own its output", i);
      produced[t] = true;
    }
  }
  for (size_t a = 0; a < graph.kernels.size(); ++a) {
    for (size_t b = a + 1; b < graph.kernels.size(); ++b) {
      if (graph.kernels[a] == graph.kernels[b]) return fmt::format("kernels {} and {} are equal", a, b);
    }
  }
  return {};
}

TensorId GraphBuilder::input(Bytes bytes, TensorKind kind) {
  auto id = static_cast<TensorId>(graph_.tensors.size());
  graph_.tensors.push_back({bytes, kNone, id, kind});
  return id;
}

TensorId GraphBuilder::add(std::string_view name, int layer, OperatorShape shape,
                           std::span<const TensorId> inputs, Bytes output) {
  OperatorId op = add(name, layer, Kernel{{shape}}, inputs, std::span<const Bytes>(&output, 1));
  return graph_.outputs(graph_.operators[op])[0];
}

OperatorId GraphBuilder::add(std::string_view name, int layer, Kernel kernel,
                             std::span<const TensorId> inputs, std::span<const Bytes> outputs,
                             OperatorId mirror) {
  auto id = static_cast<OperatorId>(graph_.operators.size());
  Operator op;
  op.kernel = intern(std::move(kernel));
  op.name = intern(name);
  op.layer = layer;
  op.mirror = mirror;
  op.first_use = static_cast<uint32_t>(graph_.uses.size());
  op.inputs = static_cast<uint16_t>(inputs.size());
  op.outputs = static_cast<uint16_t>(outputs.size());
  graph_.uses.insert(graph_.uses.end(), inputs.begin(), inputs.end());
  for (Bytes bytes : outputs) {
    auto tensor = static_cast<TensorId>(graph_.tensors.size());
    graph_.tensors.push_back({bytes, id, tensor, TensorKind::Activation});
    graph_.uses.push_back(tensor);
  }
  graph_.operators.push_back(op);
  return id;
}

TensorId GraphBuilder::view(TensorId of, Bytes bytes) {
  auto id = static_cast<TensorId>(graph_.tensors.size());
  Tensor tensor = graph_.tensors[of];
  tensor.bytes = bytes;
  graph_.tensors.push_back(tensor);
  return id;
}

Graph GraphBuilder::take(int layers) {
  graph_.layers = layers;
  kernels_.clear();
  names_.clear();
  return std::move(graph_);
}

KernelId GraphBuilder::intern(Kernel kernel) {
  uint64_t key = 0;
  for (const OperatorShape& part : kernel.parts) key = key * 31 + hash(part);
  auto [first, last] = kernels_.equal_range(key);
  for (auto it = first; it != last; ++it) {
    if (graph_.kernels[it->second] == kernel) return it->second;
  }
  auto id = static_cast<KernelId>(graph_.kernels.size());
  graph_.kernels.push_back(std::move(kernel));
  kernels_.emplace(key, id);
  return id;
}

NameId GraphBuilder::intern(std::string_view name) {
  auto found = names_.find(name);
  if (found != names_.end()) return found->second;
  auto id = static_cast<NameId>(graph_.names.size());
  graph_.names.emplace_back(name);
  names_.emplace(std::string(name), id);
  return id;
}

}  // namespace orrery::graph
