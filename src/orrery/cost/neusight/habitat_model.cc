#include "orrery/cost/neusight/habitat_model.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "orrery/base/text.h"
#include "orrery/cost/neusight/linear_model.h"

namespace orrery::cost {
namespace {

using nlohmann::ordered_json;

constexpr double kLeastMilliseconds = 1e-3;  // far from its rows the net's plane crosses zero

HabitatNet read_net(const Node& node) {
  HabitatNet result;
  std::vector<int> widths;
  for (const Node& width : node.at("widths").items())
    widths.push_back(static_cast<int>(width.as_integer(1, 4096)));
  try {
    result.net = learn::Perceptron::from_base64(widths, node.at("values").as_string());
  } catch (const std::invalid_argument& e) {
    node.at("values").fail(e.what());
  }
  auto numbers = [&](std::string_view key, double low, std::array<double, 8>& into) {
    const std::vector<Node>& items = node.at(key).items();
    if (items.size() != into.size()) node.at(key).fail("expected 8 numbers");
    for (size_t i = 0; i < into.size(); ++i) into[i] = items[i].as_number(low, 1e300);
  };
  if (result.net.inputs() != 8 || result.net.outputs() != 1) node.fail("expected 8 inputs and 1 output");
  numbers("mean", -1e300, result.mean);
  numbers("deviation", 1e-300, result.deviation);
  return result;
}

ordered_json net_json(const HabitatNet& net) {
  ordered_json mean = ordered_json::array(), deviation = ordered_json::array();
  for (double x : net.mean) mean.push_back(rounded(x));
  for (double x : net.deviation) deviation.push_back(rounded(x));
  return {{"mean", mean},
          {"deviation", deviation},
          {"widths", net.net.widths()},
          {"values", net.net.to_base64()}};
}

}  // namespace

double ReferenceCurve::at(double moved) const {
  if (moved <= bytes.front()) return seconds.front();
  if (moved >= bytes.back()) return seconds.back() * moved / bytes.back();
  const auto above = static_cast<size_t>(std::upper_bound(bytes.begin(), bytes.end(), moved) - bytes.begin());
  const double x0 = std::log(bytes[above - 1]), x1 = std::log(bytes[above]);
  const double share = (std::log(moved) - x0) / (x1 - x0);
  return std::exp(std::log(seconds[above - 1]) * (1 - share) + std::log(seconds[above]) * share);
}

std::array<double, 8> habitat_features(const NeuSightOperator& op, const NeuSightDevice& device) {
  return {op.batch,
          op.m,
          op.k,
          op.n,
          device.bandwidth_gb_s,
          device.memory_gb,
          device.multiprocessors,
          device.matrix_gflops};
}

HabitatModel::HabitatModel(std::shared_ptr<const Weights> weights)
    : RegressedModel(std::move(weights), 0x486162) {
  const Node node = parse_json(std::string(weights_->parameters("habitat")), weights_->file_of("habitat"));
  bmm_ = read_net(node.at("bmm"));
  linear_ = read_net(node.at("linear"));
  for (const auto& [title, of_gpu] : node.at("references").entries()) {
    ReferenceGpu reference{
        .name = title, .bandwidth_gb_s = of_gpu.at("bandwidth_gb_s").as_number(1, 1e6), .curves = {}};
    for (const auto& [kind, points] : of_gpu.at("curves").entries()) {
      ReferenceCurve& curve = reference.curves[kind];
      for (const Node& point : points.items()) {
        if (point.items().size() != 2) point.fail("expected bytes and seconds");
        curve.bytes.push_back(point.items()[0].as_number(1, 1e18));
        curve.seconds.push_back(point.items()[1].as_number(1e-12, 1e6));
      }
      if (curve.bytes.empty() || !std::is_sorted(curve.bytes.begin(), curve.bytes.end()))
        points.fail("expected points of rising bytes");
    }
    references_.push_back(std::move(reference));
  }
}

RegressedPrice HabitatModel::price(const NeuSightOperator& op, const NeuSightDevice& device) const {
  if (is_product(op.kind)) {
    const HabitatNet& chosen = op.kind == NeuSightKind::Bmm ? bmm_ : linear_;
    const std::array<double, 8> features = habitat_features(op, device);
    std::array<float, 8> x;
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<float>((features[i] - chosen.mean[i]) / chosen.deviation[i]);
    std::array<float, 1> y;
    chosen.net.evaluate(1, x, y);
    return {.seconds = std::max(kLeastMilliseconds, static_cast<double>(y[0])) / 1e3, .compute_bound = true};
  }
  const double bytes = work_of(op);
  for (const ReferenceGpu& reference : references_) {
    if (lower_case(reference.name) == lower_case(device.name)) continue;
    auto curve = reference.curves.find(std::string(name(op.kind)));
    if (curve == reference.curves.end()) continue;
    return {.seconds = curve->second.at(bytes) * reference.bandwidth_gb_s / device.bandwidth_gb_s};
  }
  return {.seconds = memory_seconds(bytes, device)};
}

std::string HabitatModel::to_json(const HabitatNet& bmm, const HabitatNet& linear,
                                  const std::vector<ReferenceGpu>& references) {
  ordered_json json = {
      {"bmm", net_json(bmm)}, {"linear", net_json(linear)}, {"references", ordered_json::object()}};
  for (const ReferenceGpu& reference : references) {
    ordered_json& of_gpu = json["references"][reference.name];
    of_gpu["bandwidth_gb_s"] = reference.bandwidth_gb_s;
    of_gpu["curves"] = ordered_json::object();
    for (const auto& [kind, curve] : reference.curves) {
      ordered_json& points = of_gpu["curves"][kind] = ordered_json::array();
      for (size_t i = 0; i < curve.bytes.size(); ++i)
        points.push_back({rounded(curve.bytes[i]), rounded(curve.seconds[i])});
    }
  }
  return json.dump();
}

}  // namespace orrery::cost
