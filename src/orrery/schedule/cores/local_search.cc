#include "orrery/schedule/cores/local_search.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace orrery::schedule {
namespace {

// A task of the critical chain that waited for a core, and the task that held it.
struct Wait {
  TaskId task, holder;
};

class LocalSearch {
 public:
  LocalSearch(const TaskGraph& graph, CoreCounts counts, Seed seed)
      : graph_(graph), counts_(counts), random_(seed) {}

  CoreSchedule run(int tries) {
    ListScheduler greedy(graph_);
    const int64_t bound = makespan_bound(graph_, greedy.criticality(), counts_);
    CoreSchedule best = greedy.schedule(counts_);
    order_.resize(graph_.size());
    std::iota(order_.begin(), order_.end(), 0u);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](TaskId a, TaskId b) { return best.start[a] < best.start[b]; });
    CoreSchedule current = lay_out(graph_, counts_, order_);
    if (current.makespan < best.makespan) best = current;
    for (int i = 0; i < tries && best.makespan > bound; ++i) {
      const std::vector<TaskId> before = order_;
      if (random_.index(2) == 0) {
        move_any();
      } else {
        const std::vector<Wait> waits = waits_of(current);
        if (waits.empty()) break;  // the chain is a path of the graph
        const Wait& wait = waits[random_.index(waits.size())];
        move_before(wait.task, wait.holder);
      }
      CoreSchedule tried = lay_out(graph_, counts_, order_);
      if (tried.makespan > current.makespan) {
        order_ = before;
        continue;
      }
      current = std::move(tried);
      if (current.makespan < best.makespan) best = current;
    }
    return best;
  }

 private:
  int64_t end(const CoreSchedule& s, TaskId v) const { return s.start[v] + graph_[v].duration; }

  // Back from a task that ends last, by a random one of those that end when it starts.
  std::vector<Wait> waits_of(const CoreSchedule& s) {
    TaskId v = 0;
    for (size_t u = 0; u < graph_.size(); ++u) {
      if (end(s, static_cast<TaskId>(u)) == s.makespan) v = static_cast<TaskId>(u);
    }
    std::vector<Wait> waits;
    while (s.start[v] > 0) {
      std::vector<TaskId> tight;
      for (TaskId p : graph_.predecessors(v)) {
        if (end(s, p) == s.start[v]) tight.push_back(p);
      }
      const size_t needed = tight.size();
      for (size_t u = 0; u < graph_.size(); ++u) {
        const bool same_core = (s.core[u][0] != kNoCore && s.core[u][0] == s.core[v][0]) ||
                               (s.core[u][1] != kNoCore && s.core[u][1] == s.core[v][1]);
        const auto task = static_cast<TaskId>(u);
        if (same_core && task != v && end(s, task) == s.start[v] && s.start[u] < s.start[v])
          tight.push_back(task);
      }
      const size_t chosen = random_.index(tight.size());
      if (chosen >= needed) waits.push_back({v, tight[chosen]});
      v = tight[chosen];
    }
    return waits;
  }

  void move_any() {
    size_t a = random_.index(order_.size()), b = random_.index(order_.size());
    if (a > b) std::swap(a, b);
    if (a != b) move_before(order_[b], order_[a]);
  }

  // Moves `task`, and what it needs of the tasks between, to just before `place` in the order.
  void move_before(TaskId task, TaskId place) {
    const auto from = std::find(order_.begin(), order_.end(), place);
    const auto to = std::find(from, order_.end(), task) + 1;
    std::vector<bool> needed(graph_.size());
    needed[task] = true;
    for (auto at = to; at-- != from;) {
      if (!needed[*at]) continue;
      for (TaskId p : graph_.predecessors(*at)) needed[p] = true;
    }
    std::stable_partition(from, to, [&](TaskId v) { return needed[v]; });
  }

  const TaskGraph& graph_;
  CoreCounts counts_;
  Random random_;
  std::vector<TaskId> order_;
};

}  // namespace

CoreSchedule lay_out(const TaskGraph& graph, CoreCounts counts, std::span<const TaskId> order) {
  CoreSchedule laid;
  laid.counts = counts;
  laid.ready.assign(graph.size(), 0);
  laid.start.assign(graph.size(), 0);
  laid.core.assign(graph.size(), {kNoCore, kNoCore});
  std::array<std::vector<int64_t>, kCoreKinds> free;
  for (size_t kind = 0; kind < kCoreKinds; ++kind) free[kind].assign(static_cast<size_t>(counts.of(kind)), 0);
  std::vector<bool> placed(graph.size());
  for (TaskId v : order) {
    for (TaskId p : graph.predecessors(v)) {
      if (!placed[p]) throw std::invalid_argument("an order with a task before its predecessor");
      laid.ready[v] = std::max(laid.ready[v], laid.start[p] + graph[p].duration);
    }
    laid.start[v] = laid.ready[v];
    std::array<size_t, kCoreKinds> core{};
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      if (!(graph[v].kinds >> kind & 1)) continue;
      const auto first = std::min_element(free[kind].begin(), free[kind].end());
      core[kind] = static_cast<size_t>(first - free[kind].begin());
      laid.start[v] = std::max(laid.start[v], *first);
    }
    const int64_t end = laid.start[v] + graph[v].duration;
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      if (!(graph[v].kinds >> kind & 1)) continue;
      // Of the cores that are free by then the one that was last busy: the others keep their earlier time.
      for (size_t c = 0; c < free[kind].size(); ++c) {
        if (free[kind][c] <= laid.start[v] && free[kind][c] > free[kind][core[kind]]) core[kind] = c;
      }
      free[kind][core[kind]] = end;
      laid.core[v][kind] = static_cast<int32_t>(core[kind]);
    }
    placed[v] = true;
    laid.makespan = std::max(laid.makespan, end);
  }
  return laid;
}

CoreSchedule improved_schedule(const TaskGraph& graph, CoreCounts counts, int tries, Seed seed) {
  return LocalSearch(graph, counts, seed).run(tries);
}

}  // namespace orrery::schedule
