// The shortest schedule of a small graph as an integer program, and with it the choice of how many cores to
// build: the oracle of the greedy schedule, independent of the branch and bound in schedule/cores.
//
//   min T    T >= s_v + l_v;  s_v >= s_u + l_u on edges;  Σ_c x_vc = 1 for each kind that v needs
//   for tasks u < v of one kind that neither orders (o = 1: u before v):
//     s_v >= s_u + l_u − H (3 − o − x_uc − x_vc)        s_u >= s_v + l_v − H (2 + o − x_uc − x_vc)
//   ASAP_v <= s_v <= H − tail_v, H the greedy makespan; the i-th task of a kind uses one of its first i cores
// A pair whose windows cannot overlap needs no binary. Source: WHAM, arXiv 2404.14632, section on its ILP.
#pragma once

#include "orrery/base/units.h"
#include "orrery/schedule/cores/list_schedule.h"

namespace orrery::explore {

struct ScheduleProgram {
  schedule::CoreSchedule schedule;
  int64_t bound = 0;  // no schedule is shorter
  bool proven() const { return schedule.makespan == bound; }
};

// For up to some 60 tasks. Durations above 10,000 cycles are scaled, so that numbers stay apart; the schedule
// is then laid out anew with the true ones and the bound scaled back.
ScheduleProgram solve_schedule(const schedule::TaskGraph& tasks, schedule::CoreCounts counts,
                               Seconds limit = Seconds(60));

// The counts of cores, at most `most` of each kind, whose cost keeps to the budget and whose shortest
// schedule is the least; `cost` of one core of each kind.
struct CoreCosts {
  double matrix = 1, vector = 1, budget = 0;
};
ScheduleProgram solve_counts(const schedule::TaskGraph& tasks, schedule::CoreCounts most,
                             const CoreCosts& costs, Seconds limit = Seconds(60));

}  // namespace orrery::explore
