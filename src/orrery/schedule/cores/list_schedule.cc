#include "orrery/schedule/cores/list_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>
#include <stdexcept>

namespace orrery::schedule {
namespace {

// A set of small numbers whose least is found by a few words: a bit a number, and above every 64 words a
// summary.
class RankSet {
 public:
  explicit RankSet(size_t most) {
    do {
      most = (most + 63) / 64;
      levels_.emplace_back(std::max<size_t>(most, 1));
    } while (most > 1);
  }
  bool empty() const { return levels_.back()[0] == 0; }
  void insert(uint32_t rank) {
    for (auto& level : levels_) {
      level[rank / 64] |= uint64_t{1} << rank % 64;
      rank /= 64;
    }
  }
  uint32_t first() const {
    uint32_t rank = 0;
    for (size_t i = levels_.size(); i-- > 0;)
      rank = rank * 64 + static_cast<uint32_t>(std::countr_zero(levels_[i][rank]));
    return rank;
  }
  void erase(uint32_t rank) {
    for (auto& level : levels_) {
      level[rank / 64] &= ~(uint64_t{1} << rank % 64);
      if (level[rank / 64] != 0) return;
      rank /= 64;
    }
  }

 private:
  std::vector<std::vector<uint64_t>> levels_;
};

struct Running {
  int64_t end;
  TaskId task;
  bool operator>(const Running& other) const {
    return end != other.end ? end > other.end : task > other.task;
  }
};

void check(CoreCounts counts) {
  if (counts.matrix < 1 || counts.vector < 1)
    throw std::invalid_argument("a schedule needs a core of each kind");
}

}  // namespace

// What a run needs and leaves empty behind it.
struct ListScheduler::Workspace {
  explicit Workspace(size_t tasks)
      : waits(tasks), passed(tasks), queue{RankSet(tasks), RankSet(tasks), RankSet(tasks), RankSet(tasks)} {}
  std::vector<uint32_t> waits;
  std::vector<uint8_t>
      passed;  // by rank: how often others passed this task while it was the most urgent pair
  std::array<RankSet, 4> queue;  // by mask of kinds
  std::vector<Running> running;  // a heap, first to end on top
  std::array<int, kCoreKinds> free{};
};

namespace {

// One run of the greedy schedule. Record writes down when and where each task runs.
template <class Workspace, bool Record>
class Run {
 public:
  Run(const TaskGraph& graph, const TaskGraph::Successors& successors, const std::vector<TaskId>& by_rank,
      const std::vector<uint32_t>& rank, Workspace& space, CoreCounts counts)
      : graph_(graph), successors_(successors), by_rank_(by_rank), rank_(rank), space_(space) {
    std::fill(space_.passed.begin(), space_.passed.end(), uint8_t{0});
    for (size_t kind = 0; kind < kCoreKinds; ++kind) space_.free[kind] = counts.of(kind);
    if constexpr (!Record) return;
    result_.counts = counts;
    result_.ready.assign(graph.size(), 0);
    result_.start.assign(graph.size(), 0);
    result_.core.assign(graph.size(), {kNoCore, kNoCore});
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      cores_[kind].resize(static_cast<size_t>(counts.of(kind)));
      std::iota(cores_[kind].begin(), cores_[kind].end(), 0);
    }
  }

  CoreSchedule run() {
    for (size_t v = 0; v < graph_.size(); ++v) {
      if (space_.waits[v] == 0) make_ready(static_cast<TaskId>(v));
    }
    settle();
    dispatch();
    while (!space_.running.empty()) {
      now_ = space_.running.front().end;
      settle();
      dispatch();
    }
    return std::move(result_);
  }

 private:
  // Ends all that ends now, and what that releases and takes no time.
  void settle() {
    auto& running = space_.running;
    while (!running.empty() && running.front().end == now_) {
      TaskId done = running.front().task;
      std::pop_heap(running.begin(), running.end(), std::greater<>());
      running.pop_back();
      finish(done);
    }
  }

  void make_ready(TaskId v) {
    if constexpr (Record) result_.ready[v] = now_;
    if (graph_[v].kinds == 0) return start(v);
    space_.queue[graph_[v].kinds].insert(rank_[v]);
  }

  void start(TaskId v) {
    const CoreTask& task = graph_[v];
    for (size_t kind = 0; kind < kCoreKinds; ++kind) space_.free[kind] -= task.kinds >> kind & 1;
    if constexpr (Record) {
      result_.start[v] = now_;
      for (size_t kind = 0; kind < kCoreKinds; ++kind) {
        if (!(task.kinds >> kind & 1)) continue;
        std::pop_heap(cores_[kind].begin(), cores_[kind].end(), std::greater<>());
        result_.core[v][kind] = cores_[kind].back();
        cores_[kind].pop_back();
      }
    }
    space_.running.push_back({now_ + task.duration, v});
    std::push_heap(space_.running.begin(), space_.running.end(), std::greater<>());
  }

  void finish(TaskId v) {
    result_.makespan = now_;
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      if (!(graph_[v].kinds >> kind & 1)) continue;
      ++space_.free[kind];
      if constexpr (Record) {
        cores_[kind].push_back(result_.core[v][kind]);
        std::push_heap(cores_[kind].begin(), cores_[kind].end(), std::greater<>());
      }
    }
    for (TaskId s : successors_.of(v)) {
      if (--space_.waits[s] == 0) make_ready(s);
    }
  }

  // Starts the most urgent task whose cores are free, as long as there is one.
  void dispatch() {
    constexpr size_t kBoth = kMatrixCore | kVectorCore;
    auto& queue = space_.queue;
    while (true) {
      const bool matrix = space_.free[0] > 0, vector = space_.free[1] > 0;
      const std::array<bool, 4> fits = {false, matrix, vector, matrix && vector};
      size_t chosen = 0;
      uint32_t least = UINT32_MAX;
      for (size_t kinds = 1; kinds <= kBoth; ++kinds) {
        if (!fits[kinds] || queue[kinds].empty()) continue;
        uint32_t rank = queue[kinds].first();
        if (rank < least) least = rank, chosen = kinds;
      }
      if (chosen == 0) return;
      if (chosen != kBoth && !queue[kBoth].empty()) {
        uint32_t pair = queue[kBoth].first();
        if (pair < least) {
          if (space_.passed[pair] >= kMostPasses) return;
          ++space_.passed[pair];
        }
      }
      queue[chosen].erase(least);
      start(by_rank_[least]);
    }
  }

  const TaskGraph& graph_;
  const TaskGraph::Successors& successors_;
  const std::vector<TaskId>& by_rank_;
  const std::vector<uint32_t>& rank_;
  Workspace& space_;
  std::array<std::vector<int>, kCoreKinds> cores_;  // heaps, lowest number first
  int64_t now_ = 0;
  CoreSchedule result_;
};

}  // namespace

ListScheduler::ListScheduler(const TaskGraph& graph)
    : graph_(graph), successors_(graph.successors()), workspace_(std::make_unique<Workspace>(graph.size())) {
  waits_.resize(graph.size());
  rank_.resize(graph.size());
  by_rank_.resize(graph.size());
  for (size_t v = 0; v < graph.size(); ++v) waits_[v] = static_cast<uint32_t>(graph.predecessors(v).size());
  reprice();
}

ListScheduler::~ListScheduler() = default;

void ListScheduler::reprice() {
  criticality_.critical_path = fill_tails(graph_, criticality_.tail);
  starts_known_ = ranks_known_ = false;
}

const Criticality& ListScheduler::criticality() {
  if (!starts_known_) fill_earliest_starts(graph_, criticality_.asap);
  starts_known_ = true;
  return criticality_;
}

void ListScheduler::order_by_rank() {
  if (ranks_known_) return;
  // ALAP is T∞ − tail: the least ALAP is the largest tail, and what is left of ties is the id.
  std::iota(by_rank_.begin(), by_rank_.end(), 0u);
  const std::vector<int64_t>& tail = criticality_.tail;
  std::sort(by_rank_.begin(), by_rank_.end(),
            [&](TaskId a, TaskId b) { return tail[a] != tail[b] ? tail[a] > tail[b] : a < b; });
  for (size_t i = 0; i < by_rank_.size(); ++i) rank_[by_rank_[i]] = static_cast<uint32_t>(i);
  ranks_known_ = true;
}

template <bool Record>
CoreSchedule ListScheduler::run(CoreCounts counts) {
  check(counts);
  order_by_rank();
  workspace_->waits = waits_;
  return Run<Workspace, Record>(graph_, successors_, by_rank_, rank_, *workspace_, counts).run();
}

CoreSchedule ListScheduler::schedule(CoreCounts counts) {
  return run<true>(counts);
}

int64_t ListScheduler::makespan(CoreCounts counts) {
  return run<false>(counts).makespan;
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
