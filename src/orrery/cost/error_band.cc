#include "orrery/cost/error_band.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "orrery/learn/boosted_trees_fit.h"
#include "orrery/learn/metrics.h"

namespace orrery::cost {
namespace {

constexpr double kLeastResidual = .005;  // below it a residual is noise of the clock
constexpr double kLeastSize = .01, kMostSize = .6;
// Rows of one GPU err together: its rate or bandwidth lies to one side of what the facts say. Quantiles over
// rows of few GPUs miss how far the next GPU's may lie; the share by which they are widened falls with their
// number.
constexpr double kFewDevices = .65;

double clamped_size(double log2_size) {
  return std::clamp(std::exp2(log2_size), kLeastSize, kMostSize);
}

}  // namespace

size_t size_class(double seconds) {
  if (seconds < 20e-6) return 0;
  if (seconds < 100e-6) return 1;
  return seconds < 1e-3 ? 2 : 3;
}

const char* size_class_name(size_t size_class) {
  constexpr const char* kNames[kSizeClasses] = {"< 20 us", "< 100 us", "< 1 ms", "more"};
  return kNames[size_class];
}

ErrorBand::ErrorBand(learn::BoostedTrees size, double low, double high)
    : size_(std::move(size)), low_(low), high_(high), fitted_(true) {}

BandFactors ErrorBand::factors(std::span<const float> features, double widening) const {
  const double size = fitted_ ? clamped_size(size_.predict(features)) : 1;
  return {std::exp(low_ * size * widening), std::exp(high_ * size * widening)};
}

std::string ErrorBand::to_json() const {
  if (!fitted_) return "{}";
  return fmt::format("{{\"low\": {:.6g}, \"high\": {:.6g}, \"size\": \"{}\"}}", low_, high_, size_.to_text());
}

ErrorBand ErrorBand::from_json(const Node& node) {
  if (node.find("size") == nullptr) return {};
  try {
    return {learn::BoostedTrees::from_text(node.at("size").as_string()), node.at("low").as_number(-100, 0),
            node.at("high").as_number(0, 100)};
  } catch (const InputError&) {
    throw;
  } catch (const Error& error) {
    node.at("size").fail(error.what());
  }
}

ErrorBand fit_error_band(const BandRows& rows, std::int32_t skip, double confidence, std::uint64_t seed,
                         int threads) {
  std::vector<size_t> used;
  std::map<std::int32_t, double> count;
  for (size_t i = 0; i < rows.residual.size(); ++i) {
    if (rows.device[i] == skip) continue;
    used.push_back(i);
    count[rows.device[i]] += 1;
  }
  if (used.empty()) return {};
  std::vector<float> features;
  std::vector<double> target, weight;
  features.reserve(used.size() * rows.columns);
  for (size_t i : used) {
    const auto row = rows.features.subspan(i * rows.columns, rows.columns);
    features.insert(features.end(), row.begin(), row.end());
    target.push_back(std::log2(std::max(std::fabs(rows.residual[i]), kLeastResidual)));
    weight.push_back(1000 / count[rows.device[i]]);
  }
  learn::BoostedTreesOptions options;
  options.trees = 30;
  options.leaves = 8;
  options.learning_rate = .15;
  options.min_leaf_rows = 200;
  options.min_leaf_weight = 20;
  options.l2 = 20;
  options.bins = 32;
  options.seed = seed;
  options.threads = threads;
  learn::BoostedTrees size =
      learn::fit_boosted_trees({features, rows.columns, target, weight}, options).model;

  std::vector<double> score(used.size());
  for (size_t j = 0; j < used.size(); ++j) {
    const auto row = std::span<const float>(features).subspan(j * rows.columns, rows.columns);
    score[j] = rows.residual[used[j]] / clamped_size(size.predict(row));
  }
  const double outside = (1 - confidence) / 2;
  const double widened = 1 + kFewDevices / static_cast<double>(count.size());
  const double low = widened * std::min(0.0, learn::weighted_quantile(score, weight, outside));
  const double high = widened * std::max(0.0, learn::weighted_quantile(score, weight, 1 - outside));
  return {std::move(size), low, high};
}

}  // namespace orrery::cost
