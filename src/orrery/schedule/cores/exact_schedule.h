// The shortest schedule of a small graph, by branch and bound: the oracle of the greedy one.
//
// Tasks are appended one by one, each at the earliest time that its predecessors and the first free cores
// allow; some order reaches the optimum, since cores of a kind are alike. A node is cut by what every task
// still has behind it and by the work that is left for each kind, and by an earlier node of the same tasks
// that was nowhere later.
#pragma once

#include <cstdint>

#include "orrery/schedule/cores/list_schedule.h"

namespace orrery::schedule {

inline constexpr size_t kMostExactTasks = 64;

struct ExactSchedule {
  CoreSchedule schedule;
  int64_t bound = 0;  // no schedule is shorter
  uint64_t nodes = 0;
  bool proven() const { return schedule.makespan == bound; }
};

// Stops after `most_nodes` with the best so far and the bound that holds regardless. Throws
// std::invalid_argument for more than kMostExactTasks.
ExactSchedule exact_schedule(const TaskGraph&, CoreCounts, uint64_t most_nodes = 2'000'000);

}  // namespace orrery::schedule
