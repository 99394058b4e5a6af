// A finished schedule whose tasks share one bandwidth, the chip's DRAM, while they run at the same time.
//
// Task v takes the share u_v of the bandwidth while it runs alone, its bytes spread evenly over its duration.
// What runs at once is served by max-min fairness: nobody gets more than he asks, and those that are not
// satisfied get the same. A task that gets g progresses at the rate g / u_v, one that asks for nothing at its
// own pace; rates change where a task starts or ends (processor sharing, simulated from event to event).
// Cores, the order of tasks on each, and the earliest start of each stay as they were scheduled.
//
// So nothing ends before its time in the schedule, and all at that time where no more than the bandwidth is
// asked for; and since Σ g / u >= 1 while anything runs, the whole takes no longer than one task after
// another. Whatever bounds the schedule without sharing bounds it here.
#pragma once

#include <span>
#include <vector>

#include "orrery/schedule/cores/list_schedule.h"

namespace orrery::schedule {

struct SharedSchedule {
  double makespan = 0;             // cycles
  std::vector<double> start, end;  // cycles, by task
};

// demand: u of each task, 0 to 1. The schedule must be legal. Throws std::invalid_argument for another number
// of demands than of tasks, or one out of range.
SharedSchedule share_bandwidth(const TaskGraph& graph, const CoreSchedule& schedule,
                               std::span<const double> demand);

}  // namespace orrery::schedule
