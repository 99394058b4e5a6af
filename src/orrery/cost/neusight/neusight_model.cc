#include "orrery/cost/neusight/neusight_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "orrery/base/storage.h"

namespace orrery::cost {
namespace {

using nlohmann::ordered_json;

learn::Perceptron read_net(const Node& node) {
  std::vector<int> widths;
  for (const Node& width : node.at("widths").items())
    widths.push_back(static_cast<int>(width.as_integer(1, 4096)));
  try {
    return learn::Perceptron::from_base64(widths, node.at("values").as_string());
  } catch (const std::invalid_argument& e) {
    node.at("values").fail(e.what());
  }
}

NeuSightRegressor read_regressor(const Node& node) {
  NeuSightRegressor r;
  r.net = read_net(node);
  if (r.net.inputs() != 4 || r.net.outputs() != 3) node.at("widths").fail("expected 4 inputs and 3 outputs");
  r.best_epoch = static_cast<int>(node.at("best_epoch").as_integer(0, 1 << 30));
  r.rows = node.at("rows").as_integer(0, int64_t{1} << 40);
  r.held_back_error = node.at("held_back_error").as_number(0, 1e9);
  r.low = node.at("low").as_number(0, 1e9);
  r.high = node.at("high").as_number(0, 1e9);
  return r;
}

NeuSightMake read_make(const Node& node) {
  NeuSightMake make;
  for (size_t c = 0; c < kNeuSightClasses; ++c) {
    if (const Node* of_class = node.at("regressors").find(name(static_cast<NeuSightClass>(c))))
      make.regressors[c] = read_regressor(*of_class);
  }
  make.tiles = NeuSightTiles::from_json(node.at("tiles"));
  return make;
}

uint64_t salt_of(const std::optional<PricingSwitches>& pricing) {
  constexpr uint64_t kNeuSight = 0x6e73;
  if (!pricing) return kNeuSight;
  const double values[] = {static_cast<double>(pricing->tile_search), pricing->memory_share};
  return hash_bytes({reinterpret_cast<const char*>(values), sizeof values}, kNeuSight);
}

ordered_json make_json(const NeuSightMake& make) {
  ordered_json json;
  json["regressors"] = ordered_json::object();
  for (size_t c = 0; c < kNeuSightClasses; ++c) {
    if (!make.regressors[c]) continue;
    const NeuSightRegressor& r = *make.regressors[c];
    json["regressors"][std::string(name(static_cast<NeuSightClass>(c)))] = {
        {"rows", r.rows},
        {"best_epoch", r.best_epoch},
        {"held_back_error", rounded(r.held_back_error)},
        {"low", rounded(r.low)},
        {"high", rounded(r.high)},
        {"widths", r.net.widths()},
        {"values", r.net.to_base64()}};
  }
  json["tiles"] = ordered_json::parse(make.tiles.to_json());
  return json;
}

}  // namespace

NeuSightModel::NeuSightModel(std::shared_ptr<const Weights> weights, std::optional<PricingSwitches> pricing)
    : RegressedModel(std::move(weights), salt_of(pricing)) {
  if (pricing) {
    options_.tile_search = pricing->tile_search;
    options_.memory_share = pricing->memory_share;
  }
  const Node node = parse_json(std::string(weights_->parameters("neusight")), weights_->file_of("neusight"));
  nvidia_ = read_make(node.at("nvidia"));
  amd_ = read_make(node.at("amd"));
}

RegressedPrice NeuSightModel::price(const NeuSightOperator& op, const NeuSightDevice& device) const {
  const auto of_class = static_cast<size_t>(class_of(op.kind));
  const NeuSightMake& make = device.amd && amd_.regressors[of_class] ? amd_ : nvidia_;
  if (!make.regressors[of_class])
    throw InputError(Place{weights_->file(), 0, 0},
                     "holds no regressor for '" + std::string(name(class_of(op.kind))) + "'");
  const NeuSightRegressor& regressor = *make.regressors[of_class];
  const NeuSightTile tile = make.tiles.find(op, device, options_.tile_search);
  const NeuSightGeometry geometry = neusight_geometry(op, tile, device, options_);
  std::array<float, 3> out;
  regressor.net.evaluate(1, geometry.features, out);
  const double u = neusight_utilization(static_cast<double>(out[0]), static_cast<double>(out[2]),
                                        geometry.waves, options_.utilization);
  return {.seconds = u > 0 ? geometry.ideal / std::max(u, kLeastUtilization) : 0,
          .low = regressor.low,
          .high = regressor.high,
          .compute_bound = geometry.compute_bound};
}

std::string NeuSightModel::to_json(const NeuSightMake& nvidia, const NeuSightMake& amd) {
  return ordered_json{{"nvidia", make_json(nvidia)}, {"amd", make_json(amd)}}.dump();
}

std::string shipped_neusight_weights() {
  return data_folder() + "/weights/neusight-paper-split.json";
}

}  // namespace orrery::cost
