#include "orrery/explore/slot_program.h"

#include <algorithm>

#include "orrery/solve/linear_program.h"

namespace orrery::explore {
namespace {

using schedule::kCoreKinds;
using schedule::TaskGraph;
using schedule::TaskId;

class SlotProgram {
 public:
  SlotProgram(const TaskGraph& tasks, schedule::CoreCounts counts, int64_t horizon)
      : tasks_(tasks), counts_(counts), path_(schedule::criticality(tasks)), horizon_(horizon) {
    makespan_ = program_.add_column(static_cast<double>(schedule::threshold_bound(tasks, path_, counts)),
                                    static_cast<double>(horizon), 1, true);
    for (size_t v = 0; v < tasks.size(); ++v) add_task(v);
    for (size_t v = 0; v < tasks.size(); ++v) {
      for (TaskId u : tasks.predecessors(v)) add_edge(u, v);
    }
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      for (int64_t t = 0; t < horizon; ++t) add_cycle(kind, t);
    }
  }

  std::optional<std::vector<int64_t>> solve(Seconds limit, double& bound) const {
    solve::IntegerOptions options;
    options.limit = limit;
    const solve::LinearSolution solution = solve::solve_integer(program_, options);
    bound = solution.bound;
    if (solution.value.empty()) return std::nullopt;
    std::vector<int64_t> starts(tasks_.size());
    for (size_t v = 0; v < tasks_.size(); ++v) {
      for (size_t i = 0; i < slot_[v].size(); ++i) {
        if (solution.value[static_cast<size_t>(slot_[v][i])] > 0.5)
          starts[v] = path_.asap[v] + static_cast<int64_t>(i);
      }
    }
    return starts;
  }

 private:
  int64_t latest_start(size_t v) const { return horizon_ - path_.tail[v]; }
  // Adds the slots of v that start from `first` to `last`.
  void append(std::vector<solve::Term>& row, size_t v, int64_t first, int64_t last) const {
    first = std::max(first, path_.asap[v]);
    last = std::min(last, latest_start(v));
    for (int64_t t = first; t <= last; ++t)
      row.push_back({slot_[v][static_cast<size_t>(t - path_.asap[v])], 1});
  }

  void add_task(size_t v) {
    std::vector<int>& slots = slot_.emplace_back();
    std::vector<solve::Term> one, end = {{makespan_, 1}};
    for (int64_t t = path_.asap[v]; t <= latest_start(v); ++t) {
      slots.push_back(program_.add_column(0, 1, 0, true));
      one.push_back({slots.back(), 1});
      end.push_back({slots.back(), -static_cast<double>(t)});
    }
    program_.add_row(1, 1, std::move(one));
    program_.add_row(static_cast<double>(path_.tail[v]), solve::kUnbounded, std::move(end));
  }

  // Not both: u starts at t or later, and v before u would then have ended.
  void add_edge(size_t u, size_t v) {
    for (int64_t t = path_.asap[u]; t <= latest_start(u); ++t) {
      std::vector<solve::Term> row;
      append(row, u, t, latest_start(u));
      const size_t of_u = row.size();
      append(row, v, 0, t + tasks_[u].duration - 1);
      if (row.size() > of_u) program_.add_row(-solve::kUnbounded, 1, std::move(row));
    }
  }

  // Tasks that run in cycle t hold no more cores than there are.
  void add_cycle(size_t kind, int64_t t) {
    std::vector<solve::Term> row;
    int tasks = 0;
    for (size_t v = 0; v < tasks_.size(); ++v) {
      if (!(tasks_[v].kinds >> kind & 1)) continue;
      const size_t before = row.size();
      append(row, v, t - tasks_[v].duration + 1, t);
      tasks += row.size() > before;
    }
    if (tasks > counts_.of(kind)) program_.add_row(-solve::kUnbounded, counts_.of(kind), std::move(row));
  }

  const TaskGraph& tasks_;
  schedule::CoreCounts counts_;
  schedule::Criticality path_;
  int64_t horizon_;
  solve::LinearProgram program_;
  int makespan_ = 0;
  std::vector<std::vector<int>> slot_;  // of each task, from its earliest start on
};

}  // namespace

int64_t slots_of(const TaskGraph& tasks, int64_t horizon) {
  const schedule::Criticality path = schedule::criticality(tasks);
  int64_t slots = 0;
  for (size_t v = 0; v < tasks.size(); ++v)
    slots += std::max<int64_t>(0, horizon - path.tail[v] - path.asap[v] + 1);
  return slots;
}

std::optional<std::vector<int64_t>> solve_by_slots(const TaskGraph& tasks, schedule::CoreCounts counts,
                                                   int64_t horizon, Seconds limit, double& bound) {
  return SlotProgram(tasks, counts, horizon).solve(limit, bound);
}

}  // namespace orrery::explore
