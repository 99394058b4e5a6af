#include "orrery/schedule/cores/criticality.h"

#include <algorithm>

namespace orrery::schedule {
namespace {

int64_t shares(int64_t work, int cores) {
  return (work + cores - 1) / cores;
}

// At most `most` of the distinct values, the smallest among them, ascending.
std::vector<int64_t> sample(std::vector<int64_t> values, size_t most) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  if (values.size() <= most) return values;
  std::vector<int64_t> chosen;
  for (size_t i = 0; i < most; ++i) chosen.push_back(values[i * values.size() / most]);
  return chosen;
}

size_t last_not_above(const std::vector<int64_t>& thresholds, int64_t value) {
  return static_cast<size_t>(std::upper_bound(thresholds.begin(), thresholds.end(), value) -
                             thresholds.begin()) -
         1;
}

int64_t threshold_bound_of(size_t kind, const TaskGraph& graph, const Criticality& c, int cores,
                           size_t most) {
  std::vector<int64_t> starts, ends;
  for (size_t v = 0; v < graph.size(); ++v) {
    if (!(graph[v].kinds >> kind & 1)) continue;
    starts.push_back(c.asap[v]);
    ends.push_back(c.tail[v] - graph[v].duration);
  }
  if (starts.empty()) return 0;
  starts = sample(std::move(starts), most);
  ends = sample(std::move(ends), most);
  // work[i][j]: of tasks whose start lies at or above threshold i and end at or above j, by suffix sums.
  std::vector<int64_t> work(starts.size() * ends.size());
  for (size_t v = 0; v < graph.size(); ++v) {
    if (!(graph[v].kinds >> kind & 1)) continue;
    work[last_not_above(starts, c.asap[v]) * ends.size() +
         last_not_above(ends, c.tail[v] - graph[v].duration)] += graph[v].duration;
  }
  int64_t bound = 0;
  for (size_t i = starts.size(); i-- > 0;) {
    int64_t row = 0;
    for (size_t j = ends.size(); j-- > 0;) {
      row += work[i * ends.size() + j];
      int64_t all = row + (i + 1 < starts.size() ? work[(i + 1) * ends.size() + j] : 0);
      work[i * ends.size() + j] = all;
      if (all > 0) bound = std::max(bound, starts[i] + shares(all, cores) + ends[j]);
    }
  }
  return bound;
}

}  // namespace

int64_t fill_tails(const TaskGraph& graph, std::vector<int64_t>& tail) {
  tail.assign(graph.size(), 0);
  int64_t longest = 0;
  for (size_t v = graph.size(); v-- > 0;) {
    tail[v] += graph[v].duration;  // until here the longest tail behind it
    longest = std::max(longest, tail[v]);
    for (TaskId p : graph.predecessors(v)) tail[p] = std::max(tail[p], tail[v]);
  }
  return longest;
}

void fill_earliest_starts(const TaskGraph& graph, std::vector<int64_t>& asap) {
  asap.assign(graph.size(), 0);
  for (size_t v = 0; v < graph.size(); ++v) {
    for (TaskId p : graph.predecessors(v)) asap[v] = std::max(asap[v], asap[p] + graph[p].duration);
  }
}

Criticality criticality(const TaskGraph& graph) {
  Criticality c;
  c.critical_path = fill_tails(graph, c.tail);
  fill_earliest_starts(graph, c.asap);
  return c;
}

int64_t makespan_bound(const TaskGraph& graph, const Criticality& c, CoreCounts counts) {
  int64_t bound = c.critical_path;
  const auto work = graph.work();
  for (size_t kind = 0; kind < kCoreKinds; ++kind)
    bound = std::max(bound, shares(work[kind], counts.of(kind)));
  return bound;
}

int64_t threshold_bound(const TaskGraph& graph, const Criticality& c, CoreCounts counts, size_t thresholds) {
  int64_t bound = makespan_bound(graph, c, counts);
  for (size_t kind = 0; kind < kCoreKinds; ++kind)
    bound = std::max(bound, threshold_bound_of(kind, graph, c, counts.of(kind), thresholds));
  return bound;
}

}  // namespace orrery::schedule
