// What designs of a study are worth, computed again from cost model and schedule alone: no code of the
// searches, no tables of theirs. Slower, and meant to be read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orrery/explore/accelerator_plan.h"
#include "orrery/hardware/accelerator_cost.h"
#include "orrery/schedule/cores/list_schedule.h"

namespace orrery::study {

struct DesignPriceRecount {
  SquareMetres core, chip;
  Watts tdp;
};
DesignPriceRecount recount_price(const explore::AcceleratorStudy& study, const explore::DesignPoint& point);
// "" within the limits of the study, else which one is passed and by what.
std::string passed_limit(const explore::AcceleratorStudy& study, const DesignPriceRecount& price);

// One workload on cores of one size: tasks in cycles, and what a pass takes whatever the counts.
struct LoadRecount {
  schedule::TaskGraph tasks;
  int64_t critical_path = 0;        // cycles; longest path, by one sweep
  std::array<int64_t, 2> work{};    // cycles of matrix and of vector cores
  double dynamic_energy = 0;        // J
  std::vector<double> dram_demand;  // of each task: DRAM traffic over what DRAM moves within its duration
  int64_t bound(schedule::CoreCounts counts) const;  // no schedule is shorter
};
std::vector<LoadRecount> recount_loads(const explore::AcceleratorStudy& study,
                                       const explore::DesignPoint& point);

// The study's objective where each workload takes these seconds; -infinity where one misses its least
// throughput. `reference`: of each workload alone, empty without one or with a single workload.
double recount_objective(const explore::AcceleratorStudy& study, const DesignPriceRecount& price,
                         const std::vector<LoadRecount>& loads, const std::vector<double>& seconds,
                         const std::vector<double>& reference);

// Makespans of the greedy schedule, seconds.
std::vector<double> greedy_seconds(const explore::AcceleratorStudy& study, const explore::DesignPoint& point,
                                   const std::vector<LoadRecount>& loads);
// Of a schedule where what runs at once shares DRAM, seconds.
double shared_dram_seconds(const explore::AcceleratorStudy& study, const LoadRecount& load,
                           const schedule::CoreSchedule& laid);
// Of each workload on the reference design, for recount_objective.
std::vector<double> reference_values(const explore::AcceleratorStudy& study);

// Every design of the grid against an objective: how many are over a limit, cannot reach it on any schedule,
// were scheduled; and the best of those.
struct GridRecount {
  uint64_t designs = 0, over_limits = 0, bounded_out = 0, scheduled = 0;
  double best = 0;  // of the scheduled; 0: none
  explore::DesignPoint best_point;
};
GridRecount recount_grid(const explore::AcceleratorStudy& study, double objective);

}  // namespace orrery::study
