#include "orrery/validate/neusight.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orrery/base/error.h"
#include "orrery/base/text.h"
#include "orrery/cost/gpu_model.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/validate/neusight_distributed.h"
#include "orrery/validate/neusight_faults.h"
#include "orrery/validate/neusight_graphs.h"
#include "orrery/validate/neusight_models.h"
#include "orrery/validate/neusight_operators.h"
#include "orrery/validate/neusight_paper.h"

namespace orrery::validate {
namespace {

constexpr std::string_view kOurs = "ours", kLeftOut = "ours, left out", kShipped = "NeuSight, shipped";

struct Work {
  const std::string& folder;
  const RunContext& context;
  NeuSightOurWeights weights;
  std::vector<NeuSightPredictor> predictors;
  NeuSightValidation* out;
};

void add(std::vector<report::Table> tables, Work& work) {
  work.out->tables.insert(work.out->tables.end(), tables.begin(), tables.end());
}

void ask(Work& work, const std::string& what, double at_most, double measured,
         const std::string& theirs = "") {
  work.out->asked.rows.push_back({what, theirs, fmt::format("at most {:.1f} %", 100 * at_most),
                                  fmt::format("{:.1f} %", 100 * measured),
                                  measured <= at_most ? "yes" : "NO"});
}

// A 90 % band is honest where it holds 85 to 95 % of what is measured.
void ask_band(Work& work, const std::string& what, double covered) {
  constexpr double kLeast = .85, kMost = .95;
  work.out->asked.rows.push_back({what, "", fmt::format("{:.0f} to {:.0f} %", 100 * kLeast, 100 * kMost),
                                  fmt::format("{:.1f} %", 100 * covered),
                                  covered >= kLeast && covered <= kMost ? "yes" : "NO"});
}

const NeuSightScore* find(const std::vector<NeuSightScore>& scores, std::string_view gpu,
                          std::string_view of_class, std::string_view predictor) {
  for (const NeuSightScore& s : scores)
    if (s.gpu == gpu && s.of_class == of_class && s.predictor == predictor) return &s;
  return nullptr;
}

// What is asked of kernels on unseen GPUs: the mean error.
struct KernelLimit {
  const char *gpu, *of_class;
  double mean;
};
constexpr KernelLimit kKernelLimits[] = {{"A100-PCIe-80GB", "linear", .05},
                                         {"A100-PCIe-80GB", "bmm", .04},
                                         {"L4", "linear", .10},
                                         {"L4", "bmm", .15},
                                         {"L4", "elementwise", .04},
                                         {"L4", "softmax", .15},
                                         {"L4", "layer norm", .15}};

// Share of the kernels within the bands of a predictor, over all GPUs that are, or are not, unseen.
double covered(const std::vector<NeuSightScore>& scores, std::string_view predictor, bool unseen) {
  double within = 0, rows = 0;
  for (const NeuSightScore& s : scores) {
    if (s.predictor != predictor || s.unseen != unseen) continue;
    within += s.covered * static_cast<double>(s.rows);
    rows += static_cast<double>(s.rows);
  }
  return rows > 0 ? within / rows : 0;
}

void kernels(Work& work) {
  const auto scores = score_neusight_kernels(work.folder, work.predictors, work.context.threads);
  for (const KernelLimit& limit : kKernelLimits) {
    if (const NeuSightScore* s = find(scores, limit.gpu, limit.of_class, kOurs))
      ask(work, fmt::format("{} kernels of {}, mean", limit.of_class, limit.gpu), limit.mean, s->mean);
  }
  ask_band(work, "90 % band, all kernels of unseen GPUs", covered(scores, kOurs, true));
  ask_band(work, "90 % band, all kernels of the training GPUs, measured", covered(scores, kOurs, false));
  ask_band(work, "90 % band, all kernels of the training GPUs, each left out",
           covered(scores, kLeftOut, false));
  for (const NeuSightScore& s : scores) {
    if (s.unseen && s.predictor == kOurs)
      ask_band(work, fmt::format("90 % band, {} kernels of {}", s.of_class, s.gpu), s.covered);
  }
  add(neusight_score_tables("Kernels timed alone", scores), work);
  add(neusight_band_tables(scores, {std::string(kOurs), std::string(kLeftOut)}), work);
}

void operators(Work& work) {
  const auto forward = score_neusight_operators(work.folder, work.predictors, NeuSightPass::Forward);
  constexpr double kGood = .05;
  for (const NeuSightScore& theirs : forward) {
    if (!theirs.unseen || theirs.predictor != kShipped || theirs.gpu.starts_with("MI")) continue;
    if (const NeuSightScore* s = find(forward, theirs.gpu, theirs.of_class, kOurs))
      ask(work, fmt::format("{} operators of {}, by time", theirs.of_class, theirs.gpu),
          std::max(kGood, theirs.weighted / 2), s->weighted, fmt::format("{:.1f} %", 100 * theirs.weighted));
  }
  add(neusight_score_tables("Operators of models, forward", forward), work);
  add(neusight_score_tables("Operators of models, backward",
                            score_neusight_operators(work.folder, work.predictors, NeuSightPass::Backward)),
      work);
}

void models(Work& work) {
  const std::vector<NeuSightModelRow> rows = evaluate_neusight_models(work.folder, work.weights);
  auto mean = [&](auto in, auto predicted) {
    double sum = 0, count = 0;
    for (const NeuSightModelRow& row : rows) {
      if (!in(row)) continue;
      sum += std::abs(predicted(row) / row.measured - 1);
      ++count;
    }
    return count > 0 ? sum / count : 0;
  };
  const auto ours = [](const NeuSightModelRow& r) { return r.ours; };
  const auto theirs = [](const NeuSightModelRow& r) { return r.shipped.neusight; };
  const auto nvidia = [](const NeuSightModelRow& r) { return !is_amd(r.run.gpu); };
  const auto unseen = [](const NeuSightModelRow& r) {
    return !is_amd(r.run.gpu) && neusight_unseen(r.run.gpu);
  };
  const auto mi210 = [](const NeuSightModelRow& r) { return r.run.gpu == "MI210"; };
  auto line = [&](const char* what, double limit, auto in) {
    ask(work, what, limit, mean(in, ours), fmt::format("{:.1f} %", 100 * mean(in, theirs)));
  };
  line("whole models, NVIDIA", .065, nvidia);
  line("whole models, unseen NVIDIA GPUs", .06, unseen);
  line("whole models, MI210", .10, mi210);
  add({neusight_models_table(rows), neusight_model_rows_table(rows)}, work);
}

void distributed(Work& work) {
  const schedule::Predictor predictor(std::make_shared<cost::GpuModel>(work.weights.paper_split),
                                      work.weights.paper_split);
  add({neusight_distributed_table(evaluate_neusight_distributed(work.folder, predictor))}, work);
}

void graphs(Work& work) {
  add({neusight_graph_table(work.folder)}, work);
}

void faults(Work& work) {
  const schedule::Predictor predictor(std::make_shared<cost::GpuModel>(work.weights.paper_split),
                                      work.weights.paper_split);
  add({neusight_change_table(neusight_changes(work.folder, work.context)),
       neusight_fault_table(predictor, hardware::Catalogue::shipped().device("A100-PCIe-80GB"))},
      work);
}

struct Part {
  std::string_view name;
  void (*run)(Work&);
};
constexpr Part kParts[] = {{"kernels", kernels},         {"operators", operators}, {"models", models},
                           {"distributed", distributed}, {"graphs", graphs},       {kNeuSightFaults, faults}};

}  // namespace

NeuSightValidation validate_neusight(const std::vector<std::string>& parts, const std::string& data_folder,
                                     const RunContext& context) {
  std::vector<std::string> names(kNeuSightParts.begin(), kNeuSightParts.end());
  names.emplace_back(kNeuSightFaults);
  for (const std::string& part : parts) {
    if (std::find(names.begin(), names.end(), part) == names.end())
      throw InputError("there is no part '" + printable(part, 40) + "' of this validation" +
                       did_you_mean(part, std::span<const std::string>(names)));
  }
  if (data_folder.empty())
    throw NotFound(
        "the measured data is not at hand: set ORRERY_DATA to its folder or give --data FOLDER "
        "(docs/latency.md says where it comes from)");
  NeuSightValidation result;
  result.asked.title = "Asked and measured, weights of the paper's split";
  result.asked.columns = {
      {"what", ""}, {"NeuSight, shipped", ""}, {"asked", ""}, {"measured", ""}, {"met", ""}};
  Work work{data_folder, context, neusight_our_weights(data_folder, context), neusight_paper_predictors(),
            &result};
  for (NeuSightPredictor& column : neusight_our_predictors(work.weights))
    work.predictors.push_back(std::move(column));
  for (const Part& part : kParts) {
    if (std::find(parts.begin(), parts.end(), part.name) == parts.end()) continue;
    if (context.stop.stop_requested()) throw Interrupted();
    if (context.progress) context.progress->note(std::string(part.name));
    part.run(work);
    if (context.progress) context.progress->advance();
  }
  return result;
}

std::string neusight_markdown(const NeuSightValidation& result) {
  std::string text = result.asked.rows.empty() ? "" : report::to_markdown(result.asked);
  for (const report::Table& table : result.tables) text += "\n" + report::to_markdown(table);
  return text;
}

}  // namespace orrery::validate
