#include "orrery/schedule/cores/exact_schedule.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <stdexcept>
#include <unordered_map>

namespace orrery::schedule {
namespace {

class Search {
 public:
  Search(const TaskGraph& graph, CoreCounts counts, uint64_t most_nodes)
      : graph_(graph), successors_(graph.successors()), most_nodes_(most_nodes) {
    ListScheduler greedy(graph);
    criticality_ = greedy.criticality();
    best_.schedule = greedy.schedule(counts);
    best_.bound = threshold_bound(graph, criticality_, counts);
    left_ = graph.work();
    waits_.resize(graph.size());
    end_.assign(graph.size(), 0);
    current_ = best_.schedule;
    for (size_t v = 0; v < graph.size(); ++v) waits_[v] = static_cast<uint32_t>(graph.predecessors(v).size());
    for (size_t kind = 0; kind < kCoreKinds; ++kind)
      free_[kind].assign(static_cast<size_t>(counts.of(kind)), 0);
    order_.resize(graph.size());
    std::iota(order_.begin(), order_.end(), 0u);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](TaskId a, TaskId b) { return criticality_.tail[a] > criticality_.tail[b]; });
  }

  ExactSchedule run() {
    branch(0, 0);
    if (!stopped_) best_.bound = best_.schedule.makespan;
    return std::move(best_);
  }

 private:
  bool done() const { return stopped_ || best_.schedule.makespan == best_.bound; }

  int64_t earliest(TaskId v) const {
    int64_t time = 0;
    for (TaskId p : graph_.predecessors(v)) time = std::max(time, end_[p]);
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      if (graph_[v].kinds >> kind & 1)
        time = std::max(time, *std::min_element(free_[kind].begin(), free_[kind].end()));
    }
    return time;
  }

  // What no completion of this node beats: chains behind the tasks that can start, and work on cores as they
  // fall free.
  int64_t node_bound(uint64_t placed) const {
    int64_t bound = 0;
    for (size_t v = 0; v < graph_.size(); ++v) {
      if (placed >> v & 1 || waits_[v] > 0) continue;
      bound = std::max(bound, earliest(static_cast<TaskId>(v)) + criticality_.tail[v]);
    }
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      if (left_[kind] == 0) continue;
      const auto cores = static_cast<int64_t>(free_[kind].size());
      int64_t all = std::accumulate(free_[kind].begin(), free_[kind].end(), left_[kind]);
      bound = std::max(bound, (all + cores - 1) / cores);
    }
    return bound;
  }

  // Whether an earlier node had placed the same tasks with no core, no needed result and no
  // end later.
  bool dominated(uint64_t placed, int64_t makespan) {
    std::vector<int64_t> state = {makespan};
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      std::vector<int64_t> free = free_[kind];
      std::sort(free.begin(), free.end());
      state.insert(state.end(), free.begin(), free.end());
    }
    for (size_t v = 0; v < graph_.size(); ++v) {
      if (!(placed >> v & 1)) continue;
      for (TaskId s : successors_.of(v)) {
        if (!(placed >> s & 1)) {
          state.push_back(end_[v]);
          break;
        }
      }
    }
    auto& seen = seen_[placed];
    for (const std::vector<int64_t>& other : seen) {
      if (std::equal(other.begin(), other.end(), state.begin(), [](int64_t a, int64_t b) { return a <= b; }))
        return true;
    }
    seen.push_back(std::move(state));
    return false;
  }

  void branch(uint64_t placed, int64_t makespan) {
    if (done()) return;
    if (++best_.nodes > most_nodes_) {
      stopped_ = true;
      return;
    }
    if (std::popcount(placed) == static_cast<int>(graph_.size())) {
      if (makespan < best_.schedule.makespan) {
        best_.schedule = current_;
        best_.schedule.makespan = makespan;
      }
      return;
    }
    if (std::max(makespan, node_bound(placed)) >= best_.schedule.makespan || dominated(placed, makespan))
      return;
    for (TaskId v : order_) {
      if (!(placed >> v & 1) && waits_[v] == 0) place(v, placed, makespan);
    }
  }

  void place(TaskId v, uint64_t placed, int64_t makespan) {
    std::array<size_t, kCoreKinds> core{};
    std::array<int64_t, kCoreKinds> before{};
    const int64_t start = earliest(v), end = start + graph_[v].duration;
    current_.ready[v] = 0;
    for (TaskId p : graph_.predecessors(v)) current_.ready[v] = std::max(current_.ready[v], end_[p]);
    current_.start[v] = start;
    end_[v] = end;
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      if (!(graph_[v].kinds >> kind & 1)) continue;
      core[kind] = latest_free(kind, start);
      before[kind] = free_[kind][core[kind]];
      free_[kind][core[kind]] = end;
      left_[kind] -= graph_[v].duration;
      current_.core[v][kind] = static_cast<int32_t>(core[kind]);
    }
    for (TaskId s : successors_.of(v)) --waits_[s];
    branch(placed | uint64_t{1} << v, std::max(makespan, end));
    for (TaskId s : successors_.of(v)) ++waits_[s];
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      if (!(graph_[v].kinds >> kind & 1)) continue;
      free_[kind][core[kind]] = before[kind];
      left_[kind] += graph_[v].duration;
    }
  }

  // Of the cores that are free by then the one that was last busy: the others keep their earlier time.
  size_t latest_free(size_t kind, int64_t start) const {
    size_t best = free_[kind].size();
    for (size_t core = 0; core < free_[kind].size(); ++core) {
      if (free_[kind][core] <= start && (best == free_[kind].size() || free_[kind][core] > free_[kind][best]))
        best = core;
    }
    return best;
  }

  const TaskGraph& graph_;
  TaskGraph::Successors successors_;
  Criticality criticality_;
  uint64_t most_nodes_;
  std::vector<uint32_t> waits_;
  std::vector<TaskId> order_;
  std::vector<int64_t> end_;
  std::array<std::vector<int64_t>, kCoreKinds> free_;
  std::array<int64_t, kCoreKinds> left_{};
  std::unordered_map<uint64_t, std::vector<std::vector<int64_t>>> seen_;
  CoreSchedule current_;
  ExactSchedule best_;
  bool stopped_ = false;
};

}  // namespace

ExactSchedule exact_schedule(const TaskGraph& graph, CoreCounts counts, uint64_t most_nodes) {
  if (graph.size() > kMostExactTasks) throw std::invalid_argument("too many tasks for an exact schedule");
  return Search(graph, counts, most_nodes).run();
}

}  // namespace orrery::schedule
