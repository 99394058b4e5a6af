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
  Pruner,      // WHAM's: sizes from large to small with hysteresis
  Random,      // seeded, without repetition
  Bayesian,    // Spotlight's: linear regression over features, optimistic choice
  Genetic,
};
std::string_view name(AcceleratorSearch);  // "exact", "exhaustive", "pruner", "random", "bayesian", "genetic"
std::optional<AcceleratorSearch> parse_accelerator_search(std::string_view);

struct SearchOptions {
  AcceleratorSearch search = AcceleratorSearch::Exact;
  int hysteresis = 1;                // pruner: levels of sizes without gain before a branch ends
  bool counts_by_conflicts = false;  // pruner: counts by mirror conflicts; false: exact over counts
  bool graph_features = true;        // bayesian: critical path and core work beside the parameters
  // bayesian: mappings drawn for every product of every design that is tried, whose best latencies it learns
  // from, as Spotlight's inner loop over software does; 0: the cost model's own mapping.
  int mapping_samples = 0;
  uint64_t most_evaluations = 2000;  // random, bayesian, genetic
  // random, bayesian, genetic: end once the objective is this good (0: never), for convergence tables.
  double target = 0;
};

// Searches and describes: top designs, front, schedules, next steps. Sensitivity is separate (it searches
// again).
AcceleratorPlan plan_accelerator(const AcceleratorStudy& study, const SearchOptions& options,
                                 const RunContext& context);

// Whether the plan's design stays best when energies, areas, bandwidths and vector costs move by the factors
// given, each alone; with a reference, its gain over it there. Searches exactly once a row.
std::vector<SensitivityRow> plan_sensitivity(const AcceleratorStudy& study, const DesignPoint& best,
                                             const RunContext& context,
                                             const std::vector<double>& factors = {0.8, 1.2});

// One design, whether in the space or not. Throws InputError for a study that makes no sense.
EvaluatedDesign evaluate_design(const AcceleratorStudy& study, const DesignPoint& point);

}  // namespace orrery::explore
