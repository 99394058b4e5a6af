#include "orrery/validate/latency_attention.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "orrery/cost/fit/fit_attention.h"

namespace orrery::validate {

namespace {

using cost::AttentionData;
using cost::AttentionModel;
using cost::AttentionRow;

// Products at peak or the compulsory traffic at the data sheet's bandwidth.
double speed_of_light(const AttentionRow& row, const cost::AttentionDevice& device) {
  auto parts =
      cost::attention_law(row.layer, std::span(&row.span, 1), device, cost::central_attention_constants());
  return std::max(parts.matrix, parts.compulsory_bytes / device.memory_peak);
}

auto shape_key(const AttentionRow& row) {
  return std::tuple(row.phase, row.span.sequences, row.span.query, row.span.cached, row.layer.heads,
                    row.layer.kv_heads, row.layer.head_dim);
}

const char* phase_name(size_t phase) {
  return phase == 0 ? "prefill attention" : "decode attention";
}

}  // namespace

std::vector<LatencyScores> evaluate_attention(const std::string& data_folder, int threads) {
  const AttentionData data = cost::read_attention_data(data_folder + "/neusight/attention.csv.zst");
  cost::AttentionFitOptions options;
  options.threads = threads;
  const std::vector<AttentionModel> models = cost::left_out_models(data, options);
  const std::vector<double> predicted = cost::left_out_predictions(data, models);
  std::vector<cost::AttentionDevice> devices;
  for (const auto& device : data.devices) devices.push_back(cost::attention_device(device));

  std::vector<TimedRow> timed(data.rows.size());
  for (size_t gpu = 0; gpu < data.devices.size(); ++gpu) {
    AttentionModel::Weights weights = models[gpu].weights();
    weights.band = cost::attention_band(data, predicted, gpu);
    const AttentionModel model(std::move(weights));
    const auto target = model.target(data.devices[gpu]);
    for (size_t i = 0; i < data.rows.size(); ++i) {
      const AttentionRow& row = data.rows[i];
      if (row.gpu != gpu) continue;
      auto cost = model.price(row.layer, row.span, target);
      double t = cost.time.value();
      timed[i] = {t, row.seconds, t * cost.low, t * cost.high};
    }
  }

  std::vector<LatencyScores> scores;
  for (size_t phase = 0; phase < cost::kAttentionPhases; ++phase) {
    std::vector<std::map<decltype(shape_key(data.rows[0])), double>> measured(data.devices.size());
    for (const AttentionRow& row : data.rows)
      if (static_cast<size_t>(row.phase) == phase) measured[row.gpu][shape_key(row)] = row.seconds;
    for (size_t gpu = 0; gpu < data.devices.size(); ++gpu) {
      auto select = [&](auto&& keep) {
        std::vector<TimedRow> rows;
        for (size_t i = 0; i < data.rows.size(); ++i)
          if (data.rows[i].gpu == gpu && static_cast<size_t>(data.rows[i].phase) == phase &&
              keep(data.rows[i]))
            rows.push_back(timed[i]);
        LatencyScores s = score(rows);
        s.gpu = data.devices[gpu].title;
        s.what = phase_name(phase);
        return s;
      };
      LatencyScores all = select([](const AttentionRow&) { return true; });
      all.setting = "GPU left out";
      scores.push_back(all);
      for (size_t source = 0; source < data.devices.size(); ++source) {
        if (source == gpu) continue;
        LatencyScores shared =
            select([&](const AttentionRow& row) { return measured[source].contains(shape_key(row)); });
        if (shared.rows == 0) continue;
        for (const AttentionRow& row : data.rows) {
          if (row.gpu != gpu || static_cast<size_t>(row.phase) != phase) continue;
          auto found = measured[source].find(shape_key(row));
          if (found == measured[source].end()) continue;
          double ratio = speed_of_light(row, devices[gpu]) / speed_of_light(row, devices[source]);
          shared.copy += std::abs(found->second / row.seconds - 1) / static_cast<double>(shared.rows);
          shared.copy_scaled +=
              std::abs(found->second * ratio / row.seconds - 1) / static_cast<double>(shared.rows);
        }
        shared.setting = "rows shared";
        shared.copied_from = data.devices[source].title;
        scores.push_back(shared);
      }
    }
  }
  return scores;
}

std::vector<report::Table> attention_tables(const std::vector<LatencyScores>& scores) {
  std::vector<LatencyScores> left_out, copies;
  for (const LatencyScores& s : scores) (s.copied_from.empty() ? left_out : copies).push_back(s);
  report::Table main = scores_table("Flash attention on a GPU left out of the fit", left_out);
  main.notes = {
      "Mean, median, and so on are of |predicted / measured − 1|. Head widths over 256 (another kernel) are "
      "not in the fit and not counted."};
  return {std::move(main),
          scores_table("Flash attention: ours and the trivial baselines on the rows that a source shares",
                       copies)};
}

}  // namespace orrery::validate
