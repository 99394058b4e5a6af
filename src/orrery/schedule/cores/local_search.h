// A schedule that is better than the greedy one, by local search over the order in which tasks take cores.
//
// An order, in which every task comes after its predecessors, is laid out task by task: each starts as soon
// as its predecessors and the first free cores of its kinds allow. Some order gives the shortest schedule
// (greedy orders need not: they never leave a core idle for a task that is about to be ready). Half of the
// tries take the chain of tasks that ends last, each of which starts when the one before it ends; where a
// task of the chain waits for a core and not for a predecessor, it is moved, with what it needs, before the
// task that holds that core, since nothing else shortens the chain (van Laarhoven, Aarts, Lenstra, Operations
// Research 40 (1992), for job shops). The other half move any task before any other, to get out of ties. What
// is no longer is kept.
#pragma once

#include <span>

#include "orrery/base/random.h"
#include "orrery/schedule/cores/list_schedule.h"

namespace orrery::schedule {

// From the greedy schedule, after at most `tries` moves; ends early at makespan_bound, and when the chain
// waits for no core, which proves it shortest. Seeded. Counts of at least 1.
CoreSchedule improved_schedule(const TaskGraph& graph, CoreCounts counts, int tries, Seed seed);

// The schedule of an order. Throws std::invalid_argument where a task comes before its predecessor.
CoreSchedule lay_out(const TaskGraph& graph, CoreCounts counts, std::span<const TaskId> order);

}  // namespace orrery::schedule
