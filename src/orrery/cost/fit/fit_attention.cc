#include "orrery/cost/fit/fit_attention.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "orrery/base/csv.h"
#include "orrery/base/random.h"
#include "orrery/base/storage.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/learn/boosted_trees_fit.h"
#include "orrery/learn/least_squares.h"
#include "orrery/learn/metrics.h"

namespace orrery::cost {

namespace {

constexpr double kCellWeight = 12;  // of all rows of a GPU and phase together, in units of a prior's
constexpr double kNoise = .11;      // of the log residual; beyond 1.345 times it a residual counts linearly
constexpr size_t kNone = static_cast<size_t>(-1);

struct Sample {
  std::vector<size_t> rows;
  std::vector<double> weight;
};

// The same number of rows of every GPU and phase, drawn by seed.
Sample draw(const AttentionData& data, size_t leave_out, const AttentionFitOptions& options) {
  Sample sample;
  for (size_t gpu = 0; gpu < data.devices.size(); ++gpu) {
    if (gpu == leave_out) continue;
    for (size_t phase = 0; phase < kAttentionPhases; ++phase) {
      std::vector<size_t> cell;
      for (size_t i = 0; i < data.rows.size(); ++i)
        if (data.rows[i].gpu == gpu && static_cast<size_t>(data.rows[i].phase) == phase) cell.push_back(i);
      Random random(Seed{options.seed}.derive(hash_bytes(data.devices[gpu].name)).derive(phase));
      size_t take = std::min(options.rows_per_cell, cell.size());
      for (size_t i = 0; i < take; ++i) {
        std::swap(cell[i], cell[i + random.index(cell.size() - i)]);
        sample.rows.push_back(cell[i]);
        sample.weight.push_back(kCellWeight / static_cast<double>(take));
      }
    }
  }
  return sample;
}

AttentionConstants fit_constants(const AttentionData& data, const Sample& sample,
                                 const AttentionFitOptions& options) {
  std::vector<AttentionDevice> devices;
  for (const auto& device : data.devices) devices.push_back(attention_device(device));
  std::vector<learn::FitParameter> parameters;
  for (const auto& row : attention_constant_table())
    parameters.push_back({.name = std::string(row.name), .prior = row.centre, .spread = row.spread});
  auto residuals = [&](std::span<const double> x, std::span<double> out) {
    AttentionConstants constants;
    std::copy(x.begin(), x.end(), constants.value.begin());
    for (size_t i = 0; i < out.size(); ++i) {
      const AttentionRow& row = data.rows[sample.rows[i]];
      double t = attention_law(row.layer, std::span(&row.span, 1), devices[row.gpu], constants).time;
      out[i] = std::log(t / row.seconds);
    }
  };
  learn::LeastSquaresOptions fit;
  fit.noise = kNoise;
  fit.prior_weight = options.prior_weight;
  fit.threads = options.threads;
  std::vector<double> fitted =
      learn::fit_least_squares(parameters, residuals, sample.rows.size(), sample.weight, fit).value;
  AttentionConstants constants;
  std::copy(fitted.begin(), fitted.end(), constants.value.begin());
  return constants;
}

AttentionResidual fit_residual(const AttentionData& data, size_t gpu, const AttentionConstants& constants,
                               const AttentionFitOptions& options) {
  const hardware::Device& device = data.devices[gpu];
  AttentionDevice view = attention_device(device);
  AttentionResidual residual{device.name, device.gpu()->architecture, view.kernel, view.split_cache, {}};
  for (size_t phase = 0; phase < kAttentionPhases; ++phase) {
    std::vector<float> features;
    std::vector<double> target;
    for (const AttentionRow& row : data.rows) {
      if (row.gpu != gpu || static_cast<size_t>(phase_of(row.span)) != phase) continue;
      AttentionParts parts = attention_law(row.layer, std::span(&row.span, 1), view, constants);
      auto f = attention_features(row.layer, row.span, parts, view);
      features.insert(features.end(), f.begin(), f.end());
      target.push_back(std::log(row.seconds / parts.time));
    }
    if (target.size() < 100) continue;
    learn::BoostedTreesOptions trees;
    trees.loss = learn::TreeLoss::Huber;
    trees.huber_width = 1.345 * kNoise;
    trees.trees = options.trees;
    trees.leaves = options.leaves;
    trees.learning_rate = options.learning_rate;
    trees.l2 = 5;
    trees.min_leaf_rows = 12;
    trees.column_share = .7;
    trees.row_share = .8;
    trees.seed = Seed{options.seed}.derive(phase).value;
    trees.threads = options.threads;
    residual.trees[phase] =
        learn::fit_boosted_trees({.features = features, .columns = kAttentionFeatures, .target = target},
                                 trees)
            .model;
  }
  return residual;
}

}  // namespace

AttentionData read_attention_data(const std::string& path) {
  CsvTable table = read_csv(path);
  const int gpu = table.at("gpu"), phase = table.at("phase"), batch = table.at("batch_size"),
            input = table.at("input_length"), step = table.at("step"), heads = table.at("num_heads"),
            kv_heads = table.at("num_key_value_heads"), width = table.at("head_dim"),
            latency = table.at("latency_ms");
  constexpr int64_t kMost = int64_t{1} << 40;
  constexpr int64_t kWidest = 256;
  AttentionData data;
  std::vector<std::string> names;
  for (size_t i = 0; i < table.rows(); ++i) {
    std::string name(table.cell(i, gpu));
    size_t index = static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    if (index == names.size()) {
      names.push_back(name);
      data.devices.push_back(hardware::Catalogue::shipped().device(name));
    }
    AttentionRow row;
    row.gpu = index;
    if (table.cell(i, phase) == "context")
      row.phase = AttentionPhase::Prefill;
    else if (table.cell(i, phase) == "generation")
      row.phase = AttentionPhase::Decode;
    else
      table.fail(i, phase, "not a phase; expected context or generation");
    row.layer.heads = static_cast<double>(table.integer(i, heads, 1, kMost));
    row.layer.kv_heads = static_cast<double>(table.integer(i, kv_heads, 1, kMost));
    row.layer.head_dim = static_cast<double>(table.integer(i, width, 1, kMost));
    row.span.sequences = static_cast<double>(table.integer(i, batch, 1, kMost));
    row.span.query = static_cast<double>(table.integer(i, input, 1, kMost));
    row.span.cached = static_cast<double>(table.integer_or(i, step, 0, 0, kMost));
    row.seconds = table.number(i, latency) * 1e-3;
    if (!(row.seconds > 0)) table.fail(i, latency, "a latency must be positive");
    if (row.layer.head_dim > kWidest) {
      ++data.set_aside;
      continue;
    }
    data.rows.push_back(row);
  }
  return data;
}

AttentionModel fit_attention_law(const AttentionData& data, size_t leave_out,
                                 const AttentionFitOptions& options) {
  AttentionModel::Weights weights;
  weights.constants = fit_constants(data, draw(data, leave_out, options), options);
  weights.share = options.share;
  size_t used = 0;
  for (size_t gpu = 0; gpu < data.devices.size(); ++gpu) {
    if (gpu == leave_out) continue;
    weights.residuals.push_back(fit_residual(data, gpu, weights.constants, options));
    weights.trained_on += (weights.trained_on.empty() ? "" : ", ") + data.devices[gpu].name;
    for (const AttentionRow& row : data.rows) used += row.gpu == gpu;
  }
  weights.trained_on = std::to_string(used) + " attention rows of " + weights.trained_on;
  return AttentionModel(std::move(weights));
}

std::vector<AttentionModel> left_out_models(const AttentionData& data, const AttentionFitOptions& options) {
  std::vector<AttentionModel> models;
  for (size_t gpu = 0; gpu < data.devices.size(); ++gpu)
    models.push_back(fit_attention_law(data, gpu, options));
  return models;
}

std::vector<double> left_out_predictions(const AttentionData& data,
                                         const std::vector<AttentionModel>& models) {
  std::vector<double> predicted(data.rows.size());
  for (size_t gpu = 0; gpu < data.devices.size(); ++gpu) {
    auto target = models[gpu].target(data.devices[gpu]);
    for (size_t i = 0; i < data.rows.size(); ++i) {
      if (data.rows[i].gpu != gpu) continue;
      predicted[i] = models[gpu].price(data.rows[i].layer, data.rows[i].span, target).time.value();
    }
  }
  return predicted;
}

std::array<std::array<std::array<double, 2>, kSizeClasses>, kAttentionPhases> attention_band(
    const AttentionData& data, const std::vector<double>& predicted, size_t skip) {
  auto band = AttentionModel::wide_band();
  for (size_t phase = 0; phase < kAttentionPhases; ++phase) {
    for (size_t cls = 0; cls < kSizeClasses; ++cls) {
      std::vector<size_t> count(data.devices.size(), 0);
      auto inside = [&](size_t i) {
        return data.rows[i].gpu != skip && static_cast<size_t>(data.rows[i].phase) == phase &&
               size_class(predicted[i]) == cls;
      };
      for (size_t i = 0; i < data.rows.size(); ++i)
        if (inside(i)) ++count[data.rows[i].gpu];
      // Which way an unseen GPU is off is not known: the band is as wide above as below.
      std::vector<double> distance, weight;
      for (size_t i = 0; i < data.rows.size(); ++i)
        if (inside(i)) {
          distance.push_back(std::abs(std::log(data.rows[i].seconds / predicted[i])));
          weight.push_back(1. / static_cast<double>(count[data.rows[i].gpu]));
        }
      if (distance.size() < 100) continue;
      const double reach = std::exp(learn::weighted_quantile(distance, weight, .9));
      band[phase][cls] = {1 / reach, reach};
    }
  }
  return band;
}

AttentionModel fit_attention(const AttentionData& data, const AttentionFitOptions& options) {
  AttentionModel model = fit_attention_law(data, kNone, options);
  AttentionModel::Weights weights = model.weights();
  weights.band = attention_band(data, left_out_predictions(data, left_out_models(data, options)), kNone);
  return AttentionModel(std::move(weights));
}

}  // namespace orrery::cost
