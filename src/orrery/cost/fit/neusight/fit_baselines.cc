#include "orrery/cost/fit/neusight/fit_baselines.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "orrery/learn/metrics.h"
#include "orrery/learn/perceptron_fit.h"

namespace orrery::cost {
namespace {

WorkLine least_squares_line(const std::vector<std::pair<double, double>>& points) {
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
  for (auto [x, y] : points) {
    mean_x += x;
    mean_y += y;
  }
  mean_x /= static_cast<double>(points.size());
  mean_y /= static_cast<double>(points.size());
  for (auto [x, y] : points) {
    xx += (x - mean_x) * (x - mean_x);
    xy += (x - mean_x) * (y - mean_y);
  }
  const double slope = xx > 0 ? xy / xx : mean_y / mean_x;
  return {slope, mean_y - slope * mean_x};
}

ReferenceCurve median_curve(std::vector<std::pair<double, double>> points) {
  constexpr double kStep = 0.5;  // of log2 of bytes
  ReferenceCurve curve;
  std::sort(points.begin(), points.end());
  for (size_t begin = 0, end = 0; begin < points.size(); begin = end) {
    const double bin = std::floor(std::log2(points[begin].first) / kStep);
    std::vector<double> bytes, seconds;
    for (; end < points.size() && std::floor(std::log2(points[end].first) / kStep) == bin; ++end) {
      bytes.push_back(points[end].first);
      seconds.push_back(points[end].second);
    }
    curve.bytes.push_back(rounded(learn::quantile(bytes, 0.5)));
    curve.seconds.push_back(rounded(learn::quantile(seconds, 0.5)));
  }
  return curve;
}

}  // namespace

std::vector<LinearModel::OfDevice> fit_lines(const MeasuredOperators& measured,
                                             const std::vector<NeuSightTask>& tasks) {
  std::vector<LinearModel::OfDevice> devices(measured.devices.size());
  for (size_t d = 0; d < devices.size(); ++d) devices[d].device = measured.devices[d];
  for (const NeuSightTask& task : tasks) {
    std::vector<std::vector<std::pair<double, double>>> points(devices.size());
    for (uint32_t row : task.rows) {
      const MeasuredOperator& m = measured.rows[row];
      points[m.device].emplace_back(work_of(m.op), m.seconds);
    }
    for (size_t d = 0; d < devices.size(); ++d) {
      if (points[d].size() >= 2)
        devices[d].lines[static_cast<size_t>(task.of_class)] = least_squares_line(points[d]);
    }
  }
  return devices;
}

HabitatNet fit_habitat_net(const MeasuredOperators& measured, const NeuSightTask& task,
                           const NeuSightOptions& options, Seed seed, std::stop_token stop) {
  constexpr size_t kFeatures = 8;
  const size_t n = task.rows.size();
  HabitatNet result;
  std::vector<std::array<double, kFeatures>> raw;
  std::vector<double> milliseconds;
  for (uint32_t row : task.rows) {
    const MeasuredOperator& m = measured.rows[row];
    raw.push_back(habitat_features(m.op, measured.devices[m.device]));
    milliseconds.push_back(1e3 * m.seconds);
  }
  for (size_t f = 0; f < kFeatures; ++f) {
    double mean = 0, square = 0;
    for (const auto& x : raw) mean += x[f] / static_cast<double>(n);
    for (const auto& x : raw) square += (x[f] - mean) * (x[f] - mean) / static_cast<double>(n);
    result.mean[f] = rounded(mean);
    result.deviation[f] = square > 0 ? rounded(std::sqrt(square)) : 1;
  }
  std::vector<float> x;
  for (const auto& row : raw) {
    for (size_t f = 0; f < kFeatures; ++f)
      x.push_back(static_cast<float>((row[f] - result.mean[f]) / result.deviation[f]));
  }
  std::vector<uint32_t> order = learn::shuffled(n, seed.derive(0));
  const std::vector<uint32_t> held_back(order.begin(), order.begin() + static_cast<ptrdiff_t>(n / 5));
  const std::vector<uint32_t> training(order.begin() + static_cast<ptrdiff_t>(n / 5), order.end());
  auto error = [&](size_t row, std::span<const float> out) {
    return std::abs(static_cast<double>(out[0]) / milliseconds[row] - 1);
  };
  auto loss = [&](size_t row, std::span<const float> out, std::span<float> gradient) {
    const bool above = static_cast<double>(out[0]) > milliseconds[row];
    gradient[0] = static_cast<float>((above ? 1 : -1) / milliseconds[row]);
    return error(row, out);
  };
  const NeuSightOptions::Schedule& schedule = options.nvidia[static_cast<size_t>(task.of_class)];
  const learn::PerceptronFitOptions fit_options = net_training(options, schedule, seed.derive(1), stop);
  std::vector<int> widths = {kFeatures};
  widths.insert(widths.end(), static_cast<size_t>(options.hidden_layers), options.width);
  widths.push_back(1);
  result.net = learn::fit_perceptron(learn::Perceptron(widths, seed.derive(2)), x, training, held_back, loss,
                                     error, fit_options)
                   .net;
  result.net.round_to_half();
  return result;
}

std::vector<ReferenceGpu> habitat_references(const MeasuredOperators& measured) {
  std::vector<ReferenceGpu> references;
  for (std::string_view wanted : {"V100-PCIe-32GB", "P100-PCIe-16GB"}) {
    for (uint32_t d = 0; d < measured.devices.size(); ++d) {
      if (measured.devices[d].name != wanted) continue;
      std::map<std::string, std::vector<std::pair<double, double>>> points;
      for (const MeasuredOperator& m : measured.rows) {
        if (m.device == d && !is_product(m.op.kind))
          points[std::string(name(m.op.kind))].emplace_back(work_of(m.op), m.seconds);
      }
      ReferenceGpu reference{
          .name = std::string(wanted), .bandwidth_gb_s = measured.devices[d].bandwidth_gb_s, .curves = {}};
      for (auto& [kind, of_kind] : points) reference.curves[kind] = median_curve(std::move(of_kind));
      references.push_back(std::move(reference));
    }
  }
  return references;
}

}  // namespace orrery::cost
