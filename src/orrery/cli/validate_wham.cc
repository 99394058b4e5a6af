// `orrery validate wham`: the accelerator model, scheduler and searches against others and exact answers.
#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "orrery/base/text.h"
#include "orrery/cli/options.h"
#include "orrery/cli/validation_output.h"
#include "orrery/report/terminal_table.h"
#include "orrery/validate/document.h"
#include "orrery/validate/wham.h"

namespace orrery::cli {
namespace {

constexpr const char* kSchema = "orrery.wham-validation/1";

}  // namespace

Action declare_validate_wham(CLI::App& app, Common& common) {
  struct Options {
    std::string only, data, document, networks;
    int seeds = 20;
  };
  auto options = std::make_shared<Options>();
  const std::vector<std::string> parts(validate::kWhamParts.begin(), validate::kWhamParts.end());
  app.add_option("--only", options->only, "Some of the parts, separated by commas: " + join(parts, ", "));
  app.add_option("--data", options->data, "The folder of the measured data [$ORRERY_DATA]");
  app.add_option("--document", options->document,
                 "A Markdown file whose tables, between its markers, are made anew");
  app.add_option("--seeds", options->seeds, "Runs of every search that draws")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option(
      "--networks", options->networks,
      "Of the search part, separated by commas: AlexNet, VGG-19, ResNet-50, SqueezeNet, Inception-v1, "
      "Inception-v2, DenseNet-121 [ResNet-50,SqueezeNet,DenseNet-121]");
  add_json(app, common);
  add_threads(app, common);
  add_seed(app, common);
  return [&common, options] {
    const std::string data = data_folder(options->data);
    const std::vector<std::string> only =
        options->only.empty() ? std::vector<std::string>{} : split(options->only, ',');
    const std::vector<std::string> networks =
        options->networks.empty() ? std::vector<std::string>{} : split(options->networks, ',');
    const validate::Document document(options->document, "validate wham");
    Progress progress("validate wham", only.empty() ? validate::kWhamParts.size() : only.size());
    RunContext context = common.context();
    context.progress = &progress;
    const validate::WhamValidation result =
        validate::validate_wham({only, data, options->seeds, networks}, context);
    document.write(validate::wham_markdown(result));
    if (common.json) {
      *common.out << validation_json(kSchema, result.asked, result.tables) << "\n";
      return result.all_met() ? 0 : 1;
    }
    for (const report::Table& table : result.tables)
      *common.out << report::to_terminal(table, common.style()) << "\n";
    if (!result.asked.rows.empty()) *common.out << report::to_terminal(result.asked, common.style());
    return result.all_met() ? 0 : 1;
  };
}

}  // namespace orrery::cli
