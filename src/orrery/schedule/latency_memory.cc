#include "orrery/schedule/latency_memory.h"

#include <algorithm>
#include <cmath>

#include "orrery/graph/parameters.h"

namespace orrery::schedule {
namespace {

double cache_bytes_per_token(const graph::ModelConfig& model, int tensor) {
  double bytes = 0;
  double element = bytes_per_element(
      model.quantization && model.quantization->kv_cache ? *model.quantization->kv_cache : model.type);
  for (const graph::Tower& tower : model.towers) {
    if (tower.role != graph::TowerRole::Decoder) continue;
    double width = tower.latent ? tower.latent->kv_rank + tower.latent->rope_dim
                                : 2.0 * std::max(1, tower.kv_heads / tensor) * tower.head_dim;
    bytes += tower.layers * width * element;
  }
  return bytes;
}

MemoryReport memory_at(const LatencyRequest& r, const graph::Parallelism& parallel,
                       const hardware::Device& device, graph::Mode mode, int64_t batch, int64_t sequence) {
  MemoryReport report;
  double weights = graph::weight_bytes(r.model, parallel).total().value();
  double cache = mode == graph::Mode::Decode
                     ? cache_bytes_per_token(r.model, parallel.tensor) * static_cast<double>(sequence)
                     : 0;
  double available = device.memory.value() * r.memory_utilization;
  report.rows = {{"weights", Bytes(weights)}, {"KV cache", Bytes(cache * static_cast<double>(batch))}};
  report.needed = Bytes(weights + cache * static_cast<double>(batch));
  report.available = Bytes(available);
  report.fits = report.needed <= report.available;
  double room = std::max(0.0, available - weights);
  if (cache > 0) {
    report.largest_batch = static_cast<int64_t>(room / cache);
    report.longest_context =
        static_cast<int64_t>(room / (cache / static_cast<double>(sequence) * static_cast<double>(batch)));
  }
  report.smallest_devices = static_cast<int>(std::ceil(weights * parallel.tensor / available));
  return report;
}

// Widths that a node offers and that cut the attention heads evenly.
std::vector<int> widths(const graph::ModelConfig& model, const hardware::Device& device) {
  constexpr int kNode = 8;
  const hardware::Gpu* gpu = device.gpu();
  int most = gpu && gpu->link ? std::max(kNode, gpu->link->peers) : kNode;
  std::vector<int> result;
  for (int width = 1; width <= most; width *= 2) {
    bool even = std::all_of(model.towers.begin(), model.towers.end(),
                            [&](const graph::Tower& t) { return t.heads % width == 0; });
    if (even) result.push_back(width);
  }
  return result;
}

}  // namespace

MemoryReport memory_report(const LatencyRequest& r, const hardware::Device& device, graph::Mode mode,
                           int64_t batch, int64_t sequence) {
  MemoryReport report = memory_at(r, r.parallel, device, mode, batch, sequence);
  for (int width : widths(r.model, device)) {
    graph::Parallelism parallel = r.parallel;
    parallel.tensor = width;
    if (!memory_at(r, parallel, device, mode, batch, sequence).fits) continue;
    report.smallest_tensor_parallel = width;
    break;
  }
  return report;
}

}  // namespace orrery::schedule
