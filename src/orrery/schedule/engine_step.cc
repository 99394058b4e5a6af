#include "orrery/schedule/engine_step.h"

#include <algorithm>

namespace orrery::schedule {
namespace {

constexpr size_t kMostGraphs = 4096;

// Rows of the operators that choose tokens.
void sample_rows(graph::OperatorShape& part, int64_t sampled) {
  if (part.kind == graph::OperatorKind::Gemm) part.dims[1] = sampled;      // m
  if (part.kind == graph::OperatorKind::Sampling) part.dims[0] = sampled;  // rows
}

// The step's attention as engines launch it: one call over all groups.
cost::OperatorCost attention_of(const graph::OperatorShape& shape, std::span<const StepGroup> groups,
                                const cost::OperatorModel& model, const hardware::Device& device) {
  graph::Kernel kernel;
  for (const StepGroup& group : groups) {
    graph::OperatorShape part = shape;
    part.dims[0] = group.sequences;  // batch
    part.dims[1] = group.fresh;      // query
    part.dims[2] = group.cached;
    kernel.parts.push_back(part);
  }
  cost::OperatorCost total;
  model.price(std::span(&kernel, 1), device, {}, std::span(&total, 1));
  return total;
}

}  // namespace

EngineStep::EngineStep(std::shared_ptr<const Predictor> predictor, graph::ModelConfig model,
                       hardware::Device device, graph::Parallelism parallel)
    : predictor_(std::move(predictor)),
      model_(std::move(model)),
      device_(std::move(device)),
      parallel_(parallel) {}

std::shared_ptr<const graph::Graph> EngineStep::graph_of(int64_t tokens) const {
  std::lock_guard lock(mutex_);
  if (graphs_.size() > kMostGraphs) graphs_.clear();
  std::shared_ptr<const graph::Graph>& graph = graphs_[tokens];
  if (!graph) {
    graph::Workload workload;
    workload.mode = graph::Mode::Decode;
    workload.batch = tokens;
    workload.sequence = 1;
    workload.parallel = parallel_;
    graph = std::make_shared<const graph::Graph>(graph::build_graph(model_, workload));
  }
  return graph;
}

Forecast EngineStep::forecast(std::span<const StepGroup> groups, int64_t sampled) const {
  int64_t tokens = 0, sequences = 0;
  bool prefill = false;
  for (const StepGroup& group : groups) {
    tokens += group.sequences * group.fresh;
    sequences += group.sequences;
    prefill = prefill || group.fresh > 1;
  }
  if (sampled < 0) sampled = sequences;
  std::shared_ptr<const graph::Graph> graph = graph_of(tokens);
  std::vector<uint8_t> behind_layers(graph->kernels.size());
  for (const graph::Operator& op : graph->operators) behind_layers[op.kernel] |= op.layer == graph->layers;

  std::vector<graph::Kernel> kernels = graph->kernels;
  for (size_t k = 0; k < kernels.size(); ++k) {
    if (!behind_layers[k]) continue;
    for (graph::OperatorShape& part : kernels[k].parts) sample_rows(part, std::max<int64_t>(1, sampled));
  }
  const cost::OperatorModel& model = predictor_->model(device_);
  std::vector<cost::OperatorCost> costs(kernels.size());
  model.price(kernels, device_, {}, costs);
  for (size_t k = 0; k < kernels.size(); ++k) {
    const graph::OperatorShape& first = kernels[k].parts.front();
    if (first.kind == graph::OperatorKind::Attention) costs[k] = attention_of(first, groups, model, device_);
  }
  return predictor_->forecast(*graph, costs, device_, Driver::Serving,
                              prefill ? graph::Mode::Prefill : graph::Mode::Decode, sequences);
}

}  // namespace orrery::schedule
