// Operators as tasks on cores: the one scheduling problem of accelerators. A task needs one core of each kind
// in its mask for its whole duration, without preemption; cores of a kind are alike. Minimise the makespan.
//
// Tasks stand in topological order. Durations are whole cycles. A task without kinds occupies nothing (a
// view).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "orrery/cost/operator_model.h"
#include "orrery/graph/graph.h"

namespace orrery::schedule {

using TaskId = uint32_t;
inline constexpr uint8_t kMatrixCore = 1, kVectorCore = 2;  // as OperatorCost::engines
inline constexpr size_t kCoreKinds = 2;

struct CoreTask {
  int64_t duration = 0;
  uint8_t kinds = 0;
  TaskId mirror = graph::kNone;  // backward: the forward task whose gradient this is
};

class TaskGraph {
 public:
  // Predecessors come before. Throws std::invalid_argument where one does not, or for a negative duration.
  TaskId add(CoreTask task, std::span<const TaskId> predecessors);
  TaskId add(CoreTask task, std::initializer_list<TaskId> predecessors) {
    return add(task, std::span<const TaskId>(predecessors.begin(), predecessors.size()));
  }

  size_t size() const { return tasks_.size(); }
  // The same tasks on other cores: one duration a task. A ListScheduler over the graph must be repriced.
  void set_durations(std::span<const int64_t> durations);
  const CoreTask& operator[](size_t task) const { return tasks_[task]; }
  std::span<const TaskId> predecessors(size_t task) const {
    return {predecessors_.data() + first_predecessor_[task],
            predecessors_.data() + first_predecessor_[task + 1]};
  }
  // Successors of every task, as one list with its offsets (size() + 1 of them).
  struct Successors {
    std::vector<uint32_t> first;
    std::vector<TaskId> tasks;
    std::span<const TaskId> of(size_t task) const {
      return {tasks.data() + first[task], tasks.data() + first[task + 1]};
    }
  };
  Successors successors() const;
  // Core time by kind.
  std::array<int64_t, kCoreKinds> work() const;

 private:
  std::vector<CoreTask> tasks_;
  std::vector<uint32_t> first_predecessor_ = {0};
  std::vector<TaskId> predecessors_;
};

// One task an operator, with the dependencies of its tensors; costs: one a kernel of the graph, durations
// rounded up to whole cycles of `clock`. Operators that no core runs (collectives) keep their duration and
// hold no core.
TaskGraph task_graph(const graph::Graph&, std::span<const cost::OperatorCost> costs, Hertz clock);

}  // namespace orrery::schedule
