#include "orrery/report/latency_validation.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "orrery/base/document.h"
#include "orrery/base/storage.h"

namespace orrery::report {
namespace {

constexpr const char* kSchema = "orrery.validation/1";

double number_or_zero(const Node& node, std::string_view key) {
  const Node* value = node.find(key);
  return value ? value->as_number() : 0;
}

}  // namespace

std::string validation_json(const LatencyValidation& validation) {
  using json = nlohmann::ordered_json;
  // Five significant digits: the file is read by people and kept in the repository.
  auto rounded = [](double v) -> json {
    if (!std::isfinite(v)) return nullptr;
    if (v == 0) return 0;
    double unit = std::pow(10, 4 - std::floor(std::log10(std::abs(v))));
    return std::round(v * unit) / unit;
  };
  json series = json::array();
  for (const ValidationSeries& s : validation.series) {
    json points = json::array();
    for (const ValidationPoint& p : s.points) {
      points.push_back({rounded(p.measured.value()), rounded(p.predicted.value()), rounded(p.low.value()),
                        rounded(p.high.value())});
    }
    series.push_back({{"device", s.device},
                      {"architecture", s.architecture},
                      {"what", s.what},
                      {"level", s.level},
                      {"held_out", s.held_out},
                      {"rows", s.rows},
                      {"mean_error", rounded(s.mean_error)},
                      {"median_error", rounded(s.median_error)},
                      {"weighted_error", rounded(s.weighted_error)},
                      {"bias", rounded(s.bias)},
                      {"coverage", rounded(s.coverage)},
                      {"points_s", points}});
  }
  return json{{"schema", kSchema}, {"series", series}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

LatencyValidation read_validation(const std::string& path) {
  constexpr size_t kPointNumbers = 4;  // measured, predicted, low, high
  Node root = parse_json(read_file(path), path);
  const Node& schema = root.at("schema");
  if (schema.as_string() != kSchema) schema.fail(std::string("expected \"") + kSchema + "\"");
  LatencyValidation out;
  for (const Node& node : root.at("series").items()) {
    ValidationSeries& s = out.series.emplace_back();
    s.device = node.at("device").as_string();
    s.architecture = node.at("architecture").as_string();
    s.what = node.at("what").as_string();
    s.level = node.at("level").as_string();
    s.held_out = node.at("held_out").as_string();
    s.rows = node.at("rows").as_integer(0, INT64_MAX);
    s.mean_error = number_or_zero(node, "mean_error");
    s.median_error = number_or_zero(node, "median_error");
    s.weighted_error = number_or_zero(node, "weighted_error");
    s.bias = number_or_zero(node, "bias");
    s.coverage = number_or_zero(node, "coverage");
    for (const Node& point : node.at("points_s").items()) {
      const std::vector<Node>& numbers = point.items();
      if (numbers.size() != kPointNumbers) point.fail("expected [measured, predicted, low, high]");
      s.points.push_back({Seconds(numbers[0].as_number()), Seconds(numbers[1].as_number()),
                          Seconds(numbers[2].as_number()), Seconds(numbers[3].as_number())});
    }
  }
  return out;
}

LatencyValidation shipped_validation() {
  std::string path = data_folder() + "/weights/validation.json";
  return file_exists(path) ? read_validation(path) : LatencyValidation{};
}

}  // namespace orrery::report
