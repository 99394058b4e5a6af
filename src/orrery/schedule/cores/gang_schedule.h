// Tasks on several matrix cores at once: the way below T∞, which bounds every schedule as long as a task sits
// on one core.
//
// Two phases (Turek, Wolf, Yu 1992): from one core each, the width of the critical task with the most time
// won for the core time that it costs is raised, until the critical path is no longer than the work of the
// cores; then a list schedule by tail, where a task starts when all its cores are free. Never longer than the
// greedy schedule on single cores.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orrery/schedule/cores/list_schedule.h"

namespace orrery::schedule {

// Of one task: its duration on widths[i] matrix cores (1 first, ascending).
struct GangModes {
  std::vector<int> widths;
  std::vector<std::vector<int64_t>> durations;  // by task, then by width; one entry: the task is not cut
};

struct GangSchedule {
  CoreCounts counts;
  int64_t makespan = 0;
  std::vector<int> width;  // matrix cores of each task that needs any
  std::vector<int64_t> start, duration;
};

// Durations of the graph are not read. Throws std::invalid_argument for modes that do not fit the graph.
GangSchedule gang_schedule(const TaskGraph& graph, const GangModes& modes, CoreCounts counts);

// What is wrong with a gang schedule, empty where it is legal.
std::string broken_gang_schedule(const TaskGraph& graph, const GangModes& modes, const GangSchedule&);

}  // namespace orrery::schedule
