// How many cores a graph is worth, by its critical conflicts (WHAM, arXiv 2404.14632: mirror conflict
// resolution).
//
// From one core of each kind, a core is added for the first task that waited and thereby ran past its ALAP; a
// backward task counts where its forward task stands, since a shortage that delays a region delays its mirror
// too, and one core resolves both. A kind that brings nothing is left until another one helped; when both
// bring nothing alone, both are tried together once. What cannot bring anything on any schedule
// (makespan_bound) is not scheduled. Ends when the makespan is T∞ (no number of cores helps), no kind is
// left, or limits forbid. The paper's scheduler is not published: this is our reading of it.
#pragma once

#include <functional>
#include <vector>

#include "orrery/schedule/cores/list_schedule.h"

namespace orrery::schedule {

struct CoreStep {
  CoreCounts counts;
  int64_t makespan = 0;
};

struct ConflictResolution {
  std::vector<CoreStep> kept;   // counts that improved, from {1, 1} on: the last is worth most
  std::vector<CoreStep> tried;  // all that were scheduled, in order
  int schedules() const { return static_cast<int>(tried.size()); }
};

// What counts with a makespan in cycles are worth, more being better.
using WorthOfCounts = std::function<double(CoreCounts, int64_t makespan)>;

// affordable: whether limits of area and power allow these counts; {1, 1} is taken as given. worth: what a
// further core must improve, such as throughput a watt; where empty, the makespan. least_gain: relative
// improvement below which a step counts as none.
ConflictResolution resolve_mirror_conflicts(ListScheduler&, const std::function<bool(CoreCounts)>& affordable,
                                            const WorthOfCounts& worth = {}, double least_gain = 1e-3);

}  // namespace orrery::schedule
