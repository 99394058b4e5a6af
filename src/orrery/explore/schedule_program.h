// The shortest schedule of a small graph as an integer program, and with it the choice of how many cores to
// build: the oracle of the greedy schedule, independent of the branch and bound in schedule/cores.
//
//   min T    T >= s_v + tail_v;  s_v >= s_u + l_u on edges;  Σ_c x_vc = 1 for each kind of several cores
//   for tasks u, v of one kind that the graph does not order, o_uv "u ends before v starts":
//     s_v >= s_u + l_u − M_uv (1 − o_uv)      o_uv + o_vu >= x_uc + x_vc − 1, or >= 1 where there is one core
//   ASAP_v <= s_v <= H − tail_v; the i-th task of a kind uses one of its first i cores; the work on a core
//   lies between the first start and the least tail of its kind
// M_uv is the latest end of u less ASAP_v; what the windows forbid has no binary. Only what is shorter than a
// schedule of the local search is looked for, so H is that one less a cycle, and a program without a solution
// proves that schedule shortest. Short tasks on several cores alike are solved by start slots instead
// (slot_program.h). Source: WHAM, arXiv 2404.14632, section on its ILP.
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
