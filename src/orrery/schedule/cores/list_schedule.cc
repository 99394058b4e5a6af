#include "orrery/schedule/cores/list_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <stdexcept>

namespace orrery::schedule {
namespace {

template <class T>
using SmallestFirst = std::priority_queue<T, std::vector<T>, std::greater<T>>;

class Run {
 public:
  Run(const TaskGraph& graph, const TaskGraph::Successors& successors, std::vector<uint32_t> waits,
      const std::vector<TaskId>& by_rank, const std::vector<uint32_t>& rank, CoreCounts counts)
      : graph_(graph), successors_(successors), waits_(std::move(waits)), by_rank_(by_rank), rank_(rank) {
    result_.counts = counts;
    passed_.assign(graph.size(), 0);
    result_.ready.assign(graph.size(), 0);
    result_.start.assign(graph.size(), 0);
    result_.core.assign(graph.size(), {kNoCore, kNoCore});
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      for (int core = 0; core < counts.of(kind); ++core) free_[kind].push(core);
    }
  }

  CoreSchedule run() {
    for (size_t v = 0; v < graph_.size(); ++v) {
      if (waits_[v] == 0) make_ready(static_cast<TaskId>(v));
    }
    settle();
    dispatch();
    while (!running_.empty()) {
      now_ = running_.top().first;
      settle();
      dispatch();
    }
    return std::move(result_);
  }

 private:
  using Ranks = SmallestFirst<uint32_t>;

  // Ends all that ends now, and what that releases and takes no time.
  void settle() {
    while (!running_.empty() && running_.top().first == now_) {
      TaskId done = running_.top().second;
      running_.pop();
      finish(done);
    }
  }

  void make_ready(TaskId v) {
    result_.ready[v] = now_;
    if (graph_[v].kinds == 0) return start(v);
    queue_[graph_[v].kinds].push(rank_[v]);
  }

  void start(TaskId v) {
    result_.start[v] = now_;
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      if (!(graph_[v].kinds >> kind & 1)) continue;
      result_.core[v][kind] = free_[kind].top();
      free_[kind].pop();
    }
    running_.push({now_ + graph_[v].duration, v});
  }

  void finish(TaskId v) {
    result_.makespan = now_;
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      if (result_.core[v][kind] != kNoCore) free_[kind].push(result_.core[v][kind]);
    }
    for (TaskId s : successors_.of(v)) {
      if (--waits_[s] == 0) make_ready(s);
    }
  }

  bool cores_free(uint8_t kinds) const {
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      if ((kinds >> kind & 1) && free_[kind].empty()) return false;
    }
    return true;
  }

  // Starts the most urgent task whose cores are free, as long as there is one.
  void dispatch() {
    constexpr uint8_t kBoth = kMatrixCore | kVectorCore;
    while (true) {
      uint8_t chosen = 0;
      for (uint8_t kinds = 1; kinds <= kBoth; ++kinds) {
        if (queue_[kinds].empty() || !cores_free(kinds)) continue;
        if (chosen == 0 || queue_[kinds].top() < queue_[chosen].top()) chosen = kinds;
      }
      if (chosen == 0) return;
      Ranks& pair = queue_[kBoth];
      bool passes = chosen != kBoth && !pair.empty() && pair.top() < queue_[chosen].top();
      if (passes && passed_[pair.top()] >= kMostPasses) return;
      if (passes) ++passed_[pair.top()];
      TaskId v = by_rank_[queue_[chosen].top()];
      queue_[chosen].pop();
      start(v);
    }
  }

  const TaskGraph& graph_;
  const TaskGraph::Successors& successors_;
  std::vector<uint32_t> waits_;
  const std::vector<TaskId>& by_rank_;
  const std::vector<uint32_t>& rank_;
  std::array<SmallestFirst<int>, kCoreKinds> free_;
  std::array<Ranks, 4> queue_;  // by mask of kinds
  SmallestFirst<std::pair<int64_t, TaskId>> running_;
  std::vector<uint8_t>
      passed_;  // by rank: how often others passed this task while it was the most urgent pair
  int64_t now_ = 0;
  CoreSchedule result_;
};

}  // namespace

ListScheduler::ListScheduler(const TaskGraph& graph)
    : graph_(graph), criticality_(schedule::criticality(graph)), successors_(graph.successors()) {
  waits_.resize(graph.size());
  rank_.resize(graph.size());
  by_rank_.resize(graph.size());
  for (size_t v = 0; v < graph.size(); ++v) waits_[v] = static_cast<uint32_t>(graph.predecessors(v).size());
  std::iota(by_rank_.begin(), by_rank_.end(), 0u);
  // ALAP is T∞ − tail: the least ALAP is the largest tail, and what is left of ties is the id.
  std::stable_sort(by_rank_.begin(), by_rank_.end(),
                   [&](TaskId a, TaskId b) { return criticality_.tail[a] > criticality_.tail[b]; });
  for (size_t i = 0; i < by_rank_.size(); ++i) rank_[by_rank_[i]] = static_cast<uint32_t>(i);
}

CoreSchedule ListScheduler::schedule(CoreCounts counts) {
  if (counts.matrix < 1 || counts.vector < 1)
    throw std::invalid_argument("a schedule needs a core of each kind");
  return Run(graph_, successors_, waits_, by_rank_, rank_, counts).run();
}

std::string broken_schedule(const TaskGraph& graph, const CoreSchedule& s) {
  if (s.start.size() != graph.size() || s.core.size() != graph.size()) return "not one start and core a task";
  int64_t end = 0;
  for (size_t v = 0; v < graph.size(); ++v) {
    if (s.start[v] < 0) return fmt::format("task {} starts before 0", v);
    end = std::max(end, s.start[v] + graph[v].duration);
    for (TaskId p : graph.predecessors(v)) {
      if (s.start[v] < s.start[p] + graph[p].duration)
        return fmt::format("task {} starts before {} ends", v, p);
    }
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      bool needs = graph[v].kinds >> kind & 1, holds = s.core[v][kind] != kNoCore;
      if (needs != holds) return fmt::format("task {} holds another kind of core than it needs", v);
      if (holds && (s.core[v][kind] < 0 || s.core[v][kind] >= s.counts.of(kind)))
        return fmt::format("task {} runs on core {}, which is not there", v, s.core[v][kind]);
    }
  }
  if (end != s.makespan) return fmt::format("the last task ends at {}, not at {}", end, s.makespan);
  for (size_t kind = 0; kind < kCoreKinds; ++kind) {
    std::vector<TaskId> tasks;
    for (size_t v = 0; v < graph.size(); ++v) {
      if (s.core[v][kind] != kNoCore && graph[v].duration > 0) tasks.push_back(static_cast<TaskId>(v));
    }
    std::sort(tasks.begin(), tasks.end(), [&](TaskId a, TaskId b) {
      return std::pair(s.core[a][kind], s.start[a]) < std::pair(s.core[b][kind], s.start[b]);
    });
    for (size_t i = 1; i < tasks.size(); ++i) {
      TaskId a = tasks[i - 1], b = tasks[i];
      if (s.core[a][kind] == s.core[b][kind] && s.start[b] < s.start[a] + graph[a].duration)
        return fmt::format("tasks {} and {} share a core", a, b);
    }
  }
  return {};
}

}  // namespace orrery::schedule
