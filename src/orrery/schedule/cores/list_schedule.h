// The greedy schedule: event-driven, not preemptive. When a core falls free, the ready task of its kind with
// the least ALAP starts; ties go to the larger tail, then the lower id, and cores are taken lowest number
// first, so a graph has one schedule. A task that needs both kinds waits until both are free and is passed
// meanwhile; the most urgent of them at most kMostPasses times: then nothing of lower rank starts on either
// kind before it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "orrery/schedule/cores/criticality.h"
#include "orrery/schedule/cores/task_graph.h"

namespace orrery::schedule {

inline constexpr int kMostPasses = 16;
inline constexpr int32_t kNoCore = -1;

struct CoreSchedule {
  CoreCounts counts;
  int64_t makespan = 0;
  std::vector<int64_t> ready, start;                  // delay = start − ready: a conflict where above 0
  std::vector<std::array<int32_t, kCoreKinds>> core;  // by kind; kNoCore where none is held
};

// Keeps what depends on the graph alone, so that a search schedules one graph on many sizes and counts of
// cores without allocating. Not thread-safe: one a thread. The graph must outlive it.
class ListScheduler {
 public:
  explicit ListScheduler(const TaskGraph& graph);
  ~ListScheduler();
  const TaskGraph& graph() const { return graph_; }
  // Reads the durations of the graph again after TaskGraph::set_durations.
  void reprice();
  int64_t critical_path() const { return criticality_.critical_path; }
  const Criticality& criticality();
  // Counts of at least 1.
  CoreSchedule schedule(CoreCounts counts);
  int64_t makespan(CoreCounts counts);  // of the same schedule, without writing it down

 private:
  struct Workspace;
  void order_by_rank();
  template <bool Record>
  CoreSchedule run(CoreCounts counts);
  const TaskGraph& graph_;
  Criticality criticality_;
  bool starts_known_ = false, ranks_known_ = false;
  TaskGraph::Successors successors_;
  std::vector<uint32_t> waits_;  // predecessors of each task
  std::vector<TaskId> by_rank_;  // most urgent first
  std::vector<uint32_t> rank_;   // of each task
  std::unique_ptr<Workspace> workspace_;
};

// What is wrong with a schedule, empty where it is legal: precedence, one task a core at a time, cores that
// exist. Knows nothing of how schedules are made.
std::string broken_schedule(const TaskGraph&, const CoreSchedule&);

}  // namespace orrery::schedule
