#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "orrery/base/storage.h"
#include "orrery/cli/options.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/parameters.h"
#include "orrery/graph/readers/network.h"
#include "orrery/report/table.h"
#include "orrery/report/terminal_table.h"

namespace orrery::cli {
namespace {

std::vector<std::string> all_names() {
  std::vector<std::string> names = graph::shipped_models();
  for (std::string& network : graph::shipped_networks()) names.push_back(std::move(network));
  return names;
}

report::Table table_of(const std::vector<std::string>& names) {
  report::Table table;
  table.title = "Models that Orrery knows";
  table.columns = {{"name", ""},   {"family", ""}, {"parameters", "billions"},  {"active", "billions"},
                   {"layers", ""}, {"hidden", ""}, {"longest input", "tokens"}, {"weights", "GB"},
                   {"type", ""}};
  for (const std::string& model_name : names) {
    if (std::optional<std::string> path = graph::find_network(model_name)) {
      graph::Network network = graph::read_network(read_document(*path), {});
      table.rows.push_back({model_name, "list of layers", report::number(network.parameters / 1e9, 2)});
      table.rows.back().resize(table.columns.size());
      continue;
    }
    graph::ModelConfig model = graph::find_model(model_name);
    graph::ParameterCount count = graph::parameter_count(model);
    const graph::Tower& tower = model.towers.back();
    std::string type(name(model.quantization ? model.quantization->weights : model.type));
    table.rows.push_back({model_name, model.family, report::number(count.total() / 1e9, 2),
                          report::number(count.active / 1e9, 2), report::number(tower.layers, 0),
                          report::number(tower.hidden, 0), report::number(tower.tokens, 0),
                          report::number(graph::weight_bytes(model).total().value() / 1e9, 1), type});
  }
  table.notes = {
      "Any other: the path of a Hugging Face config.json, of the folder that holds it, or of an .onnx file."};
  return table;
}

}  // namespace

Action declare_show_models(CLI::App& app, Common& common) {
  struct Options {
    std::vector<std::string> names;
    bool names_only = false;
  };
  auto options = std::make_shared<Options>();
  app.add_option("NAME", options->names, "The models to show");
  app.add_flag("--names", options->names_only, "Names alone, one a line");
  add_json(app, common);
  return [&common, options] {
    if (options->names_only) {
      for (const std::string& model : all_names()) *common.out << model << "\n";
      return 0;
    }
    report::Table table = table_of(options->names.empty() ? all_names() : options->names);
    *common.out << (common.json ? to_json(table) + "\n" : report::to_terminal(table, common.style()));
    return 0;
  };
}

}  // namespace orrery::cli
