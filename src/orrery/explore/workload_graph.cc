#include "orrery/explore/workload_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <vector>

#include "orrery/base/storage.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/readers/onnx.h"
#include "orrery/graph/readers/operator_csv.h"
#include "orrery/graph/readers/scalesim_topology.h"

namespace orrery::explore {
namespace {

using graph::Graph;
using graph::Kernel;
using graph::kNone;
using graph::OperatorId;
using graph::OperatorKind;
using graph::OperatorShape;
using graph::Pass;
using graph::TensorId;

constexpr size_t kInputs = 2, kOutputs = 4;  // places in the sizes of a vector operator

constexpr OperatorKind kEpilogues[] = {
    OperatorKind::Add,     OperatorKind::Subtract,  OperatorKind::Multiply, OperatorKind::Divide,
    OperatorKind::Power,   OperatorKind::Sqrt,      OperatorKind::Tanh,     OperatorKind::Sigmoid,
    OperatorKind::Relu,    OperatorKind::Gelu,      OperatorKind::Silu,     OperatorKind::Erf,
    OperatorKind::Exp,     OperatorKind::Dropout,   OperatorKind::Mask,     OperatorKind::LayerNorm,
    OperatorKind::RmsNorm, OperatorKind::BatchNorm, OperatorKind::Quantize,
};

bool is_epilogue(const Kernel& kernel) {
  return std::ranges::all_of(kernel.parts, [](const OperatorShape& part) {
    return std::ranges::find(kEpilogues, part.kind) != std::end(kEpilogues);
  });
}

bool is_product(const Kernel& kernel) {
  return std::ranges::any_of(kernel.parts, [](const OperatorShape& part) {
    return graph::traits(part.kind).engine == graph::Engine::Matrix;
  });
}

// A graph with operators joined: each to a group, which stands where its first member stood.
struct Groups {
  explicit Groups(const Graph& graph) : head(graph.operators.size()), members(graph.operators.size()) {
    for (size_t v = 0; v < head.size(); ++v) {
      head[v] = static_cast<OperatorId>(v);
      members[v] = {head[v]};
    }
  }
  void join(OperatorId group, OperatorId op) {
    head[op] = group;
    members[group].push_back(op);
    members[op].clear();
  }
  std::vector<OperatorId> head;
  std::vector<std::vector<OperatorId>> members;  // by head; empty for the others
};

class Rebuilder {
 public:
  explicit Rebuilder(const Graph& graph) : graph_(graph), tensor_(graph.tensors.size(), kNone) {}

  template <class MakeKernel>
  Graph run(const Groups& groups, MakeKernel kernel) {
    std::vector<OperatorId> made(graph_.operators.size(), kNone);
    for (size_t v = 0; v < graph_.operators.size(); ++v) {
      if (groups.members[v].empty()) continue;
      const graph::Operator& first = graph_.operators[v];
      std::vector<TensorId> inputs, outputs;
      std::vector<Bytes> bytes;
      for (OperatorId member : groups.members[v]) {
        const graph::Operator& op = graph_.operators[member];
        for (TensorId in : graph_.inputs(op)) {
          const OperatorId producer = graph_.tensors[in].producer;
          if (producer != kNone && groups.head[producer] == v) continue;  // handed on within the group
          const TensorId mapped = map(in);
          if (std::ranges::find(inputs, mapped) == inputs.end()) inputs.push_back(mapped);
        }
        for (TensorId out : graph_.outputs(op)) {
          outputs.push_back(out);
          bytes.push_back(graph_.tensors[out].bytes);
        }
      }
      const OperatorId mirror = first.mirror == kNone ? kNone : made[groups.head[first.mirror]];
      const OperatorId id = builder_.add(graph_.names[first.name], first.layer, kernel(groups.members[v]),
                                         inputs, bytes, mirror);
      made[v] = id;
      const Graph& built = builder_.graph();
      for (size_t i = 0; i < outputs.size(); ++i) {
        tensor_[outputs[i]] = built.outputs(built.operators[id])[i];
        builder_.unchecked().tensors[tensor_[outputs[i]]].kind = graph_.tensors[outputs[i]].kind;
      }
    }
    return builder_.take(graph_.layers);
  }

 private:
  TensorId map(TensorId t) {
    if (tensor_[t] != kNone) return tensor_[t];
    const graph::Tensor& tensor = graph_.tensors[t];
    tensor_[t] = tensor.storage != t ? builder_.view(map(tensor.storage), tensor.bytes)
                                     : builder_.input(tensor.bytes, tensor.kind);
    return tensor_[t];
  }

  const Graph& graph_;
  graph::GraphBuilder builder_;
  std::vector<TensorId> tensor_;
};

Graph in_words(const Graph& graph, DataType words) {
  auto floating = [](DataType type) {
    return type == DataType::FP64 || type == DataType::FP32 || type == DataType::FP16 ||
           type == DataType::BF16;
  };
  return Rebuilder(graph).run(Groups(graph), [&](const std::vector<OperatorId>& members) {
    Kernel kernel = graph.kernels[graph.operators[members.front()].kernel];
    for (OperatorShape& part : kernel.parts) {
      if (part.kind == OperatorKind::OptimizerStep && floating(part.type)) {
        const double ratio = bytes_per_element(words) / bytes_per_element(part.type);
        part.dims[1] = static_cast<int64_t>(static_cast<double>(part.dims[1]) * ratio);
      }
      if (floating(part.type)) part.type = words;
      if (floating(part.stored)) part.stored = words;
    }
    return kernel;
  });
}

// Operators that read what each one makes.
std::vector<std::vector<OperatorId>> readers_of(const Graph& graph) {
  std::vector<std::vector<OperatorId>> readers(graph.operators.size());
  for (size_t v = 0; v < graph.operators.size(); ++v) {
    for (TensorId in : graph.inputs(graph.operators[v])) {
      const OperatorId producer = graph.tensors[in].producer;
      if (producer == kNone) continue;
      auto& list = readers[producer];
      if (list.empty() || list.back() != v) list.push_back(static_cast<OperatorId>(v));
    }
  }
  return readers;
}

Pass pass_of(const Graph& graph, OperatorId op) {
  return graph.kernels[graph.operators[op].kernel].parts.front().pass;
}

// The one operator whose result this one reads; kNone where there are several or none.
OperatorId sole_producer(const Graph& graph, OperatorId op) {
  OperatorId found = kNone;
  for (TensorId in : graph.inputs(graph.operators[op])) {
    const OperatorId producer = graph.tensors[in].producer;
    if (producer == kNone || producer == found) continue;
    if (found != kNone) return kNone;
    found = producer;
  }
  return found;
}

// The kernel of a product and what follows it. What only the next member reads stays on chip.
Kernel fused_kernel(const Graph& graph, const std::vector<OperatorId>& members,
                    const std::vector<std::vector<OperatorId>>& readers) {
  Kernel kernel = graph.kernels[graph.operators[members.front()].kernel];
  const bool product_kept = readers[members.front()].size() > 1;
  for (size_t i = 1; i < members.size(); ++i) {
    Kernel next = graph.kernels[graph.operators[members[i]].kernel];
    OperatorShape& first = next.parts.front();
    first.dims[kInputs] = std::max<int64_t>(0, first.dims[kInputs] - 1);
    const bool last = i + 1 == members.size();
    // The model writes every product's result: where that is not kept, it stands for the last one's.
    const bool written = last ? product_kept : readers[members[i]].size() > 1;
    if (!written) next.parts.back().dims[kOutputs] = 0;
    kernel.parts.insert(kernel.parts.end(), next.parts.begin(), next.parts.end());
  }
  return kernel;
}

}  // namespace

Graph fuse_products(const Graph& graph) {
  const std::vector<std::vector<OperatorId>> readers = readers_of(graph);
  Groups groups(graph);
  for (size_t v = 0; v < graph.operators.size(); ++v) {
    const auto op = static_cast<OperatorId>(v);
    if (!is_epilogue(graph.kernels[graph.operators[v].kernel])) continue;
    const OperatorId before = sole_producer(graph, op);
    if (before == kNone) continue;
    const OperatorId head = groups.head[before];
    const Pass pass = pass_of(graph, before);
    const auto same_pass = std::ranges::count_if(
        readers[before], [&](OperatorId reader) { return pass_of(graph, reader) == pass; });
    const bool alone = pass == Pass::Forward ? same_pass == 1 : readers[before].size() == 1;
    if (alone && pass_of(graph, op) == pass && groups.members[head].back() == before &&
        is_product(graph.kernels[graph.operators[head].kernel]) &&
        graph.operators[head].layer == graph.operators[v].layer)
      groups.join(head, op);
  }
  return Rebuilder(graph).run(
      groups, [&](const std::vector<OperatorId>& members) { return fused_kernel(graph, members, readers); });
}

Graph lump_backward(const Graph& graph) {
  Groups groups(graph);
  std::vector<OperatorId> first(graph.operators.size(), kNone);  // gradient of each forward operator
  for (size_t v = 0; v < graph.operators.size(); ++v) {
    const graph::Operator& op = graph.operators[v];
    const Pass pass = pass_of(graph, static_cast<OperatorId>(v));
    if (op.mirror == kNone || (pass != Pass::InputGradient && pass != Pass::WeightGradient)) continue;
    OperatorId& head = first[op.mirror];
    if (head == kNone) {
      head = static_cast<OperatorId>(v);
      continue;
    }
    const bool there = std::ranges::all_of(graph.inputs(op), [&](TensorId in) {
      const OperatorId producer = graph.tensors[in].producer;
      return producer == kNone || groups.head[producer] < head;
    });
    if (there) groups.join(head, static_cast<OperatorId>(v));
  }
  return Rebuilder(graph).run(groups, [&](const std::vector<OperatorId>& members) {
    Kernel kernel;
    for (OperatorId member : members) {
      const Kernel& part = graph.kernels[graph.operators[member].kernel];
      kernel.parts.insert(kernel.parts.end(), part.parts.begin(), part.parts.end());
    }
    return kernel;
  });
}

Graph stage_graph(const Graph& graph, int first, int last, bool backward) {
  Groups groups(graph);
  for (size_t v = 0; v < graph.operators.size(); ++v) {
    const int layer = std::clamp(graph.operators[v].layer, 0, graph.layers - 1);
    const Pass pass = pass_of(graph, static_cast<OperatorId>(v));
    const bool forward = pass == Pass::Forward;
    if (layer < first || layer >= last || pass == Pass::Optimizer || forward == backward)
      groups.members[v].clear();
  }
  return Rebuilder(graph).run(groups, [&](const std::vector<OperatorId>& members) {
    return graph.kernels[graph.operators[members.front()].kernel];
  });
}

Graph workload_graph(Graph graph, const WorkloadGraphOptions& options) {
  if (options.words) graph = in_words(graph, *options.words);
  if (options.fuse_products) graph = fuse_products(graph);
  if (options.backward == BackwardForm::Lumped) graph = lump_backward(graph);
  return graph;
}

AcceleratorWorkload read_workload(const WorkloadRequest& request) {
  if (request.batch < 1) throw InputError(fmt::format("a batch of {}: expected at least 1", request.batch));
  AcceleratorWorkload workload;
  workload.samples = static_cast<double>(request.batch);
  if (request.source.ends_with(".onnx")) {
    graph::OnnxOptions options;
    options.batch = request.batch;
    options.train = request.train;
    options.optimizer = request.optimizer;
    workload.name = std::filesystem::path(request.source).stem().string();
    workload.graph = graph::read_onnx(request.source, options).graph;
  } else if (request.source.ends_with(".csv")) {
    const std::string text = read_file(request.source);
    workload.name = std::filesystem::path(request.source).stem().string();
    workload.graph = graph::is_scalesim_topology(text) ? graph::parse_scalesim_topology(text, request.source)
                                                       : graph::parse_operator_csv(text, request.source);
  } else {
    const graph::ModelConfig model = graph::find_model(request.source);
    graph::Workload work;
    work.mode = request.train ? graph::Mode::Train : graph::Mode::Prefill;
    work.batch = request.batch;
    work.sequence = request.sequence;
    work.attention = graph::AttentionKernel::Eager;
    work.optimizer = request.optimizer;
    work.keep_cache = false;
    work.parallel.tensor = request.tensor;
    workload.name = std::filesystem::path(request.source).stem().string();
    workload.graph = graph::build_graph(model, work);
  }
  workload.graph = workload_graph(std::move(workload.graph), request.options);
  return workload;
}

}  // namespace orrery::explore
