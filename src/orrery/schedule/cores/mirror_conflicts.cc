#include "orrery/schedule/cores/mirror_conflicts.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace orrery::schedule {
namespace {

using Tabu = std::array<bool, kCoreKinds>;

CoreCounts plus(CoreCounts counts, size_t kind) {
  ++(kind == 0 ? counts.matrix : counts.vector);
  return counts;
}

// The kind that the first critical conflict waits for and that is not tabu; kCoreKinds where there is none.
size_t wanted_kind(ListScheduler& scheduler, const CoreSchedule& s, const Tabu& tabu) {
  const TaskGraph& graph = scheduler.graph();
  const Criticality& c = scheduler.criticality();
  size_t kind = kCoreKinds;
  std::tuple<bool, int64_t, size_t> first{true, INT64_MAX, SIZE_MAX};
  for (size_t v = 0; v < graph.size(); ++v) {
    if (s.start[v] <= s.ready[v] || s.start[v] <= c.alap(v)) continue;
    bool backward = graph[v].mirror != graph::kNone;
    std::tuple<bool, int64_t, size_t> place{backward, s.start[backward ? graph[v].mirror : v], v};
    if (place >= first) continue;
    for (size_t k = 0; k < kCoreKinds; ++k) {
      if (!(graph[v].kinds >> k & 1) || tabu[k]) continue;
      first = place;
      kind = k;
      break;
    }
  }
  return kind;
}

}  // namespace

ConflictResolution resolve_mirror_conflicts(ListScheduler& scheduler,
                                            const std::function<bool(CoreCounts)>& affordable,
                                            const WorthOfCounts& worth, double least_gain) {
  auto worth_of = [&](CoreCounts counts, int64_t makespan) {
    return worth ? worth(counts, makespan) : 1 / static_cast<double>(makespan);
  };
  const double ideal = static_cast<double>(scheduler.critical_path()) * (1 + least_gain);
  ConflictResolution result;
  CoreSchedule current = scheduler.schedule({});
  result.kept.push_back({current.counts, current.makespan});
  result.tried = result.kept;
  Tabu tabu{};
  bool together = false;  // both kinds were tried at once since the last gain
  while (static_cast<double>(current.makespan) > ideal) {
    size_t kind = wanted_kind(scheduler, current, tabu);
    CoreCounts next = current.counts;
    if (kind < kCoreKinds) {
      next = plus(next, kind);
    } else if (tabu[0] && tabu[1] && !together) {  // conflicts can hide each other
      together = true;
      next = plus(plus(next, 0), 1);
    } else {
      break;
    }
    bool gained = false;
    const double least_worth = worth_of(current.counts, current.makespan) * (1 + least_gain);
    const int64_t bound = makespan_bound(scheduler.graph(), scheduler.criticality(), next);
    if (affordable(next) && worth_of(next, bound) > least_worth) {
      CoreSchedule tried = scheduler.schedule(next);
      result.tried.push_back({tried.counts, tried.makespan});
      gained = worth_of(tried.counts, tried.makespan) > least_worth;
      if (gained) current = std::move(tried);
    }
    if (gained) {
      result.kept.push_back({current.counts, current.makespan});
      tabu = {};
      together = false;
    } else if (kind < kCoreKinds) {
      tabu[kind] = true;
    }
  }
  return result;
}

}  // namespace orrery::schedule
