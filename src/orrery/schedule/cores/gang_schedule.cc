#include "orrery/schedule/cores/gang_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <queue>
#include <stdexcept>

namespace orrery::schedule {
namespace {

bool needs(const TaskGraph& graph, size_t v, size_t kind) {
  return graph[v].kinds >> kind & 1;
}

class Planner {
 public:
  Planner(const TaskGraph& graph, const GangModes& modes, CoreCounts counts)
      : given_(graph), graph_(graph), modes_(modes), counts_(counts), mode_(graph.size()) {
    if (modes.durations.size() != graph.size() || modes.widths.empty() || modes.widths.front() != 1)
      throw std::invalid_argument("not one list of durations a task, or no width of one core");
    for (const auto& durations : modes.durations) {
      if (durations.empty() || durations.size() > modes.widths.size())
        throw std::invalid_argument("a task without durations, or with more than widths");
      durations_.push_back(durations.front());
    }
  }

  GangSchedule run() {
    graph_.set_durations(durations_);
    GangSchedule single = list();
    while (widen()) graph_.set_durations(durations_);
    GangSchedule gangs = list();
    return gangs.makespan < single.makespan ? gangs : single;
  }

 private:
  int width(size_t v) const { return modes_.widths[mode_[v]]; }

  // Raises the width of one critical task; false where that cannot shorten the schedule any more.
  bool widen() {
    const Criticality path = criticality(graph_);
    double work = 0;
    for (size_t v = 0; v < graph_.size(); ++v) {
      if (needs(given_, v, 0)) work += static_cast<double>(durations_[v]) * width(v);
    }
    if (static_cast<double>(path.critical_path) <= work / counts_.matrix) return false;
    // A task beside another critical one shortens nothing by itself: such are widened last.
    const size_t alone = best_to_widen(path, stands_alone(path));
    const size_t chosen =
        alone < graph_.size() ? alone : best_to_widen(path, std::vector<bool>(graph_.size(), true));
    if (chosen == graph_.size()) return false;
    durations_[chosen] = modes_.durations[chosen][++mode_[chosen]];
    return true;
  }

  // Critical tasks during whose earliest run no other critical task runs.
  std::vector<bool> stands_alone(const Criticality& path) const {
    std::vector<size_t> critical;
    for (size_t v = 0; v < graph_.size(); ++v) {
      if (path.slack(v) == 0 && durations_[v] > 0) critical.push_back(v);
    }
    std::sort(critical.begin(), critical.end(),
              [&](size_t a, size_t b) { return path.asap[a] < path.asap[b]; });
    std::vector<bool> alone(graph_.size());
    int64_t end = 0;
    for (size_t i = 0; i < critical.size(); ++i) {
      const size_t v = critical[i];
      const int64_t own_end = path.asap[v] + durations_[v];
      const bool next_waits = i + 1 == critical.size() || path.asap[critical[i + 1]] >= own_end;
      alone[v] = path.asap[v] >= end && next_waits;
      end = std::max(end, own_end);
    }
    return alone;
  }

  size_t best_to_widen(const Criticality& path, const std::vector<bool>& allowed) const {
    double best = 0;
    size_t chosen = graph_.size();
    for (size_t v = 0; v < graph_.size(); ++v) {
      const auto& durations = modes_.durations[v];
      const size_t next = mode_[v] + 1;
      if (!allowed[v] || path.slack(v) > 0 || !needs(given_, v, 0) || next >= durations.size() ||
          modes_.widths[next] > counts_.matrix)
        continue;
      const auto won = static_cast<double>(durations_[v] - durations[next]);
      const double cost = static_cast<double>(durations[next]) * modes_.widths[next] -
                          static_cast<double>(durations_[v]) * width(v);
      const double ratio = won <= 0 ? 0 : cost <= 0 ? std::numeric_limits<double>::max() : won / cost;
      if (ratio > best) best = ratio, chosen = v;
    }
    return chosen;
  }

  GangSchedule list() const {
    const Criticality path = criticality(graph_);
    GangSchedule result;
    result.counts = counts_;
    result.start.assign(graph_.size(), 0);
    result.duration = durations_;
    for (size_t v = 0; v < graph_.size(); ++v) result.width.push_back(needs(given_, v, 0) ? width(v) : 0);
    const TaskGraph::Successors successors = graph_.successors();
    std::vector<size_t> waits;
    std::vector<TaskId> ready;
    for (size_t v = 0; v < graph_.size(); ++v) {
      waits.push_back(graph_.predecessors(v).size());
      if (waits[v] == 0) ready.push_back(static_cast<TaskId>(v));
    }
    int matrix = counts_.matrix, vector = counts_.vector;
    using End = std::pair<int64_t, TaskId>;
    std::priority_queue<End, std::vector<End>, std::greater<>> running;
    int64_t now = 0;
    while (true) {
      std::sort(ready.begin(), ready.end(), [&](TaskId a, TaskId b) {
        return path.tail[a] != path.tail[b] ? path.tail[a] > path.tail[b] : a < b;
      });
      std::erase_if(ready, [&](TaskId v) {
        const int lanes = needs(given_, v, 1) ? 1 : 0;
        if (result.width[v] > matrix || lanes > vector) return false;
        matrix -= result.width[v];
        vector -= lanes;
        result.start[v] = now;
        running.push({now + durations_[v], v});
        return true;
      });
      if (running.empty()) break;
      now = running.top().first;
      result.makespan = now;
      while (!running.empty() && running.top().first == now) {
        const TaskId v = running.top().second;
        running.pop();
        matrix += result.width[v];
        vector += needs(given_, v, 1) ? 1 : 0;
        for (TaskId s : successors.of(v)) {
          if (--waits[s] == 0) ready.push_back(s);
        }
      }
    }
    return result;
  }

  const TaskGraph& given_;
  TaskGraph graph_;
  const GangModes& modes_;
  CoreCounts counts_;
  std::vector<size_t> mode_;
  std::vector<int64_t> durations_;
};

}  // namespace

GangSchedule gang_schedule(const TaskGraph& graph, const GangModes& modes, CoreCounts counts) {
  if (counts.matrix < 1 || counts.vector < 1)
    throw std::invalid_argument("a schedule needs a core of each kind");
  return Planner(graph, modes, counts).run();
}

std::string broken_gang_schedule(const TaskGraph& graph, const GangModes& modes, const GangSchedule& s) {
  std::map<int64_t, std::array<int, kCoreKinds>> changes;  // of cores held, by time
  int64_t end = 0;
  for (size_t v = 0; v < graph.size(); ++v) {
    for (TaskId p : graph.predecessors(v)) {
      if (s.start[v] < s.start[p] + s.duration[p]) return fmt::format("task {} starts before {} ends", v, p);
    }
    const auto place = std::find(modes.widths.begin(), modes.widths.end(), std::max(1, s.width[v]));
    const auto mode = static_cast<size_t>(place - modes.widths.begin());
    if (mode >= modes.durations[v].size() || modes.durations[v][mode] != s.duration[v])
      return fmt::format("task {} has no such width and duration", v);
    end = std::max(end, s.start[v] + s.duration[v]);
    const int lanes = needs(graph, v, 1) ? 1 : 0;
    changes[s.start[v]][0] += s.width[v];
    changes[s.start[v]][1] += lanes;
    changes[s.start[v] + s.duration[v]][0] -= s.width[v];
    changes[s.start[v] + s.duration[v]][1] -= lanes;
  }
  if (end != s.makespan) return fmt::format("the last task ends at {}, not at {}", end, s.makespan);
  int matrix = 0, vector = 0;
  for (const auto& [time, change] : changes) {
    matrix += change[0];
    vector += change[1];
    if (matrix > s.counts.matrix || vector > s.counts.vector)
      return fmt::format("more cores than there are are held at {}", time);
  }
  return {};
}

}  // namespace orrery::schedule
