// How searches compare on one study and one cost model: what each needs to come within a share of the
// optimum, which every design of the space gives. And how the best design compares with a published one.
#pragma once

#include <string>
#include <vector>

#include "orrery/explore/accelerator_search.h"

namespace orrery::explore {

struct ConvergenceRow {
  std::string search;         // "exact", "exact, proven", "pruner", "bayesian, graph features", ...
  int runs = 0, reached = 0;  // of the runs
  // Over all runs; those that never came there count with what they spent.
  double median_schedules = 0, p90_schedules = 0, median_seconds = 0;
  double worst_objective = 0;  // over the optimum
};
struct Convergence {
  size_t designs = 0;  // that are feasible
  double optimum = 0;
  DesignPoint best;
  double exhaustive_seconds = 0;
  SearchWork exact;  // to the proof
  std::vector<ConvergenceRow> rows;
};
// `seeds` runs of every search that draws; `tolerance`: 0.01 is within one hundredth.
Convergence compare_searches(const AcceleratorStudy& study, int seeds, const RunContext& context,
                             double tolerance = 0.01);

// The best design that takes no more core area and power than the reference and is no slower on any workload,
// by the study's objective; the study's own limits are replaced.
struct VersusReference {
  EvaluatedDesign reference, best;
  double throughput_gain = 0, perf_per_tdp_gain = 0;  // geometric means over the workloads
  solve::Stop stop = solve::Stop::Infeasible;
};
VersusReference compare_with_reference(AcceleratorStudy study, const DesignPoint& reference,
                                       const RunContext& context);

}  // namespace orrery::explore
