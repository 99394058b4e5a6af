#include "orrery/cost/fit/fit_collectives.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "orrery/base/csv.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/learn/least_squares.h"

namespace orrery::cost {

namespace {

constexpr double kBurstGain = .1;
constexpr double kBurst = 2.0 * 1048576, kSustained = .5;  // where the fit of a lossy network starts
constexpr double kCurveWeight = 2.4;  // of a curve's rows together, in units of a prior's
const learn::LeastSquaresOptions kFit = {.noise = .11, .prior_weight = .3};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace

std::vector<CollectiveCurve> read_collectives(const std::string& path) {
  CsvTable table = read_csv(path);
  const int system = table.at("system"), ranks = table.at("num_workers"), size = table.at("size"),
            kind = table.at("collective"), per_node = table.at("devices_per_node"),
            time = table.at("time_ms");
  std::map<std::tuple<std::string, std::string, int64_t, int64_t>, std::map<double, std::vector<double>>>
      groups;
  for (size_t i = 0; i < table.rows(); ++i) {
    auto key = std::tuple(std::string(table.cell(i, system)), std::string(table.cell(i, kind)),
                          table.integer(i, ranks, 2, 1 << 20), table.integer(i, per_node, 1, 1 << 20));
    groups[key][table.number(i, size)].push_back(table.number(i, time) * 1e-3);
  }
  std::vector<CollectiveCurve> curves;
  for (auto& [key, sizes] : groups) {
    CollectiveCurve curve;
    curve.system = std::get<0>(key);
    if (std::get<1>(key) == "send_recv")
      curve.kind = Collective::SendReceive;
    else if (std::get<1>(key) != "all_reduce")
      continue;
    curve.ranks = static_cast<int>(std::get<2>(key));
    curve.per_node = static_cast<int>(std::get<3>(key));
    for (auto& [bytes, seconds] : sizes) {
      curve.bytes.push_back(bytes);
      curve.seconds.push_back(median(seconds));
    }
    bool repeated = std::any_of(curves.begin(), curves.end(),
                                [&](const CollectiveCurve& c) { return c.seconds == curve.seconds; });
    if (!repeated) curves.push_back(std::move(curve));
  }
  return curves;
}

hardware::LinkLevel link_of(const CollectiveCurve& curve) {
  hardware::LinkLevel level{.name = "unknown",
                            .fanout = curve.ranks,
                            .per_device = {},
                            .latency = {},
                            .sharing = hardware::Sharing::Port};
  const char* name = curve.system.starts_with("a100")   ? "a100-sxm4-80gb"
                     : curve.system.starts_with("h100") ? "h100-sxm5-80gb"
                                                        : nullptr;
  if (!curve.within_node() || name == nullptr) return level;
  const hardware::Device device = hardware::Catalogue::shipped().device(name);
  const hardware::Gpu& gpu = *device.gpu();
  constexpr double kBridge = 300e9;  // one way, of the bridges between two PCIe cards of either generation
  bool pairs = curve.system.find("pairwise") != std::string::npos;
  if (!pairs && gpu.link)
    level.per_device = gpu.link->per_direction;
  else if (pairs && curve.ranks == 2)
    level.per_device = BytesPerSecond(kBridge), level.sharing = hardware::Sharing::Pair;
  else if (pairs)
    level.per_device = gpu.pcie;
  level.name = pairs && curve.ranks > 2 ? "PCIe" : "NVLink";
  return level;
}

CollectiveConstants fit_collectives(const std::vector<CollectiveCurve>& curves,
                                    const std::string& leave_out) {
  struct Row {
    const CollectiveCurve* curve;
    hardware::LinkLevel level;
    size_t i;
  };
  std::vector<Row> rows;
  std::vector<double> weight;
  for (const CollectiveCurve& curve : curves) {
    hardware::LinkLevel level = link_of(curve);
    if (level.per_device.value() <= 0 || (!leave_out.empty() && curve.system == leave_out)) continue;
    for (size_t i = 0; i < curve.bytes.size(); i += 2) {
      rows.push_back({&curve, level, i});
      weight.push_back(kCurveWeight / static_cast<double>(curve.bytes.size()));
    }
  }
  CollectiveConstants start;
  double CollectiveConstants::*fitted[] = {&CollectiveConstants::start_low,  &CollectiveConstants::start_bulk,
                                           &CollectiveConstants::hop,        &CollectiveConstants::share_low,
                                           &CollectiveConstants::share_bulk, &CollectiveConstants::send_start,
                                           &CollectiveConstants::send_share};
  const double spread[] = {.5, .4, .3, .5, .15, .4, .15};
  std::vector<learn::FitParameter> parameters;
  for (size_t i = 0; i < std::size(fitted); ++i)
    parameters.push_back({.name = std::to_string(i), .prior = start.*fitted[i], .spread = spread[i]});
  auto constants = [&](std::span<const double> x) {
    CollectiveConstants c = start;
    for (size_t i = 0; i < std::size(fitted); ++i) c.*fitted[i] = x[i];
    return c;
  };
  auto residuals = [&](std::span<const double> x, std::span<double> out) {
    const CollectiveModel model(constants(x));
    for (size_t i = 0; i < out.size(); ++i) {
      const Row& row = rows[i];
      double t = model.price(row.curve->kind, row.curve->bytes[row.i], row.curve->ranks, row.level, false)
                     .time.value();
      out[i] = std::log(t / row.curve->seconds[row.i]);
    }
  };
  CollectiveConstants fit =
      constants(learn::fit_least_squares(parameters, residuals, rows.size(), weight, kFit).value);
  std::map<double, std::vector<const CollectiveCurve*>> switched;
  for (const CollectiveCurve& curve : curves) {
    hardware::LinkLevel level = link_of(curve);
    bool calibrates = level.per_device.value() > 0 && curve.system.ends_with("_dgx") &&
                      curve.system != leave_out && curve.kind == Collective::AllReduce;
    if (calibrates) switched[level.per_device.value()].push_back(&curve);
  }
  std::vector<LinkCalibration> links;
  for (const auto& [nominal, members] : switched) {
    hardware::LinkLevel level = fit_link(members, fit);
    links.push_back({nominal, level.per_device.value() / nominal, level.latency.value()});
  }
  fit.links = links;
  return fit;
}

hardware::LinkLevel fit_link(const std::vector<const CollectiveCurve*>& curves,
                             const CollectiveConstants& constants, bool lossy) {
  hardware::LinkLevel level{
      .name = "measured", .fanout = 2, .per_device = {}, .latency = {}, .sharing = hardware::Sharing::Port};
  struct Row {
    const CollectiveCurve* curve;
    size_t i;
  };
  std::vector<Row> rows;
  std::vector<double> weight;
  double seen = 0;
  for (const CollectiveCurve* curve : curves) {
    level.fanout = std::max(level.fanout, curve->ranks);
    for (size_t i = 0; i < curve->bytes.size(); i += 2) {
      rows.push_back({curve, i});
      weight.push_back(kCurveWeight / static_cast<double>(curve->bytes.size()));
      seen = std::max(seen, curve->bytes[i] / curve->seconds[i]);
    }
  }
  CollectiveModel model([&] {
    CollectiveConstants c = constants;
    c.links.clear();
    return c;
  }());
  auto link = [&](std::span<const double> x) {
    hardware::LinkLevel trial = level;
    trial.per_device = BytesPerSecond(x[0]);
    trial.latency = Seconds(x[1]);
    if (x.size() > 2) {
      trial.burst = Bytes(x[2]);
      trial.sustained = BytesPerSecond(x[0] * x[3]);
    }
    return trial;
  };
  auto residuals = [&](std::span<const double> x, std::span<double> out) {
    const hardware::LinkLevel trial = link(x);
    for (size_t i = 0; i < out.size(); ++i) {
      const Row& row = rows[i];
      double t =
          model.price(row.curve->kind, row.curve->bytes[row.i], row.curve->ranks, trial, false).time.value();
      out[i] = std::log(t / row.curve->seconds[row.i]);
    }
  };
  std::vector<learn::FitParameter> parameters = {{.name = "bandwidth", .prior = 2 * seen, .spread = 1},
                                                 {.name = "latency", .prior = 2e-6, .spread = 1.5}};
  const learn::LeastSquaresFit plain =
      learn::fit_least_squares(parameters, residuals, rows.size(), weight, kFit);
  if (!lossy) return link(plain.value);
  parameters.push_back({.name = "burst", .prior = kBurst, .spread = 1.5});
  parameters.push_back({.name = "sustained", .prior = kSustained, .spread = .5, .high = 1});
  const learn::LeastSquaresFit limited =
      learn::fit_least_squares(parameters, residuals, rows.size(), weight, kFit);
  return link(limited.objective < (1 - kBurstGain) * plain.objective ? limited.value : plain.value);
}

}  // namespace orrery::cost
