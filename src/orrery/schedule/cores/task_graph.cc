#include "orrery/schedule/cores/task_graph.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace orrery::schedule {

TaskId TaskGraph::add(CoreTask task, std::span<const TaskId> predecessors) {
  if (task.duration < 0) throw std::invalid_argument("a task of negative duration");
  for (TaskId p : predecessors) {
    if (p >= tasks_.size()) throw std::invalid_argument("a task before its predecessor");
  }
  tasks_.push_back(task);
  predecessors_.insert(predecessors_.end(), predecessors.begin(), predecessors.end());
  first_predecessor_.push_back(static_cast<uint32_t>(predecessors_.size()));
  return static_cast<TaskId>(tasks_.size() - 1);
}

void TaskGraph::set_durations(std::span<const int64_t> durations) {
  if (durations.size() != size()) throw std::invalid_argument("not one duration a task");
  for (size_t v = 0; v < size(); ++v) {
    if (durations[v] < 0) throw std::invalid_argument("a task of negative duration");
    tasks_[v].duration = durations[v];
  }
}

TaskGraph::Successors TaskGraph::successors() const {
  Successors result;
  result.first.assign(size() + 1, 0);
  for (TaskId p : predecessors_) ++result.first[p + 1];
  for (size_t i = 0; i < size(); ++i) result.first[i + 1] += result.first[i];
  result.tasks.resize(predecessors_.size());
  std::vector<uint32_t> next(result.first.begin(), result.first.end() - 1);
  for (size_t task = 0; task < size(); ++task) {
    for (TaskId p : predecessors(task)) result.tasks[next[p]++] = static_cast<TaskId>(task);
  }
  return result;
}

std::array<int64_t, kCoreKinds> TaskGraph::work() const {
  std::array<int64_t, kCoreKinds> work{};
  for (const CoreTask& task : tasks_) {
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      if (task.kinds >> kind & 1) work[kind] += task.duration;
    }
  }
  return work;
}

TaskGraph task_graph(const graph::Graph& graph, std::span<const cost::OperatorCost> costs, Hertz clock) {
  TaskGraph tasks;
  std::vector<TaskId> before;
  for (const graph::Operator& op : graph.operators) {
    before.clear();
    for (graph::TensorId tensor : graph.inputs(op)) {
      graph::OperatorId producer = graph.tensors[tensor].producer;
      if (producer != graph::kNone) before.push_back(producer);
    }
    std::sort(before.begin(), before.end());
    before.erase(std::unique(before.begin(), before.end()), before.end());
    const cost::OperatorCost& cost = costs[op.kernel];
    double cycles = std::ceil(cost.time.value() * clock.value() * (1 - 1e-12));
    tasks.add({static_cast<int64_t>(cycles), cost.engines, op.mirror}, before);
  }
  return tasks;
}

}  // namespace orrery::schedule
