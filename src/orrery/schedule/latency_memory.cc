#include "orrery/schedule/latency_memory.h"

#include <algorithm>

#include "orrery/cost/memory_footprint.h"

namespace orrery::schedule {
namespace {

constexpr int kNode = 8;                 // devices of a node where the device's link does not say
constexpr int64_t kPrefillChunk = 8192;  // tokens that a serving engine takes at once

}  // namespace

MemoryReport memory_report(const LatencyRequest& r, const hardware::Device& device,
                           const graph::Workload& workload) {
  cost::MemoryFootprint footprint = cost::memory_footprint(r.model, workload);
  double available = device.memory.value() * (workload.mode == graph::Mode::Train ? 1 : r.memory_utilization);
  double rest = available;
  if (workload.mode == graph::Mode::Decode) {
    // Between steps the same memory holds the working set of a prefill.
    graph::Workload prefill = workload;
    prefill.mode = graph::Mode::Prefill;
    prefill.batch = 1;
    prefill.sequence = std::min({r.prompt, workload.sequence, kPrefillChunk});
    cost::MemoryFootprint first = cost::memory_footprint(r.model, prefill);
    double more = (first.activations + first.logits - footprint.activations - footprint.logits).value();
    if (more > 0) {
      footprint.activations = first.activations;
      footprint.logits = first.logits;
      rest -= more;
    }
  }
  MemoryReport report;
  const std::pair<const char*, Bytes> rows[] = {
      {"weights", footprint.weights},     {"gradients", footprint.gradients},
      {"optimizer", footprint.optimizer}, {"activations", footprint.activations},
      {"logits", footprint.logits},       {"KV cache", footprint.kv_cache},
      {"workspace", footprint.workspace}};
  for (const auto& [name, bytes] : rows) {
    if (bytes.value() > 0) report.rows.push_back({name, bytes});
  }
  report.needed = footprint.total();
  report.available = Bytes(available);
  report.fits = report.needed <= report.available;
  const hardware::Gpu* gpu = device.gpu();
  const int widest = gpu && gpu->link ? std::max(kNode, gpu->link->peers) : kNode;
  cost::MemoryFit fit = cost::fit(r.model, workload, Bytes(std::max(0.0, rest)), widest);
  report.longest_context = fit.longest_context;
  report.largest_batch = fit.largest_batch;
  report.smallest_tensor_parallel = fit.smallest_tensor_parallel;
  report.smallest_devices = fit.smallest_devices;
  return report;
}

MemoryReport memory_report(const LatencyRequest& r, const hardware::Device& device,
                           const graph::Workload& micro, const IterationForecast& iteration) {
  if (iteration.stages.size() < 2) return memory_report(r, device, micro);
  auto of_stage = [&](const StageForecast& stage, bool last) {
    LatencyRequest part = r;
    graph::ModelConfig& model = part.model;
    model.exact_weight_bytes.reset();
    model.towers[0].layers = stage.layers;
    if (last) {
      model.tied_embeddings = true;  // one table over the vocabulary: the head's
    } else {
      model.head = false;
      model.classes = 0;
    }
    MemoryReport report = memory_report(part, device, micro);
    for (MemoryRow& row : report.rows) {
      if (row.component != "activations") continue;
      Bytes more = row.bytes * (stage.kept - 1);
      row.bytes += more;
      report.needed += more;
    }
    report.fits = report.needed <= report.available;
    // What else would fit is a question of the whole plan, not of this stage.
    report.longest_context = report.largest_batch = 0;
    report.smallest_tensor_parallel = report.smallest_devices = 0;
    return report;
  };
  MemoryReport first = of_stage(iteration.stages.front(), false);
  MemoryReport last = of_stage(iteration.stages.back(), true);
  return last.needed > first.needed ? last : first;
}

}  // namespace orrery::schedule
