#include "orrery/validate/latency_memory_bound.h"

#include "orrery/cost/fit/fit_memory_bound.h"

namespace orrery::validate {

std::vector<LatencyScores> evaluate_memory_bound(const std::string& data_folder, int threads) {
  constexpr double kShortest = 10e-6;
  const cost::MemoryBoundData data = cost::read_memory_bound_data(
      data_folder + "/neusight/vidur_fp16_mlp.csv.zst", data_folder + "/neusight/llmcompass_vector_fp16.csv");
  std::vector<LatencyScores> scores;
  for (size_t gpu = 0; gpu < data.devices.size(); ++gpu) {
    cost::MemoryBoundFitOptions options;
    options.threads = threads;
    const cost::MemoryBoundModel model(cost::fit_memory_bound(data, gpu, options));
    const cost::MemoryBoundDevice device = cost::memory_bound_device(data.devices[gpu]);
    std::vector<std::vector<TimedRow>> rows(cost::kMemoryBoundClasses + 1);
    for (const cost::MemoryBoundRow& row : data.rows) {
      if (row.gpu != gpu || row.host_floor) continue;
      auto cost = model.price(row.call, device, false);
      double t = cost.time.value();
      TimedRow timed{t, row.seconds, t * cost.low, t * cost.high};
      rows.back().push_back(timed);
      if (row.seconds >= kShortest) rows[static_cast<size_t>(row.call.kernel)].push_back(timed);
    }
    for (size_t k = 0; k < rows.size(); ++k) {
      if (rows[k].empty()) continue;
      LatencyScores s = score(rows[k]);
      s.gpu = data.devices[gpu].title;
      s.what = k < cost::kMemoryBoundClasses ? std::string(cost::name(static_cast<cost::MemoryBoundClass>(k)))
                                             : "layer pieces";
      s.setting = k < cost::kMemoryBoundClasses ? "GPU left out, 10 us and more" : "GPU left out, all rows";
      scores.push_back(s);
    }
  }
  return scores;
}

report::Table memory_bound_table(const std::vector<LatencyScores>& scores) {
  report::Table table = scores_table("Memory-bound layer pieces on a GPU left out of the fit", scores);
  table.notes = {
      "The measured medians are rounded to a microsecond, so rows of a few microseconds carry tens of per "
      "cent of rounding."};
  return table;
}

}  // namespace orrery::validate
