// `orrery validate neusight`: the NeuSight paper's measurements, its predictors and ours.
#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "orrery/base/text.h"
#include "orrery/cli/options.h"
#include "orrery/cli/validation_output.h"
#include "orrery/report/terminal_table.h"
#include "orrery/validate/document.h"
#include "orrery/validate/neusight.h"

namespace orrery::cli {
namespace {

constexpr const char* kSchema = "orrery.neusight-validation/1";

}  // namespace

Action declare_validate_neusight(CLI::App& app, Common& common) {
  struct Options {
    std::string only, data, document;
    bool faults = false;
  };
  auto options = std::make_shared<Options>();
  const std::vector<std::string> parts(validate::kNeuSightParts.begin(), validate::kNeuSightParts.end());
  app.add_option("--only", options->only, "Some of the parts, separated by commas: " + join(parts, ", "));
  app.add_flag(
      "--faults", options->faults,
      "Also what each fault of the published predictor and of its graphs costs: its nets are trained "
      "again with each set right, ten minutes of one core");
  app.add_option("--data", options->data, "The folder of the measured data [$ORRERY_DATA]");
  app.add_option("--document", options->document,
                 "A Markdown file whose tables, between its markers, are made anew");
  add_json(app, common);
  add_threads(app, common);
  return [&common, options] {
    const std::string data = data_folder(options->data);
    std::vector<std::string> only(validate::kNeuSightParts.begin(), validate::kNeuSightParts.end());
    if (!options->only.empty()) only = split(options->only, ',');
    if (options->faults) only.emplace_back(validate::kNeuSightFaults);
    const validate::Document document(options->document, "validate neusight");
    Progress progress("validate neusight", only.size());
    RunContext context = common.context();
    context.progress = &progress;
    const validate::NeuSightValidation result = validate::validate_neusight(only, data, context);
    document.write(validate::neusight_markdown(result));
    if (common.json) {
      *common.out << validation_json(kSchema, result.asked, result.tables) << "\n";
      return 0;
    }
    for (const report::Table& table : result.tables)
      *common.out << report::to_terminal(table, common.style()) << "\n";
    if (!result.asked.rows.empty()) *common.out << report::to_terminal(result.asked, common.style());
    return 0;
  };
}

}  // namespace orrery::cli
