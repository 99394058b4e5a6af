// `orrery fit latency`: corrections of the shipped laws from a user's own measurements.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <iterator>
#include <map>
#include <memory>
#include <ostream>

#include "orrery/base/storage.h"
#include "orrery/cli/options.h"
#include "orrery/cost/calibration.h"
#include "orrery/cost/fit/neusight/train_neusight.h"
#include "orrery/cost/fit/train_weights.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/report/table.h"
#include "orrery/report/terminal_table.h"
#include "orrery/schedule/calibrate.h"

namespace orrery::cli {
namespace {

report::Table as_table(const cost::Calibrations& fitted) {
  report::Table table;
  table.title = "Mean error against your measurements (after: on rows that the fit did not see)";
  table.columns = {{"GPU", ""},      {"rows", ""},    {"before", "%"}, {"after", "%"},
                   {"compute", "x"}, {"memory", "x"}, {"fixed", "x"}};
  for (const auto& [name, c] : fitted) {
    table.rows.push_back({name, report::number(static_cast<double>(c.rows), 0),
                          report::number(100 * c.error_before, 1), report::number(100 * c.error_after, 1),
                          report::number(std::exp(c.compute), 3), report::number(std::exp(c.memory), 3),
                          report::number(std::exp(c.fixed), 3)});
  }
  table.notes = {"x: factors on the compute-bound, memory-bound and remaining share of a kernel's time."};
  return table;
}

int train(const std::string& folder, const Common& common, const std::string& output) {
  constexpr uint64_t kLaws = 6;
  Progress progress("fitting laws", kLaws);
  RunContext context = common.context();
  context.progress = &progress;
  cost::train_weights(folder, output, context);
  *common.out << "wrote " << output << "/default.json and one file a law\n";
  return 0;
}

int train_published(const cost::NeuSightTraining& training, const Common& common) {
  Progress progress("training nets", cost::kNeuSightNets);
  RunContext context = common.context();
  context.progress = &progress;
  const std::string path = cost::train_neusight(training, context);
  *common.out << "wrote " << path << "\n";
  return 0;
}

}  // namespace

Action declare_fit_latency(CLI::App& app, Common& common) {
  struct Options {
    std::vector<std::string> files;
    std::string device, output, train, method = "default", rows = "paper-split", preset = "neusight-paper";
  };
  auto options = std::make_shared<Options>();
  app.add_option("MEASURED", options->files,
                 "CSV of kernels with latency_ms, the JSON of 'vllm bench serve --save-result', or a PyTorch "
                 "profiler trace")
      ->expected(0, -1);
  app.add_option("--train", options->train,
                 "Make the shipped weights again from this folder of measured rows: --output is then the "
                 "folder of the weight files");
  app.add_option(
         "--method", options->method,
         "With --train: default (our laws), fp32 (our law of FP32 kernels alone) or neusight (the published "
         "predictors: NeuSight, straight lines, Habitat)")
      ->check(CLI::IsMember({"default", "fp32", "neusight"}))
      ->capture_default_str();
  app.add_option("--rows", options->rows,
                 "With --method neusight or fp32: paper-split (those that the published program was trained "
                 "on) or all")
      ->check(CLI::IsMember({"paper-split", "all"}))
      ->capture_default_str();
  app.add_option("--preset", options->preset,
                 "With --method neusight: its switches, a name of data/presets or a file")
      ->capture_default_str();
  app.add_option("--device,--gpu", options->device,
                 "The GPU, where the file names none (or to override its name)");
  app.add_option("--output", options->output, "Where the corrections go; --weights FILE uses them")
      ->required();
  add_json(app, common);
  add_threads(app, common);
  add_seed(app, common);
  return [&common, options] {
    if (options->files.empty() == options->train.empty()) {
      throw InputError("expected measured files, or --train FOLDER; see 'orrery fit latency --help'");
    }
    if (!options->train.empty() && options->method == "neusight") {
      return train_published(
          {.measured = options->train,
           .preset = options->preset,
           .rows = options->rows == "all" ? cost::TrainingRows::All : cost::TrainingRows::PaperSplit,
           .output = options->output},
          common);
    }
    if (!options->train.empty() && options->method == "fp32") {
      *common.out << "wrote "
                  << cost::train_fp32(options->train, options->rows == "paper-split", options->output,
                                      common.context())
                  << "\n";
      return 0;
    }
    if (!options->train.empty()) return train(options->train, common, options->output);
    schedule::Measurements measured;
    for (const std::string& file : options->files) {
      schedule::Measurements more = schedule::read_measurements(file, options->device);
      measured.from_host = measured.from_host || more.from_host;
      std::move(more.kernels.begin(), more.kernels.end(), std::back_inserter(measured.kernels));
      std::move(more.runs.begin(), more.runs.end(), std::back_inserter(measured.runs));
      measured.notes.insert(measured.notes.end(), more.notes.begin(), more.notes.end());
    }
    cost::Calibrations fitted = schedule::calibrate(measured, schedule::Predictor(), common.context());
    write_file(options->output, cost::to_json(fitted));
    report::Table table = as_table(fitted);
    table.notes.insert(table.notes.end(), measured.notes.begin(), measured.notes.end());
    table.notes.push_back(
        fmt::format("Wrote {}; use it: orrery predict latency MODEL --device GPU --weights {}",
                    options->output, options->output));
    *common.out << (common.json ? to_json(table) + "\n" : report::to_terminal(table, common.style()));
    return 0;
  };
}

}  // namespace orrery::cli
