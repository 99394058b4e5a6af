#include "orrery/explore/schedule_program.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>

#include "orrery/explore/slot_program.h"
#include "orrery/schedule/cores/local_search.h"
#include "orrery/solve/linear_program.h"

namespace orrery::explore {
namespace {

using schedule::CoreCounts;
using schedule::CoreSchedule;
using schedule::kCoreKinds;
using schedule::TaskGraph;
using schedule::TaskId;

constexpr int64_t kLongest = 10000;
constexpr int64_t kMostSlots = 5000;
constexpr int kTries = 200;  // of the local search that gives the horizon

// before[u][v]: some path leads from u to v.
std::vector<std::vector<bool>> reachability(const TaskGraph& tasks) {
  std::vector<std::vector<bool>> before(tasks.size(), std::vector<bool>(tasks.size()));
  for (size_t v = 0; v < tasks.size(); ++v) {
    for (TaskId p : tasks.predecessors(v)) {
      before[p][v] = true;
      for (size_t u = 0; u < v; ++u) {
        if (before[u][p]) before[u][v] = true;
      }
    }
  }
  return before;
}

class Program {
 public:
  // `horizon`: every task ends by then.
  Program(const TaskGraph& tasks, CoreCounts counts, int64_t horizon)
      : tasks_(tasks), counts_(counts), path_(schedule::criticality(tasks)), horizon_(horizon) {
    makespan_ = program_.add_column(static_cast<double>(schedule::threshold_bound(tasks, path_, counts)),
                                    static_cast<double>(horizon), 1, true);
    add_tasks();
    add_loads();
    add_pairs();
  }

  // Only cores that exist are used: core c before core c+1, and their cost within the budget.
  void choose_cores(const CoreCosts& costs) {
    std::vector<solve::Term> total;
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      int before = -1;
      for (int c = 0; c < counts_.of(kind); ++c) {
        const int exists = program_.add_column(c == 0 ? 1 : 0, 1, 0, true);
        exists_[kind].push_back(exists);
        total.push_back({exists, kind == 0 ? costs.matrix : costs.vector});
        if (before >= 0) program_.add_row(0, solve::kUnbounded, {{before, 1}, {exists, -1}});
        before = exists;
        for (size_t v = 0; v < tasks_.size(); ++v) {
          const auto& used = core_[v][kind];
          if (static_cast<size_t>(c) < used.size() && counts_.of(kind) > 1)
            program_.add_row(0, solve::kUnbounded, {{exists, 1}, {used[static_cast<size_t>(c)], -1}});
        }
      }
    }
    program_.add_row(-solve::kUnbounded, costs.budget, std::move(total));
  }

  // Starts of the tasks; none where no schedule ends by the horizon, or none was found in time.
  std::optional<std::vector<int64_t>> solve(Seconds limit, double& bound) {
    solve::IntegerOptions options;
    options.limit = limit;
    const solve::LinearSolution solution = solve::solve_integer(program_, options);
    bound = solution.bound;
    if (solution.value.empty()) return std::nullopt;
    std::vector<int64_t> starts;
    for (int column : start_) starts.push_back(std::llround(solution.value[static_cast<size_t>(column)]));
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      int count = 0;
      for (int column : exists_[kind]) count += solution.value[static_cast<size_t>(column)] > 0.5;
      (kind == 0 ? chosen_.matrix : chosen_.vector) = count;
    }
    return starts;
  }
  CoreCounts chosen() const { return chosen_; }

 private:
  double length(size_t v) const { return static_cast<double>(tasks_[v].duration); }
  int64_t latest_start(size_t v) const { return horizon_ - path_.tail[v]; }
  int64_t latest_end(size_t v) const { return latest_start(v) + tasks_[v].duration; }
  bool alone(size_t kind) const { return counts_.of(kind) == 1; }

  void add_tasks() {
    std::array<int, kCoreKinds> seen{};
    core_.resize(tasks_.size());
    for (size_t v = 0; v < tasks_.size(); ++v) {
      start_.push_back(program_.add_column(static_cast<double>(path_.asap[v]),
                                           static_cast<double>(latest_start(v)), 0, true));
      program_.add_row(static_cast<double>(path_.tail[v]), solve::kUnbounded,
                       {{makespan_, 1}, {start_[v], -1}});
      for (TaskId p : tasks_.predecessors(v))
        program_.add_row(length(p), solve::kUnbounded, {{start_[v], 1}, {start_[p], -1}});
      for (size_t kind = 0; kind < kCoreKinds; ++kind) {
        if (!(tasks_[v].kinds >> kind & 1) || alone(kind)) continue;
        const int cores = std::min(counts_.of(kind), ++seen[kind]);  // cores of a kind are alike
        std::vector<solve::Term> one;
        for (int c = 0; c < cores; ++c) {
          core_[v][kind].push_back(program_.add_column(0, 1, 0, true));
          one.push_back({core_[v][kind].back(), 1});
        }
        program_.add_row(1, 1, std::move(one));
      }
    }
  }

  // The work on one core lies between the first start and the least tail of its kind.
  void add_loads() {
    for (size_t kind = 0; kind < kCoreKinds; ++kind) {
      int64_t first = horizon_, behind = horizon_;
      for (size_t v = 0; v < tasks_.size(); ++v) {
        if (!(tasks_[v].kinds >> kind & 1)) continue;
        first = std::min(first, path_.asap[v]);
        behind = std::min(behind, path_.tail[v] - tasks_[v].duration);
      }
      const auto outside = static_cast<double>(first + behind);
      for (int c = 0; !alone(kind) && c < counts_.of(kind); ++c) {
        std::vector<solve::Term> load = {{makespan_, 1}};
        for (size_t v = 0; v < tasks_.size(); ++v) {
          if (static_cast<size_t>(c) < core_[v][kind].size())
            load.push_back({core_[v][kind][static_cast<size_t>(c)], -length(v)});
        }
        program_.add_row(outside, solve::kUnbounded, std::move(load));
      }
    }
  }

  // A binary for "u ends before v starts"; -1 where the windows forbid it.
  int add_order(size_t u, size_t v) {
    if (path_.asap[u] + tasks_[u].duration > latest_start(v)) return -1;
    const int order = program_.add_column(0, 1, 0, true);
    const auto apart = static_cast<double>(std::max<int64_t>(0, latest_end(u) - path_.asap[v]));
    program_.add_row(length(u) - apart, solve::kUnbounded,
                     {{start_[v], 1}, {start_[u], -1}, {order, -apart}});
    return order;
  }

  void add_pairs() {
    const auto before = reachability(tasks_);
    for (size_t u = 0; u < tasks_.size(); ++u) {
      for (size_t v = u + 1; v < tasks_.size(); ++v) {
        const uint8_t shared = tasks_[u].kinds & tasks_[v].kinds;
        if (shared == 0 || before[u][v] || tasks_[u].duration == 0 || tasks_[v].duration == 0) continue;
        // The windows from earliest start to latest end do not meet: no order to choose.
        if (latest_end(u) <= path_.asap[v] || latest_end(v) <= path_.asap[u]) continue;
        std::vector<solve::Term> ordered;
        for (int order : {add_order(u, v), add_order(v, u)}) {
          if (order >= 0) ordered.push_back({order, 1});
        }
        if (ordered.size() == 2) program_.add_row(-solve::kUnbounded, 1, ordered);
        for (size_t kind = 0; kind < kCoreKinds; ++kind) {
          if (!(shared >> kind & 1)) continue;
          if (alone(kind)) {
            program_.add_row(1, solve::kUnbounded, ordered);
            continue;
          }
          const size_t cores = std::min(core_[u][kind].size(), core_[v][kind].size());
          for (size_t c = 0; c < cores; ++c) {
            std::vector<solve::Term> row = ordered;
            row.push_back({core_[u][kind][c], -1});
            row.push_back({core_[v][kind][c], -1});
            program_.add_row(-1, solve::kUnbounded, std::move(row));
          }
        }
      }
    }
  }

  const TaskGraph& tasks_;
  CoreCounts counts_, chosen_;
  schedule::Criticality path_;
  int64_t horizon_;
  solve::LinearProgram program_;
  int makespan_ = 0;
  std::vector<int> start_;
  std::vector<std::array<std::vector<int>, kCoreKinds>> core_;
  std::array<std::vector<int>, kCoreKinds> exists_;
};

// Tasks in the order of `starts`, each as soon as its predecessors and the first free cores allow.
CoreSchedule laid_out(const TaskGraph& tasks, CoreCounts counts, const std::vector<int64_t>& starts) {
  std::vector<TaskId> order(tasks.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](TaskId a, TaskId b) { return starts[a] < starts[b]; });
  return schedule::lay_out(tasks, counts, order);
}

// Durations divided by `unit`, rounded up.
TaskGraph scaled(const TaskGraph& tasks, int64_t unit) {
  TaskGraph copy = tasks;
  std::vector<int64_t> durations;
  for (size_t v = 0; v < tasks.size(); ++v) durations.push_back((tasks[v].duration + unit - 1) / unit);
  copy.set_durations(durations);
  return copy;
}

int64_t unit_of(const TaskGraph& tasks) {
  int64_t longest = 1;
  for (size_t v = 0; v < tasks.size(); ++v) longest = std::max(longest, tasks[v].duration);
  return (longest + kLongest - 1) / kLongest;
}

// Starts of a schedule shorter than `known`, or none. Cores that are alike make the program of orders slow,
// since every schedule then has many names: slots go first there, and orders where those come to no end.
std::optional<std::vector<int64_t>> solve_below(const TaskGraph& tasks, CoreCounts counts, int64_t known,
                                                Seconds limit, double& bound) {
  constexpr double kShareOfSlots = 1.0 / 6;
  const Seconds for_slots = std::min(limit * kShareOfSlots, Seconds(10));
  std::optional<std::vector<int64_t>> starts;
  bound = 0;
  if ((counts.matrix > 1 || counts.vector > 1) && slots_of(tasks, known - 1) <= kMostSlots) {
    starts = solve_by_slots(tasks, counts, known - 1, for_slots, bound);
    if (starts) known = laid_out(tasks, counts, *starts).makespan;
    if (bound > static_cast<double>(known - 1) + 1e-6) return starts;
    limit = limit - for_slots;
  }
  double by_orders = 0;
  if (auto shorter = Program(tasks, counts, known - 1).solve(limit, by_orders)) {
    starts = std::move(shorter);
  } else {
    by_orders = std::min(by_orders, static_cast<double>(known));
  }
  bound = std::max(bound, by_orders);
  return starts;
}

}  // namespace

ScheduleProgram solve_schedule(const TaskGraph& tasks, CoreCounts counts, Seconds limit) {
  const int64_t unit = unit_of(tasks);
  const TaskGraph whole = scaled(tasks, unit);
  const int64_t known = schedule::improved_schedule(whole, counts, kTries, Seed{1}).makespan;
  ScheduleProgram result;
  result.schedule = schedule::improved_schedule(tasks, counts, kTries, Seed{1});
  result.bound = schedule::threshold_bound(tasks, schedule::criticality(tasks), counts);
  if (result.proven()) return result;
  // Only what is shorter than a known schedule is looked for: where there is none, that one is the optimum.
  double bound = static_cast<double>(known);
  std::optional<std::vector<int64_t>> starts;
  if (schedule::threshold_bound(whole, schedule::criticality(whole), counts) < known)
    starts = solve_below(whole, counts, known, limit, bound);
  if (starts) {
    CoreSchedule found = laid_out(tasks, counts, *starts);
    if (found.makespan < result.schedule.makespan) result.schedule = std::move(found);
  }
  // Rounded up, a path of at most n tasks grew by less than n units: only an unscaled bound is a proof.
  if (unit == 1)
    result.bound = std::max(
        result.bound, static_cast<int64_t>(std::ceil(std::min(bound, static_cast<double>(known)) - 1e-6)));
  return result;
}

ScheduleProgram solve_counts(const TaskGraph& tasks, CoreCounts most, const CoreCosts& costs, Seconds limit) {
  const int64_t unit = unit_of(tasks);
  const TaskGraph whole = scaled(tasks, unit);
  // One core of each kind gives a horizon that every larger choice keeps to.
  const CoreSchedule greedy = schedule::ListScheduler(whole).schedule({1, 1});
  Program program(whole, most, greedy.makespan);
  program.choose_cores(costs);
  double bound = 0;
  const std::optional<std::vector<int64_t>> starts = program.solve(limit, bound);
  ScheduleProgram result;
  result.schedule = schedule::ListScheduler(tasks).schedule({1, 1});
  result.bound = schedule::criticality(tasks).critical_path;
  if (unit == 1) result.bound = std::max(result.bound, static_cast<int64_t>(std::ceil(bound - 1e-6)));
  if (starts) {
    CoreSchedule found = laid_out(tasks, program.chosen(), *starts);
    if (found.makespan < result.schedule.makespan) result.schedule = std::move(found);
  }
  return result;
}

}  // namespace orrery::explore
