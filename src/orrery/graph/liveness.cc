#include "orrery/graph/liveness.h"

#include <algorithm>
#include <vector>

namespace orrery::graph {
namespace {

bool passes(TensorKind kind) {
  return kind == TensorKind::Activation || kind == TensorKind::Input || kind == TensorKind::Gradient;
}

}  // namespace

LivePeak peak_of_live_activations(const Graph& graph) {
  size_t tensors = graph.tensors.size();
  std::vector<uint32_t> last(tensors, kNone);  // by storage: the last operator that touches it
  std::vector<bool> persistent(tensors), of_weight(tensors), is_logits(tensors), alive(tensors);
  for (size_t i = 0; i < graph.operators.size(); ++i) {
    const Operator& op = graph.operators[i];
    auto id = static_cast<uint32_t>(i);
    bool updates = graph.kernels[op.kernel].parts[0].pass == Pass::Optimizer;
    for (TensorId t : graph.inputs(op)) {
      uint32_t storage = graph.tensors[t].storage;
      last[storage] = id;
      if (updates) persistent[storage] = true;
    }
    bool vocabulary = graph.names[op.name] == "head" || graph.names[op.name] == "head.all_gather";
    bool starts =
        graph.names[op.name] == "loss" && graph.kernels[op.kernel].parts[0].pass == Pass::InputGradient;
    bool weight_gradient = graph.kernels[op.kernel].parts[0].pass == Pass::WeightGradient;
    for (TensorId t : graph.outputs(op)) {
      uint32_t storage = graph.tensors[t].storage;
      if (last[storage] == kNone) last[storage] = id;
      is_logits[storage] = (vocabulary && graph.kernels[op.kernel].parts[0].pass == Pass::Forward) || starts;
      of_weight[storage] = weight_gradient && graph.tensors[t].kind == TensorKind::Gradient;
    }
  }
  std::vector<std::vector<uint32_t>> ends(graph.operators.size());
  for (size_t t = 0; t < tensors; ++t) {
    if (of_weight[t] && last[t] == graph.tensors[t].producer) persistent[t] = true;
    if (last[t] != kNone && !persistent[t] && passes(graph.tensors[t].kind))
      ends[last[t]].push_back(static_cast<uint32_t>(t));
  }

  LivePeak peak;
  double live = 0, logits = 0;
  auto begin = [&](TensorId t) {
    uint32_t storage = graph.tensors[t].storage;
    if (alive[storage] || persistent[storage] || !passes(graph.tensors[storage].kind)) return;
    alive[storage] = true;
    live += graph.tensors[storage].bytes.value();
    if (is_logits[storage]) logits += graph.tensors[storage].bytes.value();
  };
  for (size_t i = 0; i < graph.operators.size(); ++i) {
    const Operator& op = graph.operators[i];
    std::ranges::for_each(graph.inputs(op), begin);
    std::ranges::for_each(graph.outputs(op), begin);
    if (live > peak.activations.value()) peak = {Bytes(live), Bytes(logits), static_cast<OperatorId>(i)};
    for (uint32_t t : ends[i]) {
      if (!alive[t]) continue;
      alive[t] = false;
      live -= graph.tensors[t].bytes.value();
      if (is_logits[t]) logits -= graph.tensors[t].bytes.value();
    }
  }
  return peak;
}

}  // namespace orrery::graph
