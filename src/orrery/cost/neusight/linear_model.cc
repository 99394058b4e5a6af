#include "orrery/cost/neusight/linear_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "orrery/base/text.h"

namespace orrery::cost {

using nlohmann::ordered_json;

double work_of(const NeuSightOperator& op) {
  return is_product(op.kind) ? 2 * op.batch * op.m * op.n * op.k : op.bytes_per_output * op.m * op.n;
}

LinearModel::LinearModel(std::shared_ptr<const Weights> weights)
    : RegressedModel(std::move(weights), 0x4c69) {
  const Node node = parse_json(std::string(weights_->parameters("linear")), weights_->file_of("linear"));
  for (const auto& [title, of_device] : node.entries()) {
    OfDevice d;
    d.device.name = title;
    d.device.bandwidth_gb_s = of_device.at("bandwidth_gb_s").as_number(1, 1e6);
    d.device.amd = of_device.at("vendor").as_string() == "AMD";
    for (size_t c = 0; c < kNeuSightClasses; ++c) {
      const Node* line = of_device.find(name(static_cast<NeuSightClass>(c)));
      if (!line) continue;
      if (line->items().size() != 2) line->fail("expected seconds per unit and the intercept");
      d.lines[c] = {line->items()[0].as_number(), line->items()[1].as_number()};
    }
    devices_.push_back(d);
  }
}

WorkLine LinearModel::line(NeuSightClass of_class, const NeuSightDevice& device) const {
  const auto c = static_cast<size_t>(of_class);
  double n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (const OfDevice& known : devices_) {
    const WorkLine& line = known.lines[c];
    if (line.seconds_per_unit <= 0) continue;
    if (lower_case(known.device.name) == lower_case(device.name)) return line;
    if (known.device.amd != device.amd) continue;
    const double bandwidth = known.device.bandwidth_gb_s, rate = 1 / line.seconds_per_unit;
    n += 1;
    x += bandwidth;
    y += rate;
    xx += bandwidth * bandwidth;
    xy += bandwidth * rate;
  }
  if (n == 0)
    throw InputError(Place{weights_->file(), 0, 0},
                     "holds no line for '" + std::string(name(of_class)) + "'");
  const double spread = n * xx - x * x;
  const double slope = spread > 0 ? (n * xy - x * y) / spread : 0;
  const double rate = (y - slope * x) / n + slope * device.bandwidth_gb_s;
  const double least = y / n * 1e-3;  // far below the slowest GPU the line crosses zero
  return {1 / std::max(rate, least), 0};
}

RegressedPrice LinearModel::price(const NeuSightOperator& op, const NeuSightDevice& device) const {
  const WorkLine of_class = line(class_of(op.kind), device);
  const double work = work_of(op) * of_class.seconds_per_unit;
  // Intercepts of some classes are negative; no time is.
  return {.seconds = std::max(work + of_class.intercept, 0.01 * work), .compute_bound = is_product(op.kind)};
}

std::string LinearModel::to_json(const std::vector<OfDevice>& devices) {
  ordered_json json = ordered_json::object();
  for (const OfDevice& d : devices) {
    ordered_json& of_device = json[d.device.name];
    of_device["vendor"] = d.device.amd ? "AMD" : "NVIDIA";
    of_device["bandwidth_gb_s"] = d.device.bandwidth_gb_s;
    for (size_t c = 0; c < kNeuSightClasses; ++c) {
      const WorkLine& line = d.lines[c];
      if (line.seconds_per_unit > 0)
        of_device[std::string(name(static_cast<NeuSightClass>(c)))] = {rounded(line.seconds_per_unit),
                                                                       rounded(line.intercept)};
    }
  }
  return json.dump();
}

}  // namespace orrery::cost
