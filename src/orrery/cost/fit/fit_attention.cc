#include "orrery/cost/fit/fit_attention.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "orrery/base/csv.h"
#include "orrery/base/random.h"
#include "orrery/base/storage.h"
#include "orrery/base/threads.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/learn/boosted_trees_fit.h"

namespace orrery::cost {

namespace {

constexpr double kCellWeight = 1000;  // of all rows of a GPU and phase together
constexpr double kHuberWidth = .15;   // of the log residual
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

// Solves the symmetric positive system in place (Cholesky); false where it is not positive.
bool solve_positive(std::vector<double>& a, std::vector<double>& b) {
  const size_t n = b.size();
  for (size_t j = 0; j < n; ++j) {
    for (size_t k = 0; k < j; ++k)
      for (size_t i = j; i < n; ++i) a[i * n + j] -= a[i * n + k] * a[j * n + k];
    if (!(a[j * n + j] > 0)) return false;
    double root = std::sqrt(a[j * n + j]);
    for (size_t i = j; i < n; ++i) a[i * n + j] /= root;
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return true;
}

// Levenberg–Marquardt on the logarithms of the constants: Huber loss of log(predicted / measured) plus the
// priors' squares.
AttentionConstants fit_constants(const AttentionData& data, const Sample& sample,
                                 const AttentionFitOptions& options) {
  const size_t n = kAttentionConstants, m = sample.rows.size();
  std::vector<AttentionDevice> devices;
  for (const auto& device : data.devices) devices.push_back(attention_device(device));
  const auto& table = attention_constant_table();
  std::vector<double> centre(n), precision(n);
  for (size_t i = 0; i < n; ++i) {
    centre[i] = std::log(table[i].centre);
    precision[i] = options.prior_weight / (table[i].spread * table[i].spread);
  }
  constexpr size_t kChunk = 512;
  auto residuals = [&](const std::vector<double>& x, std::vector<double>& r) {
    AttentionConstants c;
    for (size_t i = 0; i < n; ++i) c.value[i] = std::exp(x[i]);
    r.resize(m);
    parallel_for(m, kChunk, options.threads, [&](size_t begin, size_t end, size_t) {
      for (size_t i = begin; i < end; ++i) {
        const AttentionRow& row = data.rows[sample.rows[i]];
        r[i] = std::log(attention_law(row.layer, std::span(&row.span, 1), devices[row.gpu], c).time /
                        row.seconds);
      }
    });
  };
  auto loss = [&](const std::vector<double>& x, const std::vector<double>& r) {
    double sum = 0;
    for (size_t i = 0; i < m; ++i) {
      double a = std::abs(r[i]);
      sum += sample.weight[i] * (a < kHuberWidth ? .5 * a * a : kHuberWidth * (a - .5 * kHuberWidth));
    }
    for (size_t i = 0; i < n; ++i) sum += .5 * precision[i] * (x[i] - centre[i]) * (x[i] - centre[i]);
    return sum;
  };
  std::vector<double> x = centre, r, trial;
  residuals(x, r);
  double cost = loss(x, r), damping = 1e-2;
  constexpr int kMostSteps = 25, kMostTrials = 6;
  constexpr double kDifference = 1e-3, kMostMove = .5, kConverged = 1e-4;
  for (int step = 0; step < kMostSteps; ++step) {
    std::vector<std::vector<double>> slope(n);
    for (size_t j = 0; j < n; ++j) {
      auto moved = x;
      moved[j] += kDifference;
      residuals(moved, trial);
      slope[j].resize(m);
      for (size_t i = 0; i < m; ++i) slope[j][i] = (trial[i] - r[i]) / kDifference;
    }
    std::vector<double> normal(n * n, 0), gradient(n);
    std::vector<double> weight(m);
    for (size_t i = 0; i < m; ++i)
      weight[i] = sample.weight[i] * std::min(1., kHuberWidth / std::max(std::abs(r[i]), 1e-12));
    for (size_t a = 0; a < n; ++a) {
      for (size_t b = 0; b <= a; ++b) {
        double sum = 0;
        for (size_t i = 0; i < m; ++i) sum += weight[i] * slope[a][i] * slope[b][i];
        normal[a * n + b] = normal[b * n + a] = sum;
      }
      double sum = 0;
      for (size_t i = 0; i < m; ++i) sum += weight[i] * slope[a][i] * r[i];
      gradient[a] = -sum - precision[a] * (x[a] - centre[a]);
      normal[a * n + a] += precision[a];
    }
    bool better = false, converged = false;
    for (int t = 0; t < kMostTrials && !better; ++t) {
      auto matrix = normal;
      auto move = gradient;
      for (size_t a = 0; a < n; ++a) matrix[a * n + a] *= 1 + damping;
      damping *= 4;
      if (!solve_positive(matrix, move)) continue;
      auto next = x;
      for (size_t a = 0; a < n; ++a) next[a] += std::clamp(move[a], -kMostMove, kMostMove);
      residuals(next, trial);
      double trial_cost = loss(next, trial);
      if (trial_cost < cost) {
        better = true;
        converged = cost - trial_cost < kConverged * cost;
        x = next;
        r = trial;
        cost = trial_cost;
        damping = std::max(1e-6, damping * .075);
      }
    }
    if (!better || converged) break;
  }
  AttentionConstants constants;
  for (size_t i = 0; i < n; ++i) constants.value[i] = std::exp(x[i]);
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
    trees.huber_width = kHuberWidth;
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

double quantile(std::vector<std::pair<double, double>>& value_weight, double q) {
  std::sort(value_weight.begin(), value_weight.end());
  double total = 0, sum = 0;
  for (const auto& [value, weight] : value_weight) total += weight;
  for (const auto& [value, weight] : value_weight) {
    sum += weight;
    if (sum >= q * total) return value;
  }
  return value_weight.empty() ? 0 : value_weight.back().first;
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

std::vector<double> left_out_predictions(const AttentionData& data, const AttentionFitOptions& options) {
  std::vector<double> predicted(data.rows.size());
  for (size_t gpu = 0; gpu < data.devices.size(); ++gpu) {
    AttentionModel model = fit_attention_law(data, gpu, options);
    auto target = model.target(data.devices[gpu]);
    for (size_t i = 0; i < data.rows.size(); ++i)
      if (data.rows[i].gpu == gpu)
        predicted[i] = model.price(data.rows[i].layer, data.rows[i].span, target).time.value();
  }
  return predicted;
}

std::array<std::array<std::array<double, 2>, kTimeClasses>, kAttentionPhases> attention_band(
    const AttentionData& data, const std::vector<double>& predicted, size_t skip) {
  auto band = AttentionModel::wide_band();
  for (size_t phase = 0; phase < kAttentionPhases; ++phase) {
    for (size_t cls = 0; cls < kTimeClasses; ++cls) {
      std::vector<size_t> count(data.devices.size(), 0);
      auto inside = [&](size_t i) {
        return data.rows[i].gpu != skip && static_cast<size_t>(data.rows[i].phase) == phase &&
               time_class(predicted[i]) == cls;
      };
      for (size_t i = 0; i < data.rows.size(); ++i)
        if (inside(i)) ++count[data.rows[i].gpu];
      std::vector<std::pair<double, double>> ratio;
      for (size_t i = 0; i < data.rows.size(); ++i)
        if (inside(i))
          ratio.emplace_back(data.rows[i].seconds / predicted[i],
                             1. / static_cast<double>(count[data.rows[i].gpu]));
      if (ratio.size() < 100) continue;
      band[phase][cls] = {std::min(1., quantile(ratio, .05)), std::max(1., quantile(ratio, .95))};
    }
  }
  return band;
}

AttentionModel fit_attention(const AttentionData& data, const AttentionFitOptions& options) {
  AttentionModel model = fit_attention_law(data, kNone, options);
  AttentionModel::Weights weights = model.weights();
  weights.band = attention_band(data, left_out_predictions(data, options), kNone);
  return AttentionModel(std::move(weights));
}

}  // namespace orrery::cost
