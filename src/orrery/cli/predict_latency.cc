// `orrery predict latency`: the serving table, one phase, or a file of kernels or runs.
#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <ostream>

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"
#include "orrery/cli/options.h"
#include "orrery/graph/readers/graph_file.h"
#include "orrery/report/latency_html.h"
#include "orrery/report/latency_json.h"
#include "orrery/report/latency_text.h"
#include "orrery/report/latency_validation.h"
#include "orrery/report/perfetto.h"
#include "orrery/schedule/kernels.h"
#include "orrery/schedule/runs.h"

namespace orrery::cli {
namespace {

struct Options {
  ModelOnDevices on;
  std::string kernels, runs, layout;
  bool require_fit = false;
};

// Writes a batch file's answer, to --output or to standard output.
int write_rows(const std::string& csv, const Common& common) {
  if (common.output.empty()) {
    *common.out << csv;
  } else {
    write_file(common.output, csv);
  }
  return 0;
}

void write_folder(const schedule::LatencyReport& report, const report::RunInfo& run, const Common& common) {
  std::filesystem::path folder(common.output);
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) throw InputError(Place{common.output, 0, 0}, "cannot be made: " + failure.message());
  write_file(folder / "report.json", report::latency_json(report, run));
  write_file(folder / "timeline.json", report::perfetto_json(report));
  write_file(folder / "report.html",
             report::latency_html(report, report::shipped_validation(), run,
                                  {.json_file = "report.json", .timeline_file = "timeline.json"}));
  *common.err << "wrote " << (folder / "report.html").string() << ", report.json, timeline.json\n";
}

schedule::LatencyReport forecast(const Options& options, const Common& common) {
  bool timeline = !common.output.empty();
  if (graph::is_graph_file(options.on.model)) {
    schedule::GraphRequest request = to_graph_request(options.on);
    request.timeline = timeline;
    return schedule::predict_graph_latency(request, common.context());
  }
  schedule::LatencyRequest request = to_request(options.on);
  request.timeline = timeline;
  return schedule::predict_latency(request, common.context());
}

int predict_model(const Options& options, const Common& common) {
  auto started = std::chrono::steady_clock::now();
  schedule::LatencyReport report = forecast(options, common);
  report.command = common.command_line;
  report::RunInfo run = report::run_info(
      Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count()));
  if (!common.output.empty()) write_folder(report, run, common);
  *common.out << (common.json ? report::latency_json(report, run) + "\n"
                              : report::latency_text(report, common.style()));
  bool all_fit = true;
  for (const schedule::DeviceAnswer& answer : report.devices) all_fit = all_fit && answer.memory.fits;
  return options.require_fit && !all_fit ? 1 : 0;
}

}  // namespace

Action declare_predict_latency(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  add_model_and_devices(app, options->on, false);
  add_distribution(app, options->on);
  app.add_option("--kernels", options->kernels,
                 "Prices every row of a CSV of kernels, on --device or the device in its column gpu; writes "
                 "them again with "
                 "latency_ms, low_ms, high_ms, and on accelerators cycles");
  app.add_option("--layout", options->layout,
                 "What n and k mean in --kernels: 'mnk' (k is the contraction) or 'neusight' (n is) [told by "
                 "the columns where they tell]")
      ->check(CLI::IsMember({"mnk", "neusight"}));
  app.add_option("--runs", options->runs,
                 "The same for a CSV of whole runs: gpu, model, mode, seq, batch, option, dtype");
  app.add_option(
      "--output", common.output,
      "A folder for report.html, report.json and timeline.json; with --kernels and --runs a CSV file");
  app.add_flag("--require-fit", options->require_fit, "Exit with 1 when the model does not fit a device");
  add_json(app, common);
  add_threads(app, common);
  add_seed(app, common);
  return [&common, options] {
    int asked = !options->on.model.empty() + !options->kernels.empty() + !options->runs.empty();
    if (asked != 1)
      throw InputError(
          "expected one of a model, --kernels FILE and --runs FILE; see 'orrery predict latency --help'");
    if (!options->on.model.empty()) return predict_model(*options, common);
    schedule::Predictor predictor(options->on.predictor, options->on.weights,
                                  accelerator_options(options->on));
    if (!options->kernels.empty()) {
      CsvTable table = read_csv(options->kernels);
      auto layout = options->layout.empty() ? schedule::KernelLayout::Auto
                                            : *schedule::parse_kernel_layout(options->layout);
      return write_rows(
          schedule::write_kernels(table, schedule::price_kernels(table, layout, predictor, common.context(),
                                                                 options->on.devices)),
          common);
    }
    CsvTable table = read_csv(options->runs);
    return write_rows(
        schedule::write_kernels(table, schedule::forecast_runs(table, predictor, common.context())), common);
  };
}

}  // namespace orrery::cli
