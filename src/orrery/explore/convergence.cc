#include "orrery/explore/convergence.h"

#include <algorithm>
#include <cmath>

#include "orrery/explore/search_state.h"

namespace orrery::explore {
namespace {

struct Contestant {
  std::string_view title;
  AcceleratorSearch search;
  bool draws;
  void (*set)(SearchOptions&);
};
constexpr Contestant kContestants[] = {
    {"exact", AcceleratorSearch::Exact, false, [](SearchOptions&) {}},
    {"pruner", AcceleratorSearch::Pruner, false, [](SearchOptions&) {}},
    {"pruner, mirror conflicts", AcceleratorSearch::Pruner, false,
     [](SearchOptions& o) { o.counts_by_conflicts = true; }},
    {"bayesian, graph features", AcceleratorSearch::Bayesian, true, [](SearchOptions&) {}},
    {"bayesian, parameters alone", AcceleratorSearch::Bayesian, true,
     [](SearchOptions& o) { o.graph_features = false; }},
    {"bayesian, mappings drawn", AcceleratorSearch::Bayesian, true,
     [](SearchOptions& o) {
       o.graph_features = false;
       o.mapping_samples = 100;
       o.most_evaluations = 100;  // as the paper's outer loop
     }},
    {"genetic", AcceleratorSearch::Genetic, true, [](SearchOptions&) {}},
    {"random", AcceleratorSearch::Random, true, [](SearchOptions& o) { o.most_evaluations = UINT64_MAX; }},
};

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

SearchEnd run(SearchState& state, AcceleratorSearch search) {
  switch (search) {
    case AcceleratorSearch::Exact:
      return search_exactly(state);
    case AcceleratorSearch::Exhaustive:
      return search_exhaustively(state);
    case AcceleratorSearch::Pruner:
      return search_by_pruning(state);
    case AcceleratorSearch::Random:
      return search_at_random(state);
    case AcceleratorSearch::Bayesian:
      return search_by_regression(state);
    case AcceleratorSearch::Genetic:
      break;
  }
  return search_by_breeding(state);
}

double mean_ratio(const AcceleratorStudy& study, const EvaluatedDesign& a, const EvaluatedDesign& b) {
  double logarithms = 0, weights = 0;
  for (size_t w = 0; w < study.workloads.size(); ++w) {
    logarithms += study.workloads[w].weight * std::log(a.workloads[w].throughput / b.workloads[w].throughput);
    weights += study.workloads[w].weight;
  }
  return std::exp(logarithms / weights);
}

}  // namespace

Convergence compare_searches(const AcceleratorStudy& study, int seeds, const RunContext& context,
                             double tolerance) {
  Convergence result;
  {
    const SearchOptions options{.search = AcceleratorSearch::Exhaustive};
    SearchState state(study, options, context);
    search_exhaustively(state);
    if (!state.found()) return result;
    result.designs = state.designs().size();
    result.optimum = state.best_objective();
    result.best = state.best().point;
    result.exhaustive_seconds = state.elapsed();
  }
  {
    const SearchOptions options;
    SearchState state(study, options, context);
    search_exactly(state);
    result.exact = state.evaluator().take_work();
    result.exact.time = Seconds(state.elapsed());
  }
  const double workloads = static_cast<double>(study.workloads.size());
  for (const Contestant& contestant : kContestants) {
    ConvergenceRow row;
    row.search = contestant.title;
    row.worst_objective = 1;
    std::vector<double> schedules, seconds;
    for (int seed = 1; seed <= (contestant.draws ? seeds : 1); ++seed) {
      if (context.stop.stop_requested()) break;
      SearchOptions options;
      options.search = contestant.search;
      options.target = result.optimum * (1 - tolerance);
      contestant.set(options);
      RunContext seeded = context;
      seeded.seed = context.seed.derive(static_cast<uint64_t>(seed));
      seeded.progress = nullptr;
      SearchState state(study, options, seeded);
      run(state, contestant.search);
      seconds.push_back(state.elapsed());
      schedules.push_back(static_cast<double>(state.evaluator().take_work().schedules) / workloads);
      ++row.runs;
      row.reached += state.target_reached().has_value();
      row.worst_objective = std::min(row.worst_objective, state.best_objective() / result.optimum);
    }
    if (row.runs == 0) break;
    row.median_schedules = quantile(schedules, 0.5);
    row.p90_schedules = quantile(schedules, 0.9);
    row.median_seconds = quantile(seconds, 0.5);
    result.rows.push_back(std::move(row));
  }
  return result;
}

VersusReference compare_with_reference(AcceleratorStudy study, const DesignPoint& reference,
                                       const RunContext& context) {
  study.reference = reference;
  VersusReference result;
  result.reference = evaluate_design(study, reference);
  study.limits = {result.reference.core, result.reference.tdp, false};
  for (size_t w = 0; w < study.workloads.size(); ++w)
    study.workloads[w].least_throughput = result.reference.workloads[w].throughput;
  const SearchOptions options;
  SearchState state(study, options, context);
  result.stop = search_exactly(state).stop;
  result.best = state.found() ? state.evaluator().describe(state.best().point) : result.reference;
  result.throughput_gain = mean_ratio(study, result.best, result.reference);
  result.perf_per_tdp_gain = result.throughput_gain * (result.reference.tdp / result.best.tdp);
  return result;
}

}  // namespace orrery::explore
