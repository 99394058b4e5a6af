// WHAM's local search as its paper describes it: sizes of cores from large to small, matrix cores first and
// vector cores within, a branch given up after `hysteresis` levels without gain; counts of cores by mirror
// conflict resolution, or exactly. The released code lacks this part: it is our reading of it.
#include <algorithm>
#include <deque>
#include <limits>
#include <set>

#include "orrery/explore/search_state.h"
#include "orrery/schedule/cores/mirror_conflicts.h"

namespace orrery::explore {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();
constexpr double kLeastGain = 1.0005;

// The best score of a tree of nodes, where branches end after `hysteresis` levels without gain on their path.
// score(node, floor) may answer floor for a node that is worth no more.
template <class Node, class Children, class Score>
double best_of_tree(const Node& root, int hysteresis, Children children, Score score) {
  struct Entry {
    Node node;
    int bad;
    double path_best;
  };
  std::deque<Entry> queue = {{root, 0, kNone}};
  std::set<Node> seen;
  double best = kNone;
  while (!queue.empty()) {
    const Entry entry = queue.front();
    queue.pop_front();
    if (!seen.insert(entry.node).second) continue;
    const double value = score(entry.node, entry.path_best);
    best = std::max(best, value);
    int bad = entry.bad;
    if (value != kNone) bad = entry.path_best == kNone || value > entry.path_best * kLeastGain ? 0 : bad + 1;
    if (bad > hysteresis) continue;
    for (const Node& child : children(entry.node))
      queue.push_back({child, bad, std::max(entry.path_best, value)});
  }
  return best;
}

class Pruner {
 public:
  explicit Pruner(SearchState& state)
      : state_(state), space_(state.study().space), evaluator_(state.evaluator()) {}

  void run() {
    for (int64_t buffer : space_.global_buffers) {
      point_.global_buffer = buffer;
      using Array = std::pair<size_t, size_t>;  // places in columns and rows
      best_of_tree(
          Array{space_.columns.size() - 1, space_.rows.size() - 1}, state_.options().hysteresis,
          [](const Array& a) {
            std::vector<Array> smaller;
            if (a.first > 0) smaller.push_back({a.first - 1, a.second});
            if (a.second > 0) smaller.push_back({a.first, a.second - 1});
            return smaller;
          },
          [&](const Array& a, double) {
            return best_of_lanes(space_.columns[a.first], space_.rows[a.second]);
          });
    }
  }

 private:
  double best_of_lanes(int columns, int rows) {
    point_.columns = columns;
    point_.rows = rows;
    if (space_.lanes_equal_columns) return best_of_counts(columns, kNone);
    return best_of_tree(
        space_.lanes.size() - 1, state_.options().hysteresis,
        [](size_t i) { return i > 0 ? std::vector<size_t>{i - 1} : std::vector<size_t>{}; },
        [&](size_t i, double floor) { return best_of_counts(space_.lanes[i], floor); });
  }

  double best_of_counts(int lanes, double floor) {
    point_.lanes = lanes;
    point_.matrix_cores = space_.matrix_cores.front();
    point_.vector_cores = space_.vector_cores.front();
    if (state_.must_end() || !evaluator_.affordable(point_)) return kNone;
    return state_.options().counts_by_conflicts ? by_conflicts() : exactly(floor);
  }

  double by_conflicts() {
    double best = kNone;
    auto allowed = [&](schedule::CoreCounts counts) {
      return counts.matrix <= space_.matrix_cores.back() && counts.vector <= space_.vector_cores.back() &&
             evaluator_.affordable(with(counts));
    };
    const bool one = state_.study().workloads.size() == 1;
    const double second = 1 / state_.study().base.accelerator()->clock.value();
    for (size_t w = 0; w < state_.study().workloads.size(); ++w) {
      auto worth = [&](schedule::CoreCounts counts, int64_t makespan) {
        return worth_alone(with(counts), w, static_cast<double>(makespan) * second);
      };
      schedule::ListScheduler& greedy = evaluator_.scheduler(with({1, 1}), w);
      const schedule::ConflictResolution found = schedule::resolve_mirror_conflicts(greedy, allowed, worth);
      const auto schedules = static_cast<uint64_t>(found.schedules());
      SearchWork work;
      work.evaluations = one ? schedules : 0;
      work.schedules = schedules;
      evaluator_.add_work(work);
      for (const schedule::CoreStep& step : found.tried) {
        const DesignPoint design = with(step.counts);
        // With one workload its makespan is all that is asked of the design.
        if (one) state_.note(design, evaluator_.score(design, {static_cast<double>(step.makespan) * second}));
        best = std::max(best, value(state_.record(design)));
      }
    }
    return best;
  }

  // The objective of one workload, whatever the others do.
  double worth_alone(const DesignPoint& design, size_t w, double seconds) {
    switch (state_.study().objective) {
      case AcceleratorObjective::PerformancePerTdp:
        return 1 / (seconds * evaluator_.prices().price(design).tdp);
      case AcceleratorObjective::EnergyDelay:
        return 1 / (seconds * evaluator_.energy(design, w, seconds));
      case AcceleratorObjective::Throughput:
        break;
    }
    return 1 / seconds;
  }

  // Counts by falling bound until none left could be better.
  double exactly(double floor) {
    std::vector<std::pair<double, DesignPoint>> open;
    for (int matrix : space_.matrix_cores) {
      for (int vector : space_.vector_cores) {
        const DesignPoint design = with({matrix, vector});
        if (evaluator_.affordable(design)) open.push_back({evaluator_.critical_path_bound(design), design});
      }
    }
    std::stable_sort(open.begin(), open.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    double best = floor;
    for (const auto& [bound, design] : open) {
      if (bound <= best) break;
      best = std::max(best, value(state_.record(design)));
    }
    return best;
  }

  static double value(const DesignRecord& record) {
    return record.meets_throughput ? record.objective : kNone;
  }
  DesignPoint with(schedule::CoreCounts counts) const {
    DesignPoint design = point_;
    design.matrix_cores = counts.matrix;
    design.vector_cores = counts.vector;
    return design;
  }

  SearchState& state_;
  const AcceleratorSpace& space_;
  DesignEvaluator& evaluator_;
  DesignPoint point_;
};

}  // namespace

SearchEnd search_by_pruning(SearchState& state) {
  Pruner(state).run();
  if (!state.found() && !state.ended()) return {solve::Stop::Infeasible, {}, {}};
  return {state.ended().value_or(solve::Stop::WorkLimit), {}, {}};
}

}  // namespace orrery::explore
