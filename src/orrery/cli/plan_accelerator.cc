// `orrery plan accelerator`: the accelerator for a set of workloads, under area and power.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <ostream>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/cli/options.h"
#include "orrery/explore/accelerator_search.h"
#include "orrery/explore/study_file.h"
#include "orrery/report/accelerator_files.h"
#include "orrery/report/accelerator_report.h"

namespace orrery::cli {
namespace {

struct Options {
  std::string study;
  std::vector<std::string> workloads, dims;
  explore::WorkloadSpec load;  // of --workload
  std::string base, reference, calibrate, objective, area, power, of, grid, array, dataflow, vector_costs,
      backward, least_throughput, search = "exact";
  std::vector<std::string> buffers;
  int least = 0, most = 0, matrix_cores = 0, vector_cores = 0, top = 0, hysteresis = 1;
  bool no_sensitivity = false, pack_groups = false;
  double time = 0;
  uint64_t evaluations = 0;
};

double quantity(const char* flag, const std::string& text, Unit unit) {
  try {
    return parse_quantity(text, unit);
  } catch (const UnitError& problem) {
    throw InputError(std::string(flag) + " '" + printable(text, 40) + "': " + problem.what());
  }
}

void set_throughput(explore::WorkloadSpec& load, const std::string& text) {
  load.least_is_reference = text == "reference";
  if (load.least_is_reference) return;
  char* end = nullptr;
  load.least_throughput = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != 0 || !(load.least_throughput > 0))
    throw InputError("--least-throughput '" + printable(text, 40) +
                     "': expected samples a second, or 'reference'");
}

// The file, and over it what flags say.
explore::StudySpec spec_of(const Options& o) {
  explore::StudySpec spec;
  if (!o.study.empty()) {
    std::string folder = std::filesystem::path(o.study).parent_path().string();
    spec = explore::read_study_spec(read_document(o.study), folder);
  }
  for (const std::string& model : o.workloads) {
    explore::WorkloadSpec load = o.load;
    load.model = model;
    for (const std::string& dim : o.dims) load.dims.insert(parse_dim(dim));
    spec.workloads.push_back(std::move(load));
  }
  if (spec.workloads.empty())
    throw InputError("expected a STUDY.yaml or --workload MODEL; see 'orrery plan accelerator --help'");
  if (!o.least_throughput.empty()) {
    for (explore::WorkloadSpec& load : spec.workloads) set_throughput(load, o.least_throughput);
  }
  auto replace = [](std::string& value, const std::string& flag) {
    if (!flag.empty()) value = flag;
  };
  replace(spec.base, o.base);
  replace(spec.reference, o.reference);
  replace(spec.calibrate, o.calibrate);
  replace(spec.objective, o.objective);
  replace(spec.grid, o.grid);
  replace(spec.array, o.array);
  replace(spec.dataflow, o.dataflow);
  replace(spec.vector_costs, o.vector_costs);
  replace(spec.backward, o.backward);
  spec.pack_groups = spec.pack_groups || o.pack_groups;
  if (!o.of.empty()) spec.whole_chip = o.of == "chip";
  if (!o.area.empty()) {
    spec.area = quantity("--area", o.area, Unit::SquareMetres);
    spec.area_at = {};
  }
  if (!o.power.empty()) {
    spec.power = quantity("--power", o.power, Unit::Watts);
    spec.power_at = {};
  }
  if ((!o.area.empty() && !(spec.area > 0)) || (!o.power.empty() && !(spec.power > 0)))
    throw InputError("--area and --power: expected more than nothing, such as 200mm2 and 280W");
  if (!o.buffers.empty()) {
    spec.global_buffers.clear();
    for (const std::string& size : o.buffers) {
      double bytes = quantity("--global-buffer", size, Unit::Bytes);
      if (!(bytes >= 1024) || bytes > 1e15) throw InputError("--global-buffer: expected 1 KiB to 1 PB");
      spec.global_buffers.push_back(static_cast<int64_t>(bytes));
    }
    std::ranges::sort(spec.global_buffers);
  }
  auto number = [](int& value, int flag) {
    if (flag > 0) value = flag;
  };
  number(spec.least, o.least);
  number(spec.most, o.most);
  number(spec.matrix_cores, o.matrix_cores);
  number(spec.vector_cores, o.vector_cores);
  number(spec.top, o.top);
  for (const explore::WorkloadSpec& load : spec.workloads) {
    if (load.least_is_reference && spec.reference == "none")
      throw InputError("a least throughput of 'reference' needs --reference, such as tpuv2");
  }
  return spec;
}

void write_folder(const report::AcceleratorReport& report, const std::string& text,
                  const report::RunInfo& run, const Common& common) {
  const std::filesystem::path folder(common.output);
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) throw InputError(Place{common.output, 0, 0}, "cannot be made: " + failure.message());
  std::vector<std::string> files;
  auto write = [&](const std::string& name, const std::string& content) {
    write_file((folder / name).string(), content);
    files.push_back(name);
  };
  write("plan.json", text + "\n");
  write("designs.csv", report::designs_csv(report));
  if (report.plan.result.best) {
    write("accelerator.yaml", report::found_accelerator_yaml(report));
    write("timeline.json", report::accelerator_timeline(report));
    const report::ScaleSimExport scalesim = report::scalesim_export(report);
    write("scalesim.cfg", scalesim.configuration);
    write("scalesim-topology.csv", scalesim.topology);
    write("scalesim-layout.csv", scalesim.layout);
    write("scalesim-cycles.csv", scalesim.cycles);
    write("timeloop-architecture.yaml", report::timeloop_architecture(report));
  }
  write_file((folder / "report.html").string(), report::accelerator_html(report, run, {.files = files}));
  *common.err << "wrote " << (folder / "report.html").string() << ", " << join(files, ", ") << "\n";
}

int plan(const Options& o, const Common& common) {
  const auto started = std::chrono::steady_clock::now();
  RunContext context = common.context();  // from here on Ctrl-C ends the search, not the program
  report::AcceleratorReport report;
  report.command = common.command_line;
  report.search = o.search;
  report.seed = common.seed;
  report.spec = spec_of(o);
  explore::BuiltStudy built = explore::build_study(report.spec);
  report.study = std::move(built.study);
  report.notes = std::move(built.notes);
  Progress progress("plan accelerator", 0);
  context.progress = &progress;
  if (o.time > 0) context.time = Seconds(o.time);
  explore::SearchOptions search;
  search.search = *explore::parse_accelerator_search(o.search);
  search.hysteresis = o.hysteresis;
  if (o.evaluations > 0) search.most_evaluations = o.evaluations;
  report.plan = explore::plan_accelerator(report.study, search, context);
  const bool interrupted = report.plan.result.stop == solve::Stop::Interrupted;
  if (report.plan.result.best && !o.no_sensitivity && !interrupted &&
      report.plan.result.stop != solve::Stop::TimeLimit) {
    context.progress = nullptr;
    report.plan.sensitivity =
        explore::plan_sensitivity(report.study, report.plan.result.best->point, context);
  }
  const report::RunInfo run = report::run_info(
      Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count()));
  const std::string text = report::accelerator_json(report, run);
  if (!common.output.empty()) write_folder(report, text, run, common);
  *common.out << (common.json ? text + "\n" : report::accelerator_text(report, common.style()));
  if (interrupted || context.stop.stop_requested()) return 130;
  return report.plan.result.best ? 0 : 1;
}

}  // namespace

Action declare_plan_accelerator(CLI::App& app, Common& common) {
  auto o = std::make_shared<Options>();
  constexpr int kMostCores = 4096, kMostSide = 4096;
  app.add_option("STUDY,--study", o->study, "A study file (docs/formats.md); flags go over what it says");
  app.add_option(
      "--workload", o->workloads,
      "A model: a known name, a config.json, an .onnx, a list of layers, a CSV of operators, a SCALE-Sim "
      "topology or a .txt of WHAM's operators; again for several");
  app.add_option("--batch", o->load.batch, "Samples of a pass of --workload")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 31))
      ->capture_default_str();
  app.add_option("--sequence", o->load.sequence, "Tokens of a sample")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 31))
      ->capture_default_str();
  app.add_option("--mode", o->load.mode, "train or inference")
      ->check(CLI::IsMember({"train", "inference"}))
      ->capture_default_str();
  app.add_option("--optimizer", o->load.optimizer, "none, sgd, momentum, adam, mixed-adam")
      ->check(CLI::IsMember({"none", "sgd", "momentum", "adam", "mixed-adam"}))
      ->capture_default_str();
  app.add_option("--attention", o->load.attention,
                 "eager (products and softmax as operators of their own) or flash (one operator)")
      ->check(CLI::IsMember({"eager", "flash"}))
      ->capture_default_str();
  app.add_option("--dim", o->dims, "ONNX: the value of a symbolic dimension, such as batch=8");
  app.add_option("--unknown", o->load.unknown,
                 "WHAM's text: vc:1 takes operators that are not known as vector ones, a cycle an element")
      ->check(CLI::IsMember({"vc:1"}));
  app.add_option("--base", o->base,
                 "The accelerator whose clock, DRAM, energies and uncore are kept [tpuv2]");
  app.add_option("--reference", o->reference, "The accelerator to compare with, or none [tpuv2]");
  app.add_option("--calibrate", o->calibrate,
                 "The chip whose published power sets the factor on dynamic power, or none [tpuv2]");
  app.add_option("--objective", o->objective, "throughput, perf-per-tdp or edp [perf-per-tdp]")
      ->check(CLI::IsMember({"throughput", "perf-per-tdp", "edp"}));
  app.add_option("--least-throughput", o->least_throughput,
                 "Samples a second that must be reached, or 'reference'");
  app.add_option("--area", o->area, "Budget of area, such as 200mm2 [the reference's]");
  app.add_option("--power", o->power, "Budget of thermal design power, such as 280W [the reference's]");
  app.add_option("--limits-of", o->of,
                 "What the area counts: cores (with their buffers) or chip (uncore too) [cores]")
      ->check(CLI::IsMember({"cores", "chip"}));
  app.add_option("--grid", o->grid, "powers-of-two, step-16 or phaze [powers-of-two]")
      ->check(CLI::IsMember({"powers-of-two", "step-16", "phaze"}));
  app.add_option("--least", o->least, "Least rows, columns and lanes of powers-of-two [16]")
      ->check(CLI::Range(2, kMostSide));
  app.add_option("--most", o->most, "Most of them [256]")->check(CLI::Range(2, kMostSide));
  app.add_option("--matrix-cores", o->matrix_cores, "Most matrix cores [8]")
      ->check(CLI::Range(1, kMostCores));
  app.add_option("--vector-cores", o->vector_cores, "Most vector cores [4]")
      ->check(CLI::Range(1, kMostCores));
  app.add_option("--global-buffer", o->buffers, "Its size, such as 32MiB; again for several [32 MiB]");
  app.add_option("--array", o->array, "How folds follow each other: pipelined or scalesim [pipelined]")
      ->check(CLI::IsMember({"pipelined", "scalesim"}));
  app.add_option("--dataflow", o->dataflow, "ws, os, is or best [best]")
      ->check(CLI::IsMember({"ws", "os", "is", "best"}));
  app.add_option("--vector-costs", o->vector_costs, "Cycles an element: revised or released [revised]")
      ->check(CLI::IsMember({"revised", "released"}));
  app.add_option("--backward", o->backward,
                 "split (gradients of inputs and of weights apart) or lumped, as the paper's release [split]")
      ->check(CLI::IsMember({"split", "lumped"}));
  app.add_flag("--pack-groups", o->pack_groups, "Groups of a convolution side by side on one array");
  app.add_option(
         "--search", o->search,
         "exact (branch and bound, proven), exhaustive, pruner (WHAM's), random, bayesian (Spotlight's), "
         "genetic")
      ->check(CLI::IsMember({"exact", "exhaustive", "pruner", "random", "bayesian", "genetic"}))
      ->capture_default_str();
  app.add_option("--hysteresis", o->hysteresis, "Pruner: levels of sizes without gain before a branch ends")
      ->check(CLI::Range(0, 8))
      ->capture_default_str();
  app.add_option("--evaluations", o->evaluations, "random, bayesian, genetic: designs at most [2000]")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40));
  app.add_option("--top", o->top, "Designs that are kept [10]")->check(CLI::Range(1, 1000));
  app.add_flag("--no-sensitivity", o->no_sensitivity,
               "Do not search again with each parameter moved by 20 %");
  app.add_option("--time", o->time, "Seconds of search at most; then the best so far with its bound")
      ->check(CLI::PositiveNumber);
  app.add_option(
      "--output,-o", common.output,
      "A folder for plan.json, report.html, timeline.json, designs.csv, accelerator.yaml and exports for "
      "SCALE-Sim and Timeloop");
  add_json(app, common);
  add_threads(app, common);
  add_seed(app, common);
  return [&common, o] { return plan(*o, common); };
}

}  // namespace orrery::cli
