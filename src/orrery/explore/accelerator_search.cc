#include "orrery/explore/accelerator_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "orrery/explore/plan_details.h"
#include "orrery/explore/search_state.h"

namespace orrery::explore {
namespace {

struct Searcher {
  std::string_view name, phrase;
  SearchEnd (*run)(SearchState&);
};
constexpr std::array<Searcher, 6> kSearchers = {
    {{"exact", "branch and bound", search_exactly},
     {"exhaustive", "every design", search_exhaustively},
     {"pruner", "sizes pruned with hysteresis", search_by_pruning},
     {"random", "random designs", search_at_random},
     {"bayesian", "Bayesian linear regression", search_by_regression},
     {"genetic", "a genetic search", search_by_breeding}}};

const Searcher& searcher(AcceleratorSearch search) {
  return kSearchers[static_cast<size_t>(search)];
}

void check(const AcceleratorSpace& space) {
  auto ascend = [](const auto& values, std::string_view what) {
    if (values.empty()) throw InputError(fmt::format("the space of designs has no {}", what));
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] <= 0 || (i > 0 && values[i] <= values[i - 1]))
        throw InputError(fmt::format("{} of the space must be positive and ascend", what));
    }
  };
  ascend(space.columns, "columns");
  ascend(space.rows, "rows");
  if (!space.lanes_equal_columns) ascend(space.lanes, "lanes");
  ascend(space.matrix_cores, "counts of matrix cores");
  ascend(space.vector_cores, "counts of vector cores");
  ascend(space.global_buffers, "global buffers");
}

// The design that operator sums alone let hope most of, and that hope, which no design exceeds: what a
// search without a bound of its own falls back on.
struct Hope {
  double bound = -1;
  std::optional<DesignPoint> design;
};
Hope greatest_hope(SearchState& state) {
  Hope hope;
  for (const DesignPoint& design : state.designs()) {
    const double bound = state.evaluator().work_bound(design);
    if (bound > hope.bound) hope = {bound, design};
  }
  return hope;
}

}  // namespace

std::string_view name(AcceleratorSearch search) {
  return searcher(search).name;
}

std::optional<AcceleratorSearch> parse_accelerator_search(std::string_view text) {
  for (size_t i = 0; i < kSearchers.size(); ++i) {
    if (kSearchers[i].name == text) return static_cast<AcceleratorSearch>(i);
  }
  return std::nullopt;
}

EvaluatedDesign evaluate_design(const AcceleratorStudy& study, const DesignPoint& point) {
  return DesignEvaluator(study).describe(point);
}

AcceleratorPlan plan_accelerator(const AcceleratorStudy& study, const SearchOptions& options,
                                 const RunContext& context) {
  check(study.space);
  SearchState state(study, options, context);
  SearchEnd end = searcher(options.search).run(state);
  if (end.stop != solve::Stop::Infeasible && (!end.bound || state.records().empty())) {
    const Hope hope = greatest_hope(state);
    // A search that was stopped before its first design still has an answer.
    if (state.records().empty() && hope.design) state.record(*hope.design);
    end.bound = std::max(hope.bound, state.best_objective());
  }
  AcceleratorPlan plan;
  plan.work = state.evaluator().take_work();
  plan.work.time = Seconds(state.elapsed());
  plan.work.feasible_designs = state.designs().size();
  plan.designs = state.records();
  plan.result.stop = end.stop;
  plan.result.evaluations = plan.work.evaluations;
  plan.bound_of_any_schedule = end.bound_of_any_schedule.value_or(0);
  plan.result.proven_over = fmt::format(
      "{} designs within the limits of a space of {}, the greedy scheduler, the fold model ({} arrays, {} "
      "vector costs), by {}",
      plan.work.feasible_designs, study.space.size(), cost::name(study.options.array),
      cost::name(study.options.vector), searcher(options.search).phrase);
  if (study.reference) plan.reference = state.evaluator().describe(*study.reference);
  if (!state.found()) {
    if (plan.result.stop == solve::Stop::Proven || plan.result.stop == solve::Stop::WorkLimit)
      plan.result.stop = solve::Stop::Infeasible;
    plan.result.shortfalls = shortfalls(state);
    return plan;
  }
  for (const DesignPoint& point : state.top(study.top)) plan.top.push_back(state.evaluator().describe(point));
  plan.result.best = plan.top.front();
  plan.result.objective = plan.top.front().objective;
  plan.result.bound = *end.bound;
  plan.result.front = pareto_front(state, plan.notes);
  for (size_t w = 0; w < study.workloads.size(); ++w)
    plan.schedules.push_back(state.evaluator().schedule(plan.result.best->point, w));
  plan.next_steps = next_steps(study, *plan.result.best);
  add_notes(study, *plan.result.best, plan.notes);
  return plan;
}

}  // namespace orrery::explore
