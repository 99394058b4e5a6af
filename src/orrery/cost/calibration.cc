#include "orrery/cost/calibration.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "orrery/base/document.h"
#include "orrery/base/storage.h"
#include "orrery/learn/least_squares.h"

namespace orrery::cost {
namespace {

constexpr double kPriorSd = 0.15, kNoiseSd = 0.08;
constexpr size_t kFolds = 5;
constexpr double kNinetyPercent = 1.645;  // half width of a normal 90 % band, in standard deviations
constexpr const char* kFormat = "orrery-calibration";

double log_factor(const Calibration& c, const std::array<double, 3>& shares) {
  return c.compute * shares[0] + c.memory * shares[1] + c.fixed * shares[2];
}

Calibration solve(std::span<const Observation> observations, const hardware::Device& device,
                  size_t held_out_fold) {
  std::vector<std::array<double, 3>> shares;
  std::vector<double> targets;
  for (size_t i = 0; i < observations.size(); ++i) {
    if (i % kFolds == held_out_fold) continue;
    shares.push_back(bound_shares(observations[i].predicted, device));
    targets.push_back(std::log(observations[i].measured / observations[i].predicted.time));
  }
  const learn::FitParameter factors[] = {
      {.name = "compute", .prior = 0, .spread = kPriorSd, .logarithmic = false},
      {.name = "memory", .prior = 0, .spread = kPriorSd, .logarithmic = false},
      {.name = "fixed", .prior = 0, .spread = kPriorSd, .logarithmic = false}};
  auto residuals = [&](std::span<const double> c, std::span<double> out) {
    for (size_t i = 0; i < targets.size(); ++i) {
      out[i] = targets[i] - c[0] * shares[i][0] - c[1] * shares[i][1] - c[2] * shares[i][2];
    }
  };
  std::vector<double> beta =
      learn::fit_least_squares(factors, residuals, targets.size(), {}, {.noise = kNoiseSd}).value;
  return {.compute = beta[0], .memory = beta[1], .fixed = beta[2]};
}

double relative_error(const Observation& observation, double factor) {
  return std::abs(observation.predicted.time.value() * factor / observation.measured.value() - 1);
}

}  // namespace

std::array<double, 3> bound_shares(const OperatorCost& cost, const hardware::Device& device) {
  double time = cost.time.value();
  if (time <= 0) return {0, 0, 1};
  double compute = std::clamp(cost.compute.value() / time, 0.0, 1.0);
  double memory =
      device.memory_bandwidth.value() > 0
          ? std::clamp(cost.traffic[kDram].value() / device.memory_bandwidth.value() / time, 0.0, 1.0)
          : 0.0;
  double rest = std::max(0.0, 1 - std::max(compute, memory));
  double sum = compute + memory + rest;
  return {compute / sum, memory / sum, rest / sum};
}

Calibration fit_calibration(std::span<const Observation> observations, const hardware::Device& device) {
  Calibration result = solve(observations, device, kFolds);  // no fold is held out
  result.rows = observations.size();
  if (observations.empty()) return result;
  std::vector<Calibration> without;
  for (size_t fold = 0; fold < kFolds; ++fold) without.push_back(solve(observations, device, fold));
  double squares = 0, squares_of_band = 0;
  for (size_t i = 0; i < observations.size(); ++i) {
    const Observation& observation = observations[i];
    double factor = std::exp(log_factor(without[i % kFolds], bound_shares(observation.predicted, device)));
    result.error_before += relative_error(observation, 1);
    result.error_after += relative_error(observation, factor);
    double residual = std::log(observation.measured / (observation.predicted.time * factor));
    squares += residual * residual;
    double half = std::log(observation.predicted.high / observation.predicted.low) / 2;
    squares_of_band += half * half;
  }
  auto n = static_cast<double>(observations.size());
  result.error_before /= n;
  result.error_after /= n;
  if (squares_of_band > 0)
    result.band = std::clamp(kNinetyPercent * std::sqrt(squares / squares_of_band), 0.2, 3.0);
  return result;
}

std::string to_json(const Calibrations& calibrations) {
  nlohmann::ordered_json devices = nlohmann::ordered_json::object();
  for (const auto& [name, c] : calibrations) {
    devices[name] = {{"compute", c.compute},
                     {"memory", c.memory},
                     {"fixed", c.fixed},
                     {"rows", c.rows},
                     {"error_before", c.error_before},
                     {"error_after", c.error_after},
                     {"band", c.band}};
  }
  nlohmann::ordered_json root = {
      {"format", kFormat}, {"version", 1}, {"base", "default"}, {"devices", devices}};
  return root.dump(2) + "\n";
}

Calibrations read_calibrations(const std::string& path) {
  Node root = parse_json(read_file(path), path);
  root.allow_only({"format", "version", "base", "devices"});
  if (root.at("format").as_string() != kFormat) root.at("format").fail("expected 'orrery-calibration'");
  root.at("version").as_integer(1, 1);
  constexpr double kLargest = 3;  // a factor of 20: what lies beyond is a unit mistake
  Calibrations result;
  for (const auto& [name, node] : root.at("devices").entries()) {
    node.allow_only({"compute", "memory", "fixed", "rows", "error_before", "error_after", "band"});
    result[name] = {.compute = node.at("compute").as_number(-kLargest, kLargest),
                    .memory = node.at("memory").as_number(-kLargest, kLargest),
                    .fixed = node.at("fixed").as_number(-kLargest, kLargest),
                    .rows = static_cast<size_t>(node.at("rows").as_integer(0, int64_t{1} << 50)),
                    .error_before = node.at("error_before").as_number(0),
                    .error_after = node.at("error_after").as_number(0),
                    .band = node.at("band").as_number(0.01, 100)};
  }
  return result;
}

bool is_calibration_file(const std::string& path) {
  std::string text = read_file(path);
  return text.substr(0, 200).find(kFormat) != std::string::npos;
}

CalibratedModel::CalibratedModel(std::shared_ptr<const OperatorModel> base, Calibrations calibrations)
    : base_(std::move(base)),
      calibrations_(std::move(calibrations)),
      fingerprint_(hash_bytes(to_json(calibrations_), base_->fingerprint())) {}

void CalibratedModel::price(std::span<const graph::Kernel> kernels, const hardware::Device& device,
                            Allotment allotment, std::span<OperatorCost> out) const {
  base_->price(kernels, device, allotment, out);
  auto found = calibrations_.find(device.name);
  if (found == calibrations_.end()) return;
  for (OperatorCost& cost : out) {
    double factor = std::exp(log_factor(found->second, bound_shares(cost, device)));
    cost.time *= factor;
    cost.compute = std::min(cost.compute * std::exp(found->second.compute), cost.time);
    cost.low = static_cast<float>(std::pow(cost.low, found->second.band));
    cost.high = static_cast<float>(std::pow(cost.high, found->second.band));
  }
}

}  // namespace orrery::cost
