#include "orrery/cost/fit/fit_fp32.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "orrery/base/random.h"
#include "orrery/cost/fit/fit_fp32_band.h"
#include "orrery/learn/boosted_trees_fit.h"
#include "orrery/learn/least_squares.h"

namespace orrery::cost {
namespace {

constexpr double kFewestSeconds = 1e-7, kNearCap = .95, kHostBound = 1.4;

bool aligned(const Fp32Call& c) {
  auto multiple = [](double x) { return std::fmod(x, 32) == 0; };
  return is_product(c.kernel) ? multiple(c.m) && multiple(c.n) && multiple(c.k) : multiple(c.columns);
}

// T4's random products run a fifth slower than the same GPU's transformer shapes: a fault of that recording
// that would pass for a lower power limit.
double trust(const Fp32Data& data, const Fp32Row& row) {
  constexpr double kDoubted = .15;
  return row.source == Fp32Source::Train && is_product(row.call.kernel) && data.devices[row.gpu].name == "t4"
             ? kDoubted
             : 1;
}

// Rows drawn for a fit, the same share of weight for each GPU and class.
struct Chosen {
  std::vector<size_t> rows;
  std::vector<double> weight;
};

Chosen choose(const Fp32Data& data, Fp32Purpose purpose, const std::set<std::string>& leave_out,
              size_t per_cell, double aligned_weight, uint64_t seed) {
  std::vector<std::vector<size_t>> cells(data.devices.size() * kFp32Classes);
  for (size_t i = 0; i < data.rows.size(); ++i) {
    const Fp32Row& row = data.rows[i];
    if (leave_out.contains(data.devices[row.gpu].name) || !learns_from(purpose, data, row)) continue;
    cells[row.gpu * kFp32Classes + static_cast<size_t>(row.call.kernel)].push_back(i);
  }
  Chosen chosen;
  for (size_t c = 0; c < cells.size(); ++c) {
    std::vector<size_t>& cell = cells[c];
    Random random(Seed{seed}.derive(c));
    // Test shapes and labels are few beside random ones: they come first, up to half.
    std::vector<size_t> random_shapes, model_shapes;
    for (size_t i : cell)
      (data.rows[i].source == Fp32Source::Train || data.rows[i].source == Fp32Source::Convolution
           ? random_shapes
           : model_shapes)
          .push_back(i);
    auto draw = [&](std::vector<size_t>& from, size_t take) {
      take = std::min(take, from.size());
      for (size_t j = 0; j < take; ++j) std::swap(from[j], from[j + random.index(from.size() - j)]);
      from.resize(take);
    };
    draw(model_shapes, random_shapes.empty() ? per_cell : per_cell / 2);
    draw(random_shapes, per_cell - model_shapes.size());
    double sum = 0;
    const size_t first = chosen.rows.size();
    for (const auto* part : {&model_shapes, &random_shapes}) {
      for (size_t i : *part) {
        chosen.rows.push_back(i);
        chosen.weight.push_back((aligned(data.rows[i].call) ? aligned_weight : 1) *
                                trust(data, data.rows[i]));
        sum += chosen.weight.back();
      }
    }
    const double all = static_cast<double>(model_shapes.size() + random_shapes.size());
    if (sum > 0) {
      const double cell_trust = cell.empty() ? 1 : trust(data, data.rows[cell.front()]);
      for (size_t j = first; j < chosen.rows.size(); ++j) chosen.weight[j] *= cell_trust * all / sum;
    }
  }
  return chosen;
}

// Elementwise kernels follow their law to a few percent, the others to a tenth: they tell what a GPU's memory
// reaches, and count by their variance.
constexpr double kElementwiseWeight = 9;

Fp32Constants unpack(std::span<const double> x) {
  Fp32Constants c{};
  const auto parameters = fp32_parameters();
  for (size_t i = 0; i < parameters.size(); ++i) c.*parameters[i].field = x[i];
  return c;
}

double law_seconds(const Fp32Row& row, const Fp32Device& device, const Fp32Constants& c,
                   const Fp32Effects& e) {
  return fp32_law(row.call, device, c, e, setting_of(row.source)).time;
}

}  // namespace

Fp32Model fit_fp32_law(const Fp32Data& data, Fp32Purpose purpose, const std::set<std::string>& leave_out,
                       const Fp32FitOptions& options) {
  std::vector<Fp32Device> devices;
  for (const hardware::Device& d : data.devices) devices.push_back(fp32_device(d));
  const Chosen chosen =
      choose(data, purpose, leave_out, options.rows_per_cell, options.aligned_weight, options.seed);
  std::vector<double> weights = chosen.weight;
  for (size_t j = 0; j < weights.size(); ++j)
    if (data.rows[chosen.rows[j]].call.kernel == Fp32Class::Elementwise) weights[j] *= kElementwiseWeight;
  std::vector<Fp32Effects> effects(data.devices.size());
  learn::LeastSquaresOptions fit;
  fit.noise = options.noise;
  fit.huber = options.huber;
  fit.prior_weight = options.prior_weight;
  fit.iterations = options.iterations;
  fit.threads = options.threads;
  std::vector<learn::FitParameter> parameters;
  for (const Fp32Parameter& p : fp32_parameters())
    parameters.push_back(
        {.name = std::string(p.name), .prior = p.centre, .spread = p.spread, .high = p.most});
  Fp32Constants constants = central_fp32_constants();
  for (int round = 0; round < options.rounds; ++round) {
    auto shared = [&](std::span<const double> x, std::span<double> out) {
      const Fp32Constants c = unpack(x);
      for (size_t j = 0; j < out.size(); ++j) {
        const Fp32Row& row = data.rows[chosen.rows[j]];
        out[j] = std::log(law_seconds(row, devices[row.gpu], c, effects[row.gpu]) / row.seconds);
      }
    };
    constants = unpack(learn::fit_least_squares(parameters, shared, chosen.rows.size(), weights, fit).value);
    for (size_t gpu = 0; gpu < devices.size(); ++gpu) {
      std::vector<size_t> own;
      std::vector<double> weight;
      for (size_t j = 0; j < chosen.rows.size(); ++j) {
        if (data.rows[chosen.rows[j]].gpu != gpu) continue;
        own.push_back(chosen.rows[j]);
        weight.push_back(weights[j]);
      }
      if (own.empty()) continue;
      std::vector<learn::FitParameter> factors;
      for (size_t f = 0; f < kFp32Effects; ++f)
        factors.push_back({.name = "effect",
                           .prior = 0,
                           .spread = options.effect_spread.*kFp32EffectFields[f],
                           .logarithmic = false});
      auto single = [&](std::span<const double> x, std::span<double> out) {
        Fp32Effects e;
        for (size_t f = 0; f < kFp32Effects; ++f) e.*kFp32EffectFields[f] = x[f];
        for (size_t j = 0; j < out.size(); ++j) {
          const Fp32Row& row = data.rows[own[j]];
          out[j] = std::log(law_seconds(row, devices[gpu], constants, e) / row.seconds);
        }
      };
      const auto value = learn::fit_least_squares(factors, single, own.size(), weight, fit).value;
      for (size_t f = 0; f < kFp32Effects; ++f) effects[gpu].*kFp32EffectFields[f] = value[f];
    }
  }
  Fp32Model::Contents contents;
  contents.constants = constants;
  contents.residual_share = options.residual_share;
  std::set<size_t> seen;
  for (size_t i : chosen.rows) seen.insert(data.rows[i].gpu);
  for (size_t gpu : seen)
    contents.gpus.push_back({data.devices[gpu].name, data.devices[gpu].gpu()->architecture,
                             data.devices[gpu].gpu()->multiprocessors, effects[gpu]});

  const Chosen rows =
      choose(data, purpose, leave_out, options.tree_rows_per_cell, options.aligned_weight, options.seed + 1);
  for (size_t k = 0; k < kFp32Classes; ++k) {
    std::vector<float> features;
    std::vector<double> target, weight;
    for (size_t j = 0; j < rows.rows.size(); ++j) {
      const Fp32Row& row = data.rows[rows.rows[j]];
      if (static_cast<size_t>(row.call.kernel) != k) continue;
      const Fp32Parts parts =
          fp32_law(row.call, devices[row.gpu], constants, effects[row.gpu], setting_of(row.source));
      const double body = row.seconds - parts.start;
      if (body < kFewestSeconds || row.seconds < kHostBound * parts.host) continue;  // tells of the host
      const bool batched = row.call.kernel == Fp32Class::Batched;
      if (!batched && parts.power > kNearCap * parts.uncapped) continue;  // tells of power, not of tiles
      const Fp32Features f = fp32_features(row.call, parts, devices[row.gpu]);
      features.insert(features.end(), f.begin(), f.end());
      target.push_back(std::log(body / (batched ? parts.body : parts.uncapped)));
      weight.push_back(rows.weight[j] * std::pow(body / row.seconds, 2));
    }
    if (target.size() < 200) continue;
    learn::BoostedTreesOptions trees;
    trees.loss = learn::TreeLoss::Huber;
    trees.huber_width = .1;
    trees.trees = options.trees;
    trees.leaves = options.leaves;
    trees.learning_rate = options.learning_rate;
    trees.min_leaf_rows = 40;
    trees.l2 = 10;
    trees.bins = 48;
    trees.row_share = .7;
    trees.seed = options.seed + k;
    trees.threads = options.threads;
    contents.residual[k] = learn::fit_boosted_trees({features, kFp32Features, target, weight}, trees).model;
  }
  return Fp32Model(std::move(contents));
}

std::vector<Fp32Model> fp32_left_out(const Fp32Data& data, Fp32Purpose purpose,
                                     const Fp32FitOptions& options) {
  std::set<size_t> learned;
  for (const Fp32Row& row : data.rows)
    if (learns_from(purpose, data, row)) learned.insert(row.gpu);
  std::vector<Fp32Model> models(data.devices.size());
  for (size_t gpu : learned) models[gpu] = fit_fp32_law(data, purpose, {data.devices[gpu].name}, options);
  return models;
}

Fp32Model with_bands(const Fp32Model& model, const Fp32Data& data, Fp32Purpose purpose,
                     const std::vector<Fp32Model>& left_out, const std::set<std::string>& skip,
                     const Fp32FitOptions& options) {
  const Chosen rows = choose(data, purpose, skip, options.tree_rows_per_cell, 1, options.seed + 2);
  std::vector<Fp32Model::Target> targets;
  for (size_t gpu = 0; gpu < data.devices.size(); ++gpu)
    targets.push_back(left_out[gpu].target(data.devices[gpu]));
  Fp32Model::Contents contents = model.contents();
  for (size_t k = 0; k < kFp32Classes; ++k) {
    std::vector<Fp32BandRow> errors, of_nvidia;
    for (size_t i : rows.rows) {
      const Fp32Row& row = data.rows[i];
      if (static_cast<size_t>(row.call.kernel) != k || left_out[row.gpu].contents().gpus.empty()) continue;
      const Fp32Cost cost = left_out[row.gpu].price(row.call, targets[row.gpu], setting_of(row.source));
      errors.push_back(
          {row.gpu, std::log(row.seconds / cost.time), trust(data, row),
           fp32_elasticity(cost.parts, left_out[row.gpu].contents().constants, row.call.kernel)});
      if (targets[row.gpu].device.family != Fp32Family::Cdna) of_nvidia.push_back(errors.back());
    }
    contents.band[k] = fit_fp32_band(errors, options.effect_spread);
    contents.nvidia_band[k] = fit_fp32_band(of_nvidia, options.effect_spread);
  }
  return Fp32Model(std::move(contents));
}

std::string_view name(Fp32Purpose purpose) {
  return purpose == Fp32Purpose::All ? "all" : "paper-split";
}

Fp32Weights fit_fp32_weights(const std::string& folder, Fp32Purpose purpose, uint64_t seed, int threads) {
  const Fp32Data data = read_fp32_data(folder);
  Fp32FitOptions options;
  options.seed = seed;
  options.threads = threads;
  const std::vector<Fp32Model> left_out = fp32_left_out(data, purpose, options);
  const Fp32Model model =
      with_bands(fit_fp32_law(data, purpose, {}, options), data, purpose, left_out, {}, options);
  std::map<std::string, size_t> seen;
  Fp32Weights weights;
  for (const Fp32Row& row : data.rows) {
    if (!learns_from(purpose, data, row)) continue;
    ++seen[data.devices[row.gpu].title];
    weights.gpus.insert(data.devices[row.gpu].title);
    ++weights.rows;
  }
  const nlohmann::ordered_json provenance = {
      {"rows", name(purpose)},
      {"rows_by_gpu", seen},
      {"seed", seed},
      {"command",
       fmt::format("orrery fit latency --train MEASURED --method fp32 --rows {} --output data/weights",
                   name(purpose))},
      {"source", "sitar-lab/NeuSight, MIT"}};
  weights.json = model.to_json(provenance.dump());
  return weights;
}

}  // namespace orrery::cost
