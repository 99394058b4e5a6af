// The schedule of tasks on cores as an integer program over start times: a binary for each task and each
// cycle in which it may start.
//
//   min T    Σ_t x_vt = 1;  T >= Σ_t t x_vt + tail_v
//   on edges u -> v, for each t:  Σ_{s >= t} x_us + Σ_{s < t + l_u} x_vs <= 1
//   for each kind and cycle t:    Σ_v Σ_{t - l_v < s <= t} x_vs <= n_k
// Cores of a kind are counted, not named: where there are several, nothing is alike that could be exchanged,
// and the relaxation is far stronger than that of orders between pairs. It grows with the horizon, so it is
// for short tasks. Source of the form: Pritsker, Watters, Wolfe, Management Science 16 (1969).
#pragma once

#include <optional>
#include <vector>

#include "orrery/base/units.h"
#include "orrery/schedule/cores/criticality.h"

namespace orrery::explore {

// Columns that the program would have: cycles from the earliest to the latest start, summed over the tasks.
int64_t slots_of(const schedule::TaskGraph& tasks, int64_t horizon);

// Starts of a shortest schedule that ends by the horizon; none where there is none or none was found in
// time. `bound`: no such schedule is shorter; infinite where there is none.
std::optional<std::vector<int64_t>> solve_by_slots(const schedule::TaskGraph& tasks,
                                                   schedule::CoreCounts counts, int64_t horizon,
                                                   Seconds limit, double& bound);

}  // namespace orrery::explore
