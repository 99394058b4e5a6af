#include "orrery/cost/fit/fit_fp8_model.h"

#include <algorithm>
#include <cmath>

#include "orrery/base/random.h"
#include "orrery/learn/boosted_trees_fit.h"

namespace orrery::cost {
namespace {

struct GpuRows {
  std::vector<Fp8Product> products;
  std::vector<Fp8Parts> parts;
  std::vector<float> features;
  std::vector<double> residual;  // log(measured / law)
  std::vector<int> fold;
};

GpuRows rows_of(const Fp8Measured& measured, int gpu, const Fp8Device& device, const Fp8Constants& constants,
                const std::function<bool(const std::string&, const Fp8Row&)>& keep) {
  GpuRows out;
  for (const Fp8Row& row : measured.rows) {
    if (row.gpu != gpu || !keep(measured.gpus[static_cast<size_t>(gpu)], row)) continue;
    const Fp8Product product{.m = row.m, .n = row.n, .k = row.k, .weights = WeightState::Cycled};
    const Fp8Parts parts = fp8_gemm_law(product, device, constants);
    const auto features = fp8_features(product, parts);
    out.products.push_back(product);
    out.parts.push_back(parts);
    out.features.insert(out.features.end(), features.begin(), features.end());
    out.residual.push_back(std::log(row.seconds / parts.time));
    out.fold.push_back(fp8_fold(row.n, row.k));
  }
  return out;
}

// Trees on the rows outside `fold` (-1: on all).
learn::BoostedTrees fit_trees(const GpuRows& rows, int fold, const Fp8ModelOptions& options) {
  std::vector<float> features;
  std::vector<double> target;
  for (size_t i = 0; i < rows.residual.size(); ++i) {
    if (rows.fold[i] == fold) continue;
    const auto begin = rows.features.begin() + static_cast<std::ptrdiff_t>(i * kFp8Features);
    features.insert(features.end(), begin, begin + kFp8Features);
    target.push_back(rows.residual[i]);
  }
  return learn::fit_boosted_trees({.features = features, .columns = kFp8Features, .target = target},
                                  {.loss = learn::TreeLoss::Huber,
                                   .huber_width = .05,
                                   .trees = options.trees,
                                   .leaves = options.leaves,
                                   .learning_rate = .1,
                                   .min_leaf_rows = 20,
                                   .bins = 128,
                                   .column_share = .7,
                                   .threads = options.threads})
      .model;
}

// The 5 % and 95 % quantiles of each time class; a class without rows takes those of all.
std::array<std::array<double, 2>, kFp8TimeClasses> quantiles(const std::vector<double>& seconds,
                                                             const std::vector<double>& logs) {
  std::array<std::vector<double>, kFp8TimeClasses> classes;
  for (size_t i = 0; i < logs.size(); ++i) classes[fp8_time_class(seconds[i])].push_back(logs[i]);
  std::array<std::array<double, 2>, kFp8TimeClasses> out{};
  for (size_t c = 0; c < kFp8TimeClasses; ++c) {
    std::vector<double> sorted = classes[c].size() < 50 ? logs : classes[c];
    if (sorted.empty()) continue;
    std::sort(sorted.begin(), sorted.end());
    const auto at = [&](double q) {
      return sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1))];
    };
    out[c] = {std::min(at(.05), -.01), std::max(at(.95), .01)};
  }
  return out;
}

double median(std::vector<double> values, double otherwise) {
  if (values.empty()) return otherwise;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Host time from calls that the GPU would have done in a third of it, the factor from calls that take the GPU
// twice as long.
void fit_block(const Fp8Measured& measured, std::span<const std::optional<Fp8Device>> devices,
               const std::function<bool(const std::string&, const Fp8Row&)>& keep,
               Fp8GemmModel::Weights* weights) {
  struct Call {
    double law, seconds;
    bool many;
  };
  std::array<std::vector<Call>, kBlockLibraries> calls;
  // The constants that the model will price these GPUs with.
  std::vector<Fp8Constants> constants(devices.size(), weights->constants);
  for (size_t g = 0; g < devices.size(); ++g) {
    for (const auto& residual : weights->residuals) {
      if (devices[g] && residual.kernels == devices[g]->kernels) constants[g] = residual.constants;
    }
    constants[g][Fp8Constant::OutsideRow] = std::min(1.0, constants[g][Fp8Constant::OutsideRow]);
  }
  for (const Fp8Row& row : measured.rows) {
    const auto g = static_cast<size_t>(row.gpu);
    if (!devices[g] || !keep(measured.gpus[g], row)) continue;
    const Fp8Product product{.m = row.m, .n = row.n, .k = row.k, .weights = WeightState::Cycled};
    calls[static_cast<size_t>(block_library(devices[g]->kernels, row.m, row.n, row.k))].push_back(
        {fp8_gemm_law(product, *devices[g], constants[g]).time, row.seconds, row.m > 256});
  }
  for (size_t l = 0; l < kBlockLibraries; ++l) {
    Fp8GemmModel::Block& block = weights->block[l];
    std::vector<double> least;
    for (const Call& call : calls[l]) least.push_back(call.seconds);
    if (least.empty()) continue;
    block.measured = true;
    std::sort(least.begin(), least.end());
    const double quick = least[least.size() / 20];
    std::vector<double> host;
    for (const Call& call : calls[l]) {
      if (call.law < quick / 3) host.push_back(call.seconds);
    }
    block.host = median(std::move(host), quick);
    for (const bool many : {false, true}) {
      std::vector<double> factor;
      for (const Call& call : calls[l]) {
        if (call.many == many && call.law > 2 * block.host) factor.push_back(call.seconds / call.law);
      }
      if (factor.size() >= 20) block.factor[many ? 1 : 0] = median(std::move(factor), 1);
    }
    std::vector<double> logs;
    for (const Call& call : calls[l]) {
      const double gpu = call.law * block.factor[call.many ? 1 : 0];
      logs.push_back(std::log(call.seconds / std::pow(std::pow(gpu, 4) + std::pow(block.host, 4), .25)));
    }
    std::sort(logs.begin(), logs.end());
    block.band = {std::min(-.05, logs[logs.size() / 20]), std::max(.05, logs[logs.size() * 19 / 20])};
  }
}

}  // namespace

int fp8_fold(double n, double k) {
  return static_cast<int>(Seed{static_cast<uint64_t>(n)}.derive(static_cast<uint64_t>(k)).value % kFp8Folds);
}

Fp8GemmModel fit_fp8_model(const Fp8Measured& fp8, const Fp8Measured& block,
                           const std::function<hardware::Device(const std::string&)>& device_of,
                           const std::function<bool(const std::string&, const Fp8Row&)>& keep,
                           const Fp8ModelOptions& options) {
  Fp8GemmModel::Weights weights;
  const auto seen = [&](const Fp8Measured& measured) {
    std::vector<bool> any(measured.gpus.size());
    for (const Fp8Row& row : measured.rows) {
      const auto g = static_cast<size_t>(row.gpu);
      if (!any[g] && keep(measured.gpus[g], row)) any[g] = true;
    }
    return any;
  };
  std::vector<Fp8Row> rows;
  for (const Fp8Row& row : fp8.rows) {
    if (keep(fp8.gpus[static_cast<size_t>(row.gpu)], row)) rows.push_back(row);
  }
  const std::vector<bool> any = seen(fp8);
  std::vector<hardware::Device> devices;
  std::vector<Fp8Device> facts;
  for (const std::string& gpu : fp8.gpus) {
    devices.push_back(device_of(gpu));
    facts.push_back(fp8_device(devices.back()));
  }
  std::vector<const Fp8Device*> shown;
  for (size_t g = 0; g < facts.size(); ++g) shown.push_back(any[g] ? &facts[g] : nullptr);
  Fp8FitOptions law = options.law;
  law.threads = options.threads;
  weights.constants = fit_fp8_constants(rows, shown, law);

  weights.trained_on = std::to_string(rows.size()) + " products on";
  for (size_t g = 0; g < fp8.gpus.size(); ++g) {
    if (!any[g]) continue;
    weights.trained_on += ' ' + fp8.gpus[g];
    std::vector<const Fp8Device*> alone(facts.size(), nullptr);
    alone[g] = &facts[g];
    Fp8FitOptions own = law;
    own.prior_weight = options.own_prior_weight;
    const Fp8Constants constants = fit_fp8_constants(rows, alone, own);
    const GpuRows of = rows_of(fp8, static_cast<int>(g), facts[g], constants, keep);
    Fp8GemmModel::Residual residual{devices[g].name,
                                    facts[g].kernels,
                                    facts[g].multiprocessors,
                                    facts[g].cache,
                                    constants,
                                    fit_trees(of, -1, options),
                                    {},
                                    {}};
    std::vector<double> law;
    for (const Fp8Parts& parts : of.parts) law.push_back(parts.time);
    residual.corrected = residual.alone = quantiles(law, of.residual);
    if (options.bands) {
      std::vector<double> seconds(law.size());
      std::vector<double> logs(law.size());
      for (int fold = 0; fold < kFp8Folds; ++fold) {
        const learn::BoostedTrees trees = fit_trees(of, fold, options);
        std::vector<double> predicted(law.size());
        trees.predict(of.features, predicted);
        for (size_t i = 0; i < law.size(); ++i) {
          if (of.fold[i] != fold) continue;
          seconds[i] = law[i] * std::exp(predicted[i]);
          logs[i] = of.residual[i] - predicted[i];
        }
      }
      residual.corrected = quantiles(seconds, logs);
    }
    weights.residuals.push_back(std::move(residual));
  }

  std::vector<std::optional<Fp8Device>> block_devices;
  const std::vector<bool> any_block = seen(block);
  for (size_t g = 0; g < block.gpus.size(); ++g) {
    block_devices.push_back(any_block[g] ? std::optional(fp8_device(device_of(block.gpus[g])))
                                         : std::nullopt);
  }
  fit_block(block, block_devices, keep, &weights);
  return Fp8GemmModel(std::move(weights));
}

}  // namespace orrery::cost
