// Earliest and latest starts without a limit of cores, and what they bound.
//
//   ASAP_v = max over predecessors p of ASAP_p + l_p       tail_v = l_v + max over successors s of tail_s
//   T∞ = max(ASAP_v + l_v)        ALAP_v = T∞ − tail_v     slack_v = ALAP_v − ASAP_v ≥ 0, 0 on the critical
//   path
// Every sink ends the graph. One sweep each way: O(tasks + edges). T∞ bounds every schedule on any number of
// cores.
#pragma once

#include <cstdint>
#include <vector>

#include "orrery/schedule/cores/task_graph.h"

namespace orrery::schedule {

struct CoreCounts {
  int matrix = 1, vector = 1;
  int of(size_t kind) const { return kind == 0 ? matrix : vector; }
  bool operator==(const CoreCounts&) const = default;
};

struct Criticality {
  std::vector<int64_t> asap, tail;
  int64_t critical_path = 0;  // T∞
  int64_t alap(size_t task) const { return critical_path - tail[task]; }
  int64_t slack(size_t task) const { return alap(task) - asap[task]; }
};

Criticality criticality(const TaskGraph&);
// The same in parts, into vectors that are kept: tails alone give T∞, which is returned.
int64_t fill_tails(const TaskGraph&, std::vector<int64_t>& tail);
void fill_earliest_starts(const TaskGraph&, std::vector<int64_t>& asap);

// max(T∞, Σ l_k / n_k): no schedule on these cores is shorter.
int64_t makespan_bound(const TaskGraph&, const Criticality&, CoreCounts);

// The stronger form: for thresholds a and b, the tasks of a kind that cannot start before a and have b behind
// them need Σ l / n_k between the two: a + ⌈Σ l / n_k⌉ + b. Over at most `thresholds` values of each, so
// O(tasks·thresholds + thresholds²) a kind; never below makespan_bound.
int64_t threshold_bound(const TaskGraph&, const Criticality&, CoreCounts, size_t thresholds = 64);

}  // namespace orrery::schedule
