#include "orrery/schedule/cores/shared_bandwidth.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <queue>
#include <stdexcept>

namespace orrery::schedule {
namespace {

constexpr double kRounding = 1e-12;  // of a duration: what is left of a task that has ended

struct Active {
  TaskId task;
  double left, demand;  // cycles at its own pace, share of the bandwidth
  double rate = 1;
};

// Sorted by demand, so that whoever asks for less than an equal part of what is left gets it.
void set_rates(std::vector<Active>& active) {
  double left = 1;
  for (size_t i = 0; i < active.size(); ++i) {
    const double part = left / static_cast<double>(active.size() - i), got = std::min(active[i].demand, part);
    active[i].rate = got < active[i].demand ? got / active[i].demand : 1;
    left -= got;
  }
}

// What each task waits for: its predecessors, and the task before it on each of its cores.
struct Order {
  std::vector<uint32_t> waits;
  std::vector<std::vector<TaskId>> next;
};

Order order_of(const TaskGraph& graph, const CoreSchedule& schedule) {
  Order order{std::vector<uint32_t>(graph.size()), std::vector<std::vector<TaskId>>(graph.size())};
  auto wait = [&](TaskId task, TaskId before) {
    order.next[before].push_back(task);
    ++order.waits[task];
  };
  std::vector<TaskId> by_start(graph.size());
  std::iota(by_start.begin(), by_start.end(), TaskId{0});
  // Tasks of no duration stand before what starts with them; identities are topological.
  std::sort(by_start.begin(), by_start.end(), [&](TaskId a, TaskId b) {
    if (schedule.start[a] != schedule.start[b]) return schedule.start[a] < schedule.start[b];
    return graph[a].duration != graph[b].duration ? graph[a].duration < graph[b].duration : a < b;
  });
  std::array<std::vector<TaskId>, kCoreKinds> last;
  for (size_t kind = 0; kind < kCoreKinds; ++kind)
    last[kind].assign(static_cast<size_t>(schedule.counts.of(kind)), graph::kNone);
  for (TaskId task : by_start) {
    for (TaskId before : graph.predecessors(task)) wait(task, before);
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      const int32_t core = schedule.core[task][kind];
      if (core == kNoCore) continue;
      TaskId& holder = last[kind].at(static_cast<size_t>(core));
      if (holder != graph::kNone) wait(task, holder);
      holder = task;
    }
  }
  return order;
}

class Simulation {
 public:
  Simulation(const TaskGraph& graph, const CoreSchedule& schedule, std::span<const double> demand)
      : graph_(graph), schedule_(schedule), demand_(demand), order_(order_of(graph, schedule)) {
    result_.start.resize(graph.size());
    result_.end.resize(graph.size());
  }

  SharedSchedule run() {
    for (TaskId task = 0; task < graph_.size(); ++task) {
      if (order_.waits[task] == 0) release(task);
    }
    while (!active_.empty() || !waiting_.empty()) {
      const double until_start = waiting_.empty() ? std::numeric_limits<double>::infinity()
                                                  : std::max(0.0, waiting_.top().first - now_);
      double step = until_start;
      for (const Active& a : active_) step = std::min(step, a.left / a.rate);
      now_ += step;
      if (step == until_start) now_ = std::max(now_, waiting_.top().first);
      end_tasks(step);
      start_tasks();
    }
    result_.makespan = now_;
    return std::move(result_);
  }

 private:
  void release(TaskId task) { waiting_.emplace(static_cast<double>(schedule_.start[task]), task); }

  void end_tasks(double step) {
    std::vector<TaskId> ended;
    std::erase_if(active_, [&](Active& a) {
      a.left -= step * a.rate;
      if (a.left > kRounding * static_cast<double>(graph_[a.task].duration)) return false;
      ended.push_back(a.task);
      return true;
    });
    for (TaskId task : ended) {
      result_.end[task] = now_;
      for (TaskId next : order_.next[task]) {
        if (--order_.waits[next] == 0) release(next);
      }
    }
    if (!ended.empty()) set_rates(active_);
  }

  void start_tasks() {
    bool started = false;
    for (; !waiting_.empty() && waiting_.top().first <= now_; waiting_.pop(), started = true) {
      const TaskId task = waiting_.top().second;
      result_.start[task] = now_;
      const Active entry{task, static_cast<double>(graph_[task].duration), demand_[task]};
      active_.insert(std::upper_bound(active_.begin(), active_.end(), entry,
                                      [](const Active& a, const Active& b) { return a.demand < b.demand; }),
                     entry);
    }
    if (started) set_rates(active_);
  }

  using Start = std::pair<double, TaskId>;
  const TaskGraph& graph_;
  const CoreSchedule& schedule_;
  std::span<const double> demand_;
  Order order_;
  std::vector<Active> active_;  // ascending demand
  std::priority_queue<Start, std::vector<Start>, std::greater<>> waiting_;
  double now_ = 0;
  SharedSchedule result_;
};

}  // namespace

SharedSchedule share_bandwidth(const TaskGraph& graph, const CoreSchedule& schedule,
                               std::span<const double> demand) {
  if (demand.size() != graph.size() || schedule.start.size() != graph.size())
    throw std::invalid_argument("one demand and one start a task");
  for (double share : demand) {
    if (!(share >= 0 && share <= 1))
      throw std::invalid_argument("a demand is a share of the bandwidth, 0 to 1");
  }
  return Simulation(graph, schedule, demand).run();
}

}  // namespace orrery::schedule
