#include "orrery/cli/validation_output.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

namespace orrery::cli {

std::string data_folder(const std::string& given) {
  const char* folder = std::getenv("ORRERY_DATA");
  return !given.empty() || !folder ? given : folder;
}

std::string validation_json(const char* schema, const report::Table& asked,
                            const std::vector<report::Table>& all) {
  using json = nlohmann::ordered_json;
  json tables = json::array();
  for (const report::Table& table : all) tables.push_back(json::parse(report::to_json(table)));
  const json document = {
      {"schema", schema}, {"asked", json::parse(report::to_json(asked))}, {"tables", tables}};
  return document.dump(2);
}

}  // namespace orrery::cli
