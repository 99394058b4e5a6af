#include "orrery/explore/pipeline_designs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "orrery/explore/search_state.h"
#include "orrery/explore/workload_graph.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/schedule/iteration.h"

namespace orrery::explore {
namespace {

constexpr size_t kSimulated = 16;

// What each candidate does on each distinct stage.
struct StageTimes {
  std::vector<double> forward, backward;  // by candidate, seconds
  double both(size_t candidate) const { return forward[candidate] + backward[candidate]; }
};

AcceleratorStudy study_of(const AcceleratorStudy& base, std::vector<AcceleratorWorkload> workloads) {
  AcceleratorStudy study = base;
  study.workloads = std::move(workloads);
  study.reference.reset();
  return study;
}

// Both passes of a stage as one workload graph are not one schedule: their times add.
double stage_objective(AcceleratorObjective objective, double seconds, double tdp) {
  return objective == AcceleratorObjective::Throughput ? 1 / seconds : 1 / (seconds * tdp);
}

class Planner {
 public:
  Planner(const PipelineStudy& study, const RunContext& context)
      : study_(study), context_(context), prices_(study.base) {
    designs_ = affordable_designs(study.base.space, prices_);
    if (designs_.empty()) throw InputError("no design of the space is within the limits of area and power");
    for (const PipelineModel& model : study.models) {
      if (model.stages.empty() || model.micro_batches < 1)
        throw InputError(fmt::format("pipeline '{}' has no stages or no micro-batches", model.name));
    }
  }

  PipelinePlan run() {
    PipelinePlan plan;
    plan.candidates = candidates();
    candidates_ = plan.candidates;
    for (const DesignPoint& point : candidates_) tdp_.push_back(prices_.price(point).tdp);
    for (size_t m = 0; m < study_.models.size(); ++m) price_stages(m);
    std::vector<std::vector<PipelineDesign>> uniform(study_.models.size());
    size_t best = 0;
    double best_mean = -1;
    for (size_t m = 0; m < uniform.size(); ++m) {
      const std::vector<const StageTimes*> stages = stages_of(m);
      for (size_t c = 0; c < candidates_.size(); ++c)
        uniform[m].push_back(design(m, stages, std::vector<size_t>(stages.size(), c)));
    }
    for (size_t c = 0; c < candidates_.size(); ++c) {
      double logarithms = 0;
      for (const auto& designs : uniform) logarithms += std::log(designs[c].objective);
      const double mean = std::exp(logarithms / static_cast<double>(uniform.size()));
      if (mean > best_mean) best_mean = mean, best = c;
    }
    for (size_t m = 0; m < uniform.size(); ++m) {
      plan.common.push_back(uniform[m][best]);
      const PipelineDesign& own = *std::max_element(
          uniform[m].begin(), uniform[m].end(),
          [](const PipelineDesign& a, const PipelineDesign& b) { return a.objective < b.objective; });
      plan.individual.push_back(own);
      plan.mosaic.push_back(mosaic(m, own));
    }
    plan.common_objective = mean(plan.common);
    plan.individual_objective = mean(plan.individual);
    plan.mosaic_objective = mean(plan.mosaic);
    return plan;
  }

 private:
  static double mean(const std::vector<PipelineDesign>& designs) {
    double logarithms = 0;
    for (const PipelineDesign& design : designs) logarithms += std::log(design.objective);
    return std::exp(logarithms / static_cast<double>(designs.size()));
  }

  // Seconds of every affordable design on a stage; kept by stage, since candidates come from them.
  StageTimes times_of(const PipelineStage& stage, const std::vector<DesignPoint>& points) const {
    StageTimes times;
    auto fill = [&](const AcceleratorWorkload& workload, std::vector<double>& seconds) {
      if (workload.graph.operators.empty()) {
        seconds.assign(points.size(), 0);
        return;
      }
      const AcceleratorStudy study = study_of(study_.base, {workload});
      DesignEvaluator evaluator(study);
      for (const DesignPoint& point : points) seconds.push_back(evaluator.evaluate(point).seconds[0]);
    };
    fill(stage.forward, times.forward);
    fill(stage.backward, times.backward);
    return times;
  }

  // Every affordable design is scheduled for each stage: a few thousand of tens of microseconds each.
  std::vector<DesignPoint> candidates() const {
    std::vector<DesignPoint> chosen;
    if (study_.top >= designs_.size()) return designs_;
    for (const PipelineModel& model : study_.models) {
      for (const PipelineStage& stage : model.stages) {
        const StageTimes times = times_of(stage, designs_);
        std::vector<double> value;
        for (size_t i = 0; i < designs_.size(); ++i)
          value.push_back(
              stage_objective(study_.base.objective, times.both(i), prices_.price(designs_[i]).tdp));
        std::vector<size_t> order(designs_.size());
        std::iota(order.begin(), order.end(), size_t{0});
        std::partial_sort(
            order.begin(), order.begin() + static_cast<std::ptrdiff_t>(study_.top), order.end(),
            [&](size_t a, size_t b) { return value[a] != value[b] ? value[a] > value[b] : a < b; });
        for (size_t i = 0; i < study_.top; ++i) chosen.push_back(designs_[order[i]]);
        if (context_.stop.stop_requested()) break;
      }
    }
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    return chosen;
  }

  void price_stages(size_t m) {
    for (const PipelineStage& stage : study_.models[m].stages)
      times_[m].push_back(times_of(stage, candidates_));
  }

  // The times of each stage of the pipeline, copies counted out.
  std::vector<const StageTimes*> stages_of(size_t m) const {
    std::vector<const StageTimes*> stages;
    const PipelineModel& model = study_.models[m];
    for (size_t s = 0; s < model.stages.size(); ++s)
      stages.insert(stages.end(), static_cast<size_t>(model.stages[s].copies), &times_.at(m)[s]);
    return stages;
  }

  PipelineDesign design(size_t m, const std::vector<const StageTimes*>& stages,
                        const std::vector<size_t>& choice) const {
    const PipelineModel& model = study_.models[m];
    PipelineDesign design;
    std::vector<schedule::StageCost> costs;
    std::vector<Seconds> updates;
    bool train = false;
    size_t s = 0;
    for (const PipelineStage& stage : model.stages) {
      for (int copy = 0; copy < stage.copies; ++copy, ++s) {
        const StageTimes& times = *stages[s];
        costs.push_back({Seconds(times.forward[choice[s]]), Seconds(times.backward[choice[s]]),
                         stage.transfer, stage.transfer});
        updates.push_back(stage.update);
        train = train || times.backward[choice[s]] > 0;
        design.stages.push_back(candidates_[choice[s]]);
        design.tdp += Watts(tdp_[choice[s]]);
      }
    }
    design.closed_form = closed_form_time(costs, updates, model.micro_batches);
    schedule::PipelineOptions options;
    options.micro_batches = model.micro_batches;
    options.schedule = model.schedule;
    options.train = train;
    design.simulated =
        schedule::run_pipeline(costs, options).time + *std::max_element(updates.begin(), updates.end());
    design.throughput = model.stages.front().forward.samples * model.micro_batches / design.simulated.value();
    design.objective = study_.base.objective == AcceleratorObjective::Throughput
                           ? design.throughput
                           : design.throughput / design.tdp.value();
    return design;
  }

  // What the first stages of a pipeline take together: the closed form needs no more of them.
  struct Partial {
    double sum = 0, longest = 0, power = 0;
    std::vector<size_t> designs;  // one a distinct stage
    bool beats(const Partial& other) const {
      return sum <= other.sum && longest <= other.longest && power <= other.power;
    }
  };

  // Those that no other beats in all three, by rising sum.
  static std::vector<Partial> undominated(std::vector<Partial> partials) {
    std::stable_sort(partials.begin(), partials.end(), [](const Partial& a, const Partial& b) {
      return std::tie(a.sum, a.longest, a.power) < std::tie(b.sum, b.longest, b.power);
    });
    std::vector<Partial> kept;
    for (Partial& partial : partials) {
      if (std::none_of(kept.begin(), kept.end(), [&](const Partial& k) { return k.beats(partial); }))
        kept.push_back(std::move(partial));
    }
    return kept;
  }

  // All choices of a design for each distinct stage that could be best by the closed form, which rises with
  // the sum of times, the longest and the power: stage by stage, without what another choice beats.
  std::vector<Partial> choices_of(size_t m) const {
    std::vector<Partial> partials = {{}};
    for (size_t d = 0; d < times_.at(m).size(); ++d) {
      const StageTimes& times = times_.at(m)[d];
      const int copies = study_.models[m].stages[d].copies;
      std::vector<Partial> own;
      for (size_t c = 0; c < candidates_.size(); ++c)
        own.push_back({copies * times.both(c), times.both(c), copies * tdp_[c], {c}});
      own = undominated(std::move(own));
      std::vector<Partial> longer;
      for (const Partial& partial : partials) {
        for (const Partial& choice : own) {
          Partial both{partial.sum + choice.sum, std::max(partial.longest, choice.longest),
                       partial.power + choice.power, partial.designs};
          both.designs.push_back(choice.designs[0]);
          longer.push_back(std::move(both));
        }
      }
      partials = undominated(std::move(longer));
    }
    return partials;
  }

  // The best by the closed form are simulated. Never worse than `start`.
  PipelineDesign mosaic(size_t m, const PipelineDesign& start) const {
    const PipelineModel& model = study_.models[m];
    double transfers = 0, update = 0;
    for (const PipelineStage& stage : model.stages) {
      transfers += 2 * stage.copies * stage.transfer.value();
      update = std::max(update, stage.update.value());
    }
    std::vector<Partial> choices = choices_of(m);
    auto value = [&](const Partial& choice) {
      return stage_objective(study_.base.objective,
                             choice.sum + transfers + (model.micro_batches - 1) * choice.longest + update,
                             choice.power);
    };
    std::stable_sort(choices.begin(), choices.end(),
                     [&](const Partial& a, const Partial& b) { return value(a) > value(b); });
    PipelineDesign best = start;
    const std::vector<const StageTimes*> stages = stages_of(m);
    for (size_t i = 0; i < std::min(kSimulated, choices.size()); ++i) {
      std::vector<size_t> choice;
      for (size_t d = 0; d < model.stages.size(); ++d)
        choice.insert(choice.end(), static_cast<size_t>(model.stages[d].copies), choices[i].designs[d]);
      PipelineDesign found = design(m, stages, choice);
      if (found.objective > best.objective) best = std::move(found);
    }
    return best;
  }

  const PipelineStudy& study_;
  const RunContext& context_;
  DesignPrices prices_;
  std::vector<DesignPoint> designs_, candidates_;
  std::vector<double> tdp_;
  std::map<size_t, std::vector<StageTimes>> times_;  // by model and distinct stage
};

}  // namespace

Seconds closed_form_time(const std::vector<schedule::StageCost>& stages, const std::vector<Seconds>& updates,
                         int micro_batches) {
  Seconds sum, longest, update;
  for (size_t s = 0; s < stages.size(); ++s) {
    const Seconds both = stages[s].forward + stages[s].backward;
    sum += both;
    longest = std::max(longest, both);
    update = std::max(update, updates[s]);
    if (s + 1 < stages.size()) sum += stages[s].send_forward + stages[s + 1].send_backward;
  }
  return sum + longest * (micro_batches - 1) + update;
}

PipelinePlan plan_pipelines(const PipelineStudy& study, const RunContext& context) {
  if (study.models.empty()) throw InputError("a pipeline is planned for at least one model");
  return Planner(study, context).run();
}

PipelineModel pipeline_of_model(const PipelineRequest& request) {
  WorkloadRequest whole;
  whole.source = request.model;
  whole.batch = request.micro_batch;
  whole.sequence = request.sequence;
  whole.tensor = request.tensor;
  const AcceleratorWorkload workload = read_workload(whole);
  const graph::Graph& graph = workload.graph;
  if (request.stages < 1 || request.stages > graph.layers)
    throw InputError(fmt::format("{} stages of a model of {} layers", request.stages, graph.layers));
  PipelineModel pipeline;
  pipeline.name = workload.name;
  pipeline.micro_batches = request.micro_batches;
  const std::vector<int> layers = schedule::divide_layers(graph.layers, request.stages);
  const double hidden = static_cast<double>(graph::find_model(request.model).towers.back().hidden);
  const double activation = static_cast<double>(request.micro_batch * request.sequence) * hidden * 2;
  for (int s = 0; s < request.stages; ++s) {
    const int first = layers[static_cast<size_t>(s)], last = layers[static_cast<size_t>(s) + 1];
    PipelineStage stage;
    auto pass = [&](bool backward) {
      return AcceleratorWorkload{workload.name, stage_graph(graph, first, last, backward),
                                 static_cast<double>(request.micro_batch)};
    };
    stage.forward = pass(false);
    stage.backward = pass(true);
    stage.transfer = Bytes(activation) / request.link;
    Bytes moved;
    for (const graph::Operator& op : graph.operators) {
      const graph::Kernel& kernel = graph.kernels[op.kernel];
      const int layer = std::clamp(op.layer, 0, graph.layers - 1);
      if (kernel.parts.front().pass != graph::Pass::Optimizer || layer < first || layer >= last) continue;
      moved += graph::traffic(kernel).read + graph::traffic(kernel).written;
    }
    stage.update = moved / request.dram;
    auto same = [&](const PipelineStage& other) {
      return other.forward.graph.kernels == stage.forward.graph.kernels &&
             other.forward.graph.operators.size() == stage.forward.graph.operators.size() &&
             other.backward.graph.kernels == stage.backward.graph.kernels &&
             other.backward.graph.operators.size() == stage.backward.graph.operators.size();
    };
    if (!pipeline.stages.empty() && same(pipeline.stages.back())) {
      ++pipeline.stages.back().copies;
    } else {
      pipeline.stages.push_back(std::move(stage));
    }
  }
  return pipeline;
}

}  // namespace orrery::explore
