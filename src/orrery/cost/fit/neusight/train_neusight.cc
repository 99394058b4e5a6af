#include "orrery/cost/fit/neusight/train_neusight.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "orrery/base/storage.h"
#include "orrery/base/threads.h"
#include "orrery/cost/fit/neusight/fit_baselines.h"

namespace orrery::cost {
namespace {

using nlohmann::ordered_json;

const char* name(TrainingRows rows) {
  return rows == TrainingRows::PaperSplit ? "paper-split" : "all";
}

std::vector<std::string> files_of(const std::string& measured, TrainingRows rows) {
  std::vector<std::string> names = {"kernels_train_nvidia", "kernels_amd"};
  if (rows == TrainingRows::All) names.push_back("kernels_test_nvidia");
  for (std::string& file : names) file = measured + "/neusight/" + file + ".csv.zst";
  return names;
}

struct Fitted {
  NeuSightMake nvidia, amd;
  HabitatNet habitat_bmm, habitat_linear;
};

// Nets are fitted side by side, each on one thread, so that nothing depends on how many there are.
Fitted fit_nets(const MeasuredOperators& measured, const std::vector<NeuSightTask>& tasks,
                const NeuSightOptions& options, bool habitat, const RunContext& context) {
  struct Job {
    const NeuSightTask* task;
    bool habitat;
  };
  std::vector<Job> jobs;
  for (const NeuSightTask& task : tasks) {
    jobs.push_back({&task, false});
    const bool product = task.of_class == NeuSightClass::Bmm || task.of_class == NeuSightClass::Linear;
    if (habitat && product && !task.amd) jobs.push_back({&task, true});
  }
  Fitted fitted;
  parallel_for(jobs.size(), 1, context.threads, [&](size_t begin, size_t, size_t) {
    const Job& job = jobs[begin];
    const auto of_class = static_cast<size_t>(job.task->of_class);
    const Seed seed = context.seed.derive(of_class).derive((job.task->amd ? 1 : 0) + (job.habitat ? 2 : 0));
    if (job.habitat) {
      HabitatNet& net = job.task->of_class == NeuSightClass::Bmm ? fitted.habitat_bmm : fitted.habitat_linear;
      net = fit_habitat_net(measured, *job.task, options, seed, context.stop);
    } else {
      NeuSightMake& make = job.task->amd ? fitted.amd : fitted.nvidia;
      make.regressors[of_class] = fit_neusight_regressor(measured, *job.task, options, seed, context.stop);
    }
    if (context.progress) context.progress->advance();
  });
  fitted.nvidia.tiles = neusight_tiles(measured, tasks, false);
  fitted.amd.tiles = neusight_tiles(measured, tasks, true);
  return fitted;
}

// A weights file: each section on a line of its own, its parameters as they were written by their law.
class WeightsText {
 public:
  explicit WeightsText(ordered_json provenance) : provenance_(std::move(provenance)) {}
  void add(const std::string& law, const std::string& parameters) {
    text_ += (text_.empty() ? "" : ",\n") + ordered_json(law).dump() +
             ":{\"provenance\":" + provenance_.dump() + ",\n\"parameters\":" + parameters + "}";
  }
  std::string text() const {
    return "{\"format\":\"orrery-weights\",\"version\":1,\"sections\":{\n" + text_ + "\n}}\n";
  }

 private:
  ordered_json provenance_;
  std::string text_;
};

ordered_json provenance(const NeuSightTraining& training, const MeasuredOperators& measured,
                        const std::vector<NeuSightTask>& tasks, const RunContext& context) {
  std::set<std::string> gpus;
  size_t rows = 0;
  for (const NeuSightTask& task : tasks) {
    rows += task.rows.size();
    for (uint32_t row : task.rows) gpus.insert(measured.devices[measured.rows[row].device].name);
  }
  std::string files;
  for (const std::string& file : files_of(training.measured, training.rows)) {
    const std::string name = std::filesystem::path(file).filename().string();
    files += (files.empty() ? "" : ", ") + name.substr(0, name.find('.'));
  }
  std::string command = "orrery fit latency --train MEASURED --method neusight --rows ";
  command += name(training.rows);
  if (training.preset != "neusight-paper") command += " --preset " + training.preset;
  command += " --seed " + std::to_string(context.seed.value) + " --output data/weights";
  return {{"gpus", gpus},
          {"dtypes", {"fp32"}},
          {"rows", rows},
          {"seed", context.seed.value},
          {"command", command},
          {"source",
           "sitar-lab/NeuSight at 6945927 (MIT, Georgia Institute of Technology and Microsoft): " + files}};
}

std::string file_name(const NeuSightTraining& training) {
  const std::string stem = std::filesystem::path(training.preset).stem().string();
  return (stem == "neusight-paper" ? "neusight" : stem) + "-" + name(training.rows) + ".json";
}

}  // namespace

std::string train_neusight(const NeuSightTraining& training, const RunContext& context) {
  const NeuSightOptions options = neusight_preset(training.preset);
  const MeasuredOperators measured =
      read_measured_operators(files_of(training.measured, training.rows), options);
  const std::vector<NeuSightTask> tasks = neusight_tasks(measured, options);
  const Fitted fitted = fit_nets(measured, tasks, options, true, context);

  WeightsText weights(provenance(training, measured, tasks, context));
  weights.add("options", to_json(options));
  weights.add("linear", LinearModel::to_json(fit_lines(measured, tasks)));
  weights.add("habitat",
              HabitatModel::to_json(fitted.habitat_bmm, fitted.habitat_linear, habitat_references(measured)));
  weights.add("neusight", NeuSightModel::to_json(fitted.nvidia, fitted.amd));

  std::error_code failure;
  std::filesystem::create_directories(training.output, failure);
  if (failure) throw InputError(Place{training.output, 0, 0}, "cannot be made: " + failure.message());
  std::string path = training.output + "/" + file_name(training);
  write_file(path, weights.text());
  return path;
}

std::shared_ptr<const Weights> train_neusight_switches(const std::string& folder, TrainingRows rows,
                                                       const NeuSightOptions& options,
                                                       const RunContext& context) {
  const MeasuredOperators measured = read_measured_operators(files_of(folder, rows), options);
  const Fitted fitted = fit_nets(measured, neusight_tasks(measured, options), options, false, context);
  WeightsText weights(ordered_json::object());
  weights.add("options", to_json(options));
  weights.add("neusight", NeuSightModel::to_json(fitted.nvidia, fitted.amd));
  return Weights::parse(weights.text(), "trained");
}

}  // namespace orrery::cost
