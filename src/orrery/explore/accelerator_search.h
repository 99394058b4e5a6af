// Searches for the best accelerator of a study, all on one evaluator and so on one cost model, one cache and
// one scheduler. Every search ends early on RunContext's limits or stop and returns its best with a bound
// that holds regardless.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "orrery/base/run_context.h"
#include "orrery/explore/accelerator_plan.h"

namespace orrery::explore {

enum class AcceleratorSearch : uint8_t {
  Exact,       // best-first branch and bound over three bounds: the optimum, proven
  Exhaustive,  // every design of the space
  Pruner,      // WHAM's: sizes from large to small with hysteresis, counts by mirror conflicts
  Random,      // seeded, without repetition
  Bayesian,    // Spotlight's: linear regression over features, optimistic choice
  Genetic,
};
std::string_view name(AcceleratorSearch);  // "exact", "exhaustive", "pruner", "random", "bayesian", "genetic"
std::optional<AcceleratorSearch> parse_accelerator_search(std::string_view);

struct SearchOptions {
  AcceleratorSearch search = AcceleratorSearch::Exact;
  int hysteresis = 1;                // pruner: levels of sizes without gain before a branch ends
  bool counts_by_conflicts = true;   // pruner: counts by mirror conflicts; false: exact over counts
  bool graph_features = true;        // bayesian: critical path and core work beside the parameters
  uint64_t most_evaluations = 2000;  // random, bayesian, genetic
  // random, bayesian, genetic: end once the objective is this good (0: never), for convergence tables.
  double target = 0;
};

// Searches and describes: top designs, front, schedules, next steps. Sensitivity is separate (it searches
// again).
AcceleratorPlan plan_accelerator(const AcceleratorStudy& study, const SearchOptions& options,
                                 const RunContext& context);

// One design, whether in the space or not. Throws InputError for a study that makes no sense.
EvaluatedDesign evaluate_design(const AcceleratorStudy& study, const DesignPoint& point);

}  // namespace orrery::explore
