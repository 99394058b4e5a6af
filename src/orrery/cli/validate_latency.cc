// `orrery validate latency`: the forecasts beside the world.
#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/cli/options.h"
#include "orrery/cli/validation_output.h"
#include "orrery/report/run_info.h"
#include "orrery/report/terminal_table.h"
#include "orrery/validate/document.h"
#include "orrery/validate/latency.h"

namespace orrery::cli {
namespace {

struct Options {
  std::string only, data, document;
};

constexpr const char* kSchema = "orrery.latency-validation/1";

std::string as_json(const validate::LatencyValidationResult& result, const report::RunInfo& run) {
  using json = nlohmann::ordered_json;
  json details = json::array();
  for (const report::Table& table : result.details) details.push_back(json::parse(report::to_json(table)));
  json document = {{"schema", kSchema},
                   {"all_met", result.all_met},
                   {"measured", json::parse(report::to_json(result.measured))},
                   {"details", details},
                   {"validation", json::parse(report::validation_json(result.validation))},
                   {"run", {{"seconds", run.duration.value()}, {"host", run.host}, {"date", run.date}}}};
  return document.dump(2);
}

void write_folder(const validate::LatencyValidationResult& result, const Common& common) {
  const std::filesystem::path folder(common.output);
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) throw InputError(Place{common.output, 0, 0}, "cannot be made: " + failure.message());
  write_file(folder / "latency.md", validate::latency_markdown(result));
  write_file(folder / "validation.json", report::validation_json(result.validation) + "\n");
  *common.err << "wrote " << (folder / "latency.md").string() << " and validation.json\n";
}

}  // namespace

Action declare_validate_latency(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  const std::vector<std::string> parts(validate::kLatencyParts.begin(), validate::kLatencyParts.end());
  app.add_option("--only", options->only, "Some of the parts, separated by commas: " + join(parts, ", "));
  app.add_option("--data", options->data, "The folder of the measured data [$ORRERY_DATA]");
  app.add_option("--output", common.output,
                 "A folder for the tables as latency.md and the points as validation.json");
  app.add_option("--document", options->document,
                 "A Markdown file whose tables, between its markers, are made anew");
  add_json(app, common);
  add_threads(app, common);
  return [&common, options] {
    validate::LatencyValidationRequest request;
    if (!options->only.empty()) request.parts = split(options->only, ',');
    request.data_folder = data_folder(options->data);
    request.program = std::filesystem::read_symlink("/proc/self/exe").string();
    const validate::Document document(options->document, "validate latency");
    const auto started = std::chrono::steady_clock::now();
    Progress progress("validate latency",
                      request.parts.empty() ? validate::kLatencyParts.size() : request.parts.size());
    RunContext context = common.context();
    context.progress = &progress;
    const validate::LatencyValidationResult result = validate::validate_latency(request, context);
    const report::RunInfo run = report::run_info(
        Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count()));
    if (!common.output.empty()) write_folder(result, common);
    document.write(validate::latency_markdown(result));
    if (common.json) {
      *common.out << as_json(result, run) << "\n";
    } else {
      for (const report::Table& table : result.details)
        *common.out << report::to_terminal(table, common.style()) << "\n";
      *common.out << report::to_terminal(result.measured, common.style());
    }
    return 0;
  };
}

}  // namespace orrery::cli
