#include "orrery/graph/model_catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/graph/readers/hf_config.h"

namespace orrery::graph {
namespace {

namespace fs = std::filesystem;

std::string folder() {
  return data_folder() + "/models";
}

std::map<std::string, std::string> read_aliases() {
  std::map<std::string, std::string> aliases;
  std::string path = folder() + "/aliases.csv";
  if (!file_exists(path)) return aliases;
  CsvTable table = read_csv(path);
  int alias = table.at("alias"), model = table.at("model");
  for (size_t row = 0; row < table.rows(); ++row)
    aliases.emplace(lower_case(table.cell(row, alias)), table.cell(row, model));
  return aliases;
}

// The file of a shipped name, "" when there is none. Only plain names, so that no name leaves the folder.
std::string shipped_file(const std::string& name) {
  if (name.empty() || name.size() > 100 || name[0] == '.' || name.find('/') != std::string::npos) return {};
  std::string flat = folder() + "/" + name + ".json", nested = folder() + "/" + name + "/config.json";
  return file_exists(flat) ? flat : file_exists(nested) ? nested : std::string();
}

}  // namespace

std::vector<std::string> shipped_models() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder())) {
    if (entry.path().extension() == ".json")
      names.push_back(entry.path().stem().string());
    else if (file_exists((entry.path() / "config.json").string()))
      names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> aliases_of(std::string_view name) {
  std::vector<std::string> result;
  for (const auto& [alias, model] : read_aliases()) {
    if (model == name) result.push_back(alias);
  }
  return result;
}

ModelConfig find_model(const std::string& name_or_path) {
  std::string name = lower_case(name_or_path);
  std::string file = shipped_file(name);
  if (file.empty()) {
    std::map<std::string, std::string> aliases = read_aliases();
    if (auto found = aliases.find(name); found != aliases.end()) {
      name = found->second;
      file = shipped_file(name);
    }
  }
  if (!file.empty()) {
    ModelConfig model = read_hf_config(file);
    model.name = name;
    return model;
  }
  std::error_code ignored;
  if (fs::exists(name_or_path, ignored)) return read_hf_config(name_or_path);

  std::vector<std::string> known = shipped_models();
  std::string bare = name.substr(name.rfind('/') == std::string::npos ? 0 : name.rfind('/') + 1);
  throw InputError(Place{printable(name_or_path), 0, 0},
                   fmt::format("no model of this name{}, and no such file; `orrery show models` lists the "
                               "names, and a path to a config.json or to the folder "
                               "that holds one works too",
                               did_you_mean(bare, known)));
}

}  // namespace orrery::graph
