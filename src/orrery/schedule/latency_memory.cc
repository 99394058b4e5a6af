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

}  // namespace

MemoryReport memory_report(const LatencyRequest& r, const hardware::Device& device, graph::Mode mode,
                           int64_t batch, int64_t sequence) {
  MemoryReport report;
  double weights = graph::weight_bytes(r.model, r.parallel).total().value();
  double cache = mode == graph::Mode::Decode
                     ? cache_bytes_per_token(r.model, r.parallel.tensor) * static_cast<double>(sequence)
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
  report.smallest_devices = static_cast<int>(std::ceil(weights * r.parallel.tensor / available));
  return report;
}

}  // namespace orrery::schedule
