#include "orrery/report/latency_json.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "orrery/base/storage.h"
#include "orrery/report/latency_sample.h"

namespace orrery::report {
namespace {

using nlohmann::json;

// The part of JSON Schema that docs/schema uses. Stricter in one point: a field that the schema does not name
// is an error.
class Validator {
 public:
  explicit Validator(json schema) : root_(std::move(schema)) {}
  std::vector<std::string> errors(const json& value) {
    errors_.clear();
    check(root_, value, "");
    return errors_;
  }

 private:
  static bool is_type(const std::string& type, const json& v) {
    return type == "null"      ? v.is_null()
           : type == "number"  ? v.is_number()
           : type == "integer" ? v.is_number_integer()
           : type == "string"  ? v.is_string()
           : type == "boolean" ? v.is_boolean()
           : type == "array"   ? v.is_array()
                               : v.is_object();
  }
  void check(const json& schema, const json& v, const std::string& at) {
    if (schema.contains("$ref")) {
      check(root_.at(json::json_pointer(schema["$ref"].get<std::string>().substr(1))), v, at);
    }
    if (schema.contains("oneOf")) {
      const json& branch = v.is_null() ? schema["oneOf"][1] : schema["oneOf"][0];
      check(branch, v, at);
    }
    if (schema.contains("const") && schema["const"] != v) errors_.push_back(at + ": not the constant");
    if (schema.contains("enum") &&
        std::find(schema["enum"].begin(), schema["enum"].end(), v) == schema["enum"].end()) {
      errors_.push_back(at + ": not one of the enumeration: " + v.dump());
    }
    if (schema.contains("type")) {
      json types = schema["type"].is_array() ? schema["type"] : json::array({schema["type"]});
      if (std::none_of(types.begin(), types.end(), [&](const json& t) { return is_type(t, v); })) {
        errors_.push_back(at + ": wrong type: " + v.dump().substr(0, 60));
        return;
      }
    }
    if (schema.contains("minimum") && v.is_number() && v < schema["minimum"])
      errors_.push_back(at + ": below the minimum");
    if (schema.contains("properties")) check_fields(schema, v, at);
    if (schema.contains("items")) {
      for (size_t i = 0; i < v.size(); ++i) check(schema["items"], v[i], at + "/" + std::to_string(i));
    }
  }
  void check_fields(const json& schema, const json& v, const std::string& at) {
    for (const json& field : schema["required"]) {
      if (!v.contains(field.get<std::string>()))
        errors_.push_back(at + ": misses " + field.get<std::string>());
    }
    for (const auto& [field, value] : v.items()) {
      if (schema["properties"].contains(field)) {
        check(schema["properties"][field], value, at + "/" + field);
      } else {
        errors_.push_back(at + "/" + field + ": not in the schema");
      }
    }
  }
  json root_;
  std::vector<std::string> errors_;
};

json schema() {
  return json::parse(read_file(ORRERY_SOURCE_DIR "/docs/schema/latency-1.json"));
}

void field_names(const json& schema, std::vector<std::string>& out) {
  if (!schema.is_structured()) return;
  if (schema.is_object() && schema.contains("properties")) {
    for (const auto& [field, value] : schema["properties"].items()) out.push_back(field);
  }
  for (const json& item : schema) field_names(item, out);
}

TEST(LatencyJson, follows_its_schema) {
  Validator validator(schema());
  for (const auto& report : {sample_serving_report(), sample_training_report(), schedule::LatencyReport{}}) {
    auto errors =
        validator.errors(json::parse(latency_json(report, {Seconds(0.1), "host", "2025-01-31T12:00:00Z"})));
    EXPECT_TRUE(errors.empty()) << errors[0] << " and " << errors.size() - 1 << " more";
  }
}

TEST(LatencyJson, every_field_is_documented) {
  std::vector<std::string> fields;
  field_names(schema(), fields);
  ASSERT_GT(fields.size(), 100u);
  std::string page = read_file(ORRERY_SOURCE_DIR "/docs/formats.md");
  for (const std::string& field : fields) {
    bool found = page.find("`" + field + "`") != std::string::npos ||
                 page.find("." + field + "`") != std::string::npos;
    EXPECT_TRUE(found) << field;
  }
}

TEST(LatencyJson, two_runs_differ_in_run_alone) {
  auto report = sample_serving_report();
  json first = json::parse(latency_json(report, {Seconds(1), "here", "2025-01-01T00:00:00Z"}));
  json second = json::parse(latency_json(report, {Seconds(2), "there", "2026-01-01T00:00:00Z"}));
  EXPECT_NE(first, second);
  first.erase("run");
  second.erase("run");
  EXPECT_EQ(first, second);
}

TEST(LatencyJson, text_that_is_not_utf8_or_hostile_stays_json) {
  auto report = sample_serving_report();
  report.model = "evil\xff\"\\</script>\x01";
  report.devices[0].notes = {std::string("zero\0byte", 9)};
  EXPECT_NO_THROW(json::parse(latency_json(report, {})));
}

TEST(LatencyJson, fewer_operators_are_embedded_when_asked) {
  json full = json::parse(latency_json(sample_serving_report(), {}));
  json less = json::parse(latency_json(sample_serving_report(), {}, {.indent = -1, .most_operators = 2}));
  EXPECT_EQ(less["devices"][0]["decode"]["operators"].size(), 2u);
  EXPECT_EQ(less["devices"][0]["decode"]["distinct_operators"],
            full["devices"][0]["decode"]["operators"].size());
}

}  // namespace
}  // namespace orrery::report
