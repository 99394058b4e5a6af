// `orrery validate moetuner`: expert placement against optima, peers and other text.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "orrery/base/text.h"
#include "orrery/cli/options.h"
#include "orrery/cli/validation_output.h"
#include "orrery/report/terminal_table.h"
#include "orrery/validate/document.h"
#include "orrery/validate/moetuner.h"

namespace orrery::cli {
namespace {

std::string as_json(const validate::MoeTunerValidation& result, bool all_met) {
  using json = nlohmann::ordered_json;
  json tables = json::array(), checks = json::array();
  for (const report::Table& table : result.tables) tables.push_back(json::parse(report::to_json(table)));
  for (const validate::MoeTunerCheck& check : result.checks)
    checks.push_back(
        {{"check", check.check}, {"asked", check.asked}, {"seen", check.seen}, {"met", check.met}});
  const json document = {{"schema", "orrery.moetuner-validation/1"},
                         {"all_met", all_met},
                         {"checks", checks},
                         {"tables", tables},
                         {"skipped", result.skipped}};
  return document.dump(2);
}

}  // namespace

Action declare_validate_moetuner(CLI::App& app, Common& common) {
  struct Options {
    std::string only, document;
    validate::MoeTunerRequest request;
  };
  auto o = std::make_shared<Options>();
  const std::vector<std::string> parts(validate::kMoeTunerParts.begin(), validate::kMoeTunerParts.end());
  app.add_option(
      "--only", o->only,
      "Some of the parts, separated by commas: " + join(parts, ", ") + " [all but cuts and scale]");
  app.add_option("--data", o->request.data, "The folder of the measured data [$ORRERY_DATA]");
  app.add_option("--examples", o->request.examples, "The folder of the example traces")
      ->capture_default_str();
  app.add_option("--document", o->document,
                 "A Markdown file whose tables, between its markers, are made anew");
  add_json(app, common);
  add_threads(app, common);
  add_seed(app, common);
  return [&common, o] {
    o->request.data = data_folder(o->request.data);
    if (!o->only.empty()) o->request.parts = split(o->only, ',');
    const validate::Document document(o->document, "validate moetuner");
    Progress progress("validate moetuner",
                      o->request.parts.empty() ? validate::kMoeTunerParts.size() : o->request.parts.size());
    RunContext context = common.context();
    context.progress = &progress;
    const validate::MoeTunerValidation result = validate::validate_moetuner(o->request, context);
    document.write(validate::moetuner_markdown(result));
    const bool all_met =
        std::all_of(result.checks.begin(), result.checks.end(), [](const auto& check) { return check.met; });
    if (common.json) {
      *common.out << as_json(result, all_met) << "\n";
    } else {
      for (const report::Table& table : result.tables)
        *common.out << report::to_terminal(table, common.style()) << "\n";
      *common.out << report::to_terminal(validate::moetuner_checks(result), common.style());
    }
    return all_met ? 0 : 1;
  };
}

}  // namespace orrery::cli
