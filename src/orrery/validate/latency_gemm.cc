#include "orrery/validate/latency_gemm.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "orrery/base/random.h"
#include "orrery/base/threads.h"
#include "orrery/cost/fit/fit_gemm.h"

namespace orrery::validate {
namespace {

using cost::GemmData;
using cost::GemmRow;

constexpr DataType kType = DataType::BF16;
constexpr size_t kFolds = 4, kChunk = 4096;

// Arithmetic at peak or compulsory traffic at nominal bandwidth.
double speed_of_light(const GemmRow& row, const hardware::Device& device) {
  const double flops = 2 * row.m * row.n * row.k / device.gpu()->peak_rate(kType).value();
  const double values = row.m * row.k + row.n * row.k + row.m * row.n;
  return std::max(flops, values * bytes_per_element(kType) / device.memory_bandwidth.value());
}

// The better source of each baseline, on the shapes that both GPUs have.
void add_baselines(const GemmData& data, size_t target, LatencyScores* scores) {
  const hardware::Device& device = data.devices[target];
  for (size_t g = 0; g < data.devices.size(); ++g) {
    if (g == target) continue;
    std::map<std::tuple<double, double, double>, double> seconds;
    for (const GemmRow& row : data.rows) {
      if (row.gpu == g) seconds[{row.m, row.n, row.k}] = row.seconds;
    }
    double copy = 0, scaled = 0, rows = 0;
    for (const GemmRow& row : data.rows) {
      if (row.gpu != target) continue;
      const auto found = seconds.find({row.m, row.n, row.k});
      if (found == seconds.end()) continue;
      const double ratio = speed_of_light(row, device) / speed_of_light(row, data.devices[g]);
      copy += std::fabs(found->second / row.seconds - 1);
      scaled += std::fabs(found->second * ratio / row.seconds - 1);
      ++rows;
    }
    if (rows == 0) continue;
    copy /= rows;
    scaled /= rows;
    const double best = std::min(copy, scaled);
    if (scores->copy == 0 || best < std::min(scores->copy, scores->copy_scaled))
      scores->copied_from = data.devices[g].title;
    scores->copy = scores->copy == 0 ? copy : std::min(scores->copy, copy);
    scores->copy_scaled = scores->copy_scaled == 0 ? scaled : std::min(scores->copy_scaled, scaled);
  }
}

LatencyScores named(const std::vector<TimedRow>& rows, const hardware::Device& device, const char* setting) {
  LatencyScores scores = score(rows);
  scores.gpu = device.title;
  scores.what = "bf16 GEMM";
  scores.setting = setting;
  return scores;
}

std::vector<LatencyScores> gpus_left_out(const GemmData& data, const cost::GemmLeftOut& left_out,
                                         const cost::GemmFitOptions& options) {
  std::vector<LatencyScores> scores;
  for (size_t g = 0; g < data.devices.size(); ++g) {
    const cost::ErrorBand band = cost::gemm_band(data, left_out, g, options);
    std::vector<TimedRow> rows;
    for (size_t i = 0; i < data.rows.size(); ++i) {
      if (data.rows[i].gpu != g) continue;
      const auto features =
          std::span(left_out.features).subspan(i * cost::kGemmFeatures, cost::kGemmFeatures);
      const cost::BandFactors f = band.factors(features);
      const double predicted = left_out.predicted[i];
      rows.push_back({predicted, data.rows[i].seconds, predicted * f.low, predicted * f.high});
    }
    scores.push_back(named(rows, data.devices[g], "GPU left out"));
    add_baselines(data, g, &scores.back());
  }
  return scores;
}

size_t fold_of(const GemmRow& row) {
  const auto key = (static_cast<uint64_t>(row.n) << 24) ^ static_cast<uint64_t>(row.k);
  return Seed::mix(key) % kFolds;
}

// The band stands for GPUs left out; `Same` narrows it.
std::vector<LatencyScores> families_left_out(const GemmData& data, const cost::GemmLeftOut& left_out,
                                             const cost::GemmFitOptions& options) {
  const cost::ErrorBand band = cost::gemm_band(data, left_out, cost::kNoGpu, options);
  std::vector<TimedRow> timed(data.rows.size());
  for (size_t fold = 0; fold < kFolds; ++fold) {
    std::vector<char> use(data.rows.size());
    for (size_t i = 0; i < use.size(); ++i) use[i] = fold_of(data.rows[i]) != fold;
    cost::GemmModel::Contents contents = cost::fit_gemm_law(data, cost::kNoGpu, use, options).contents();
    contents.band = band;
    const cost::GemmModel model(std::move(contents));
    std::vector<cost::GemmModel::Target> targets;
    for (const hardware::Device& device : data.devices) targets.push_back(model.target(device, kType, kType));
    parallel_for(data.rows.size(), kChunk, options.threads, [&](size_t begin, size_t end, size_t) {
      for (size_t i = begin; i < end; ++i) {
        if (use[i]) continue;
        const GemmRow& row = data.rows[i];
        const cost::GemmCost cost =
            model.price({.m = row.m, .n = row.n, .k = row.k, .copies = data.copies}, targets[row.gpu]);
        const double predicted = cost.time.value();
        timed[i] = {predicted, row.seconds, predicted * cost.low, predicted * cost.high};
      }
    });
  }
  std::vector<LatencyScores> scores;
  for (size_t g = 0; g < data.devices.size(); ++g) {
    std::vector<TimedRow> rows;
    for (size_t i = 0; i < timed.size(); ++i) {
      if (data.rows[i].gpu == g) rows.push_back(timed[i]);
    }
    scores.push_back(named(rows, data.devices[g], "families left out"));
  }
  return scores;
}

}  // namespace

std::vector<LatencyScores> evaluate_gemm(const std::string& data_folder, int threads) {
  const GemmData data = cost::read_gemm_data(data_folder + "/neusight/tensorcore_gemm.csv.zst", kType);
  cost::GemmFitOptions options;
  options.threads = threads;
  const cost::GemmLeftOut left_out = cost::gemm_left_out(data, options);
  std::vector<LatencyScores> scores = gpus_left_out(data, left_out, options);
  for (LatencyScores& s : families_left_out(data, left_out, options)) scores.push_back(std::move(s));
  return scores;
}

std::vector<report::Table> gemm_tables(const std::vector<LatencyScores>& scores) {
  report::Table table = scores_table("16-bit matrix products", scores);
  table.notes.push_back(
      "Families left out: four folds of (n, k), the GPU's other rows in the fit. Copy: the better of the "
      "other "
      "GPUs' measured rows; times the ratio of the two GPUs' speeds of light.");
  return {table};
}

}  // namespace orrery::validate
