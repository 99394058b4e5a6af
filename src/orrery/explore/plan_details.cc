#include "orrery/explore/plan_details.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace orrery::explore {
namespace {

constexpr size_t kMostScheduledForFront = 6000, kMostFront = 200;

// Larger is better in all.
using Merits = std::array<double, 4>;

bool dominates(const Merits& a, const Merits& b) {
  bool better = false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] < b[i]) return false;
    better = better || a[i] > b[i];
  }
  return better;
}

double next_of(const std::vector<int>& values, int value) {
  auto found = std::upper_bound(values.begin(), values.end(), value);
  return found == values.end() ? 2.0 * value : *found;
}

bool in_space(const AcceleratorSpace& s, const DesignPoint& p) {
  auto holds = [](const auto& values, auto value) {
    return std::binary_search(values.begin(), values.end(), value);
  };
  return holds(s.columns, p.columns) && holds(s.rows, p.rows) && holds(s.matrix_cores, p.matrix_cores) &&
         holds(s.vector_cores, p.vector_cores) && holds(s.global_buffers, p.global_buffer) &&
         (s.lanes_equal_columns ? p.lanes == p.columns : holds(s.lanes, p.lanes));
}

}  // namespace

std::vector<EvaluatedDesign> pareto_front(SearchState& state, std::vector<std::string>& notes) {
  DesignEvaluator& evaluator = state.evaluator();
  std::vector<DesignPoint> points;
  if (state.designs().size() <= kMostScheduledForFront && !state.ended()) {
    points = state.designs();
  } else {
    for (const DesignRecord& record : state.records()) points.push_back(record.point);
    notes.push_back(fmt::format("the Pareto front is over the {} designs that were tried", points.size()));
  }
  struct Candidate {
    DesignPoint point;
    Merits merits;
  };
  std::vector<Candidate> candidates;
  const AcceleratorStudy& study = state.study();
  for (const DesignPoint& point : points) {
    if (state.context().stop.stop_requested()) break;
    const DesignPrices::Price price = evaluator.prices().price(point);
    const DesignScore score = evaluator.evaluate(point);
    double throughput = 0, joules = 0, weights = 0;
    for (size_t w = 0; w < score.seconds.size(); ++w) {
      const AcceleratorWorkload& workload = study.workloads[w];
      throughput += workload.weight * std::log(workload.samples / score.seconds[w]);
      joules += workload.weight * std::log(evaluator.energy(point, w, score.seconds[w]) / workload.samples);
      weights += workload.weight;
    }
    candidates.push_back({point, {throughput / weights, -price.tdp, -price.core_area, -joules / weights}});
  }
  // Sorted by throughput, what dominates a design stands before it.
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.merits != b.merits ? a.merits > b.merits : a.point < b.point;
  });
  std::vector<Candidate> front;
  for (const Candidate& candidate : candidates) {
    if (std::none_of(front.begin(), front.end(),
                     [&](const Candidate& other) { return dominates(other.merits, candidate.merits); }))
      front.push_back(candidate);
  }
  if (front.size() > kMostFront) {
    notes.push_back(fmt::format("{} designs are on the Pareto front; every {}th is listed", front.size(),
                                (front.size() + kMostFront - 1) / kMostFront));
    std::vector<Candidate> listed;
    const size_t step = (front.size() + kMostFront - 1) / kMostFront;
    for (size_t i = 0; i < front.size(); i += step) listed.push_back(front[i]);
    front = std::move(listed);
  }
  std::vector<EvaluatedDesign> described;
  for (const Candidate& candidate : front) described.push_back(evaluator.describe(candidate.point));
  return described;
}

std::vector<NextStep> next_steps(const AcceleratorStudy& study, const EvaluatedDesign& best) {
  DesignEvaluator evaluator(study);
  std::vector<NextStep> steps;
  auto offer = [&](std::string change, DesignPoint point) {
    const DesignScore score = evaluator.evaluate(point);
    steps.push_back({std::move(change), score.objective / best.objective - 1, evaluator.affordable(point),
                     in_space(study.space, point)});
  };
  auto changed = [&](auto change) {
    DesignPoint point = best.point;
    change(point);
    return point;
  };
  const DesignPoint& p = best.point;
  offer("+1 matrix core", changed([](DesignPoint& q) { ++q.matrix_cores; }));
  offer("+1 vector core", changed([](DesignPoint& q) { ++q.vector_cores; }));
  if (p.matrix_cores > 1) offer("-1 matrix core", changed([](DesignPoint& q) { --q.matrix_cores; }));
  if (p.vector_cores > 1) offer("-1 vector core", changed([](DesignPoint& q) { --q.vector_cores; }));
  auto wider = [&](std::string_view what, int DesignPoint::*member, const std::vector<int>& values) {
    const int to = static_cast<int>(next_of(values, p.*member));
    offer(fmt::format("{} {} -> {}", what, p.*member, to), changed([&](DesignPoint& q) { q.*member = to; }));
  };
  if (!study.space.lanes_equal_columns) wider("lanes", &DesignPoint::lanes, study.space.lanes);
  wider("columns", &DesignPoint::columns, study.space.columns);
  wider("rows", &DesignPoint::rows, study.space.rows);
  offer(fmt::format("global buffer {0:g} -> {1:g} MiB", static_cast<double>(p.global_buffer) / 1048576,
                    static_cast<double>(p.global_buffer) / 524288),
        changed([](DesignPoint& q) { q.global_buffer *= 2; }));
  AcceleratorStudy faster = study;
  faster.base.memory_bandwidth *= 2;
  DesignEvaluator other(faster);
  steps.push_back(
      {"DRAM bandwidth x 2", other.evaluate(p).objective / best.objective - 1, other.affordable(p), true});
  std::stable_sort(steps.begin(), steps.end(),
                   [](const NextStep& a, const NextStep& b) { return a.gain > b.gain; });
  return steps;
}

std::vector<solve::Shortfall> shortfalls(SearchState& state) {
  const AcceleratorStudy& study = state.study();
  const AcceleratorSpace& space = study.space;
  const DesignPrices& prices = state.evaluator().prices();
  // The smallest design takes the least of everything: area and power both grow with every parameter.
  const DesignPoint smallest{space.matrix_cores.front(),
                             space.columns.front(),
                             space.rows.front(),
                             space.vector_cores.front(),
                             space.lanes_equal_columns ? space.columns.front() : space.lanes.front(),
                             space.global_buffers.front()};
  const DesignPrices::Price least = prices.price(smallest);
  const double area = least.core_area + (study.limits.whole_chip ? prices.uncore_area() : 0);
  std::vector<solve::Shortfall> found;
  const std::string where = "the smallest design " + tuple_text(smallest);
  if (study.limits.area.value() > 0 && area > study.limits.area.value())
    found.push_back({where, "area", "mm2", area * 1e6, study.limits.area.value() * 1e6});
  if (study.limits.power.value() > 0 && least.tdp > study.limits.power.value())
    found.push_back({where, "power", "W", least.tdp, study.limits.power.value()});
  if (!found.empty() || state.designs().empty()) return found;
  // Some design is affordable, so a throughput is out of reach: the closest of those tried.
  const DesignRecord* closest = nullptr;
  double most = 0;
  auto ratio = [&](const std::vector<double>& seconds) {
    double least_ratio = std::numeric_limits<double>::infinity();
    for (size_t w = 0; w < seconds.size(); ++w) {
      const AcceleratorWorkload& workload = study.workloads[w];
      if (workload.least_throughput > 0)
        least_ratio = std::min(least_ratio, workload.samples / seconds[w] / workload.least_throughput);
    }
    return least_ratio;
  };
  for (const DesignPoint& point : state.designs()) {
    if (state.records().size() > kMostScheduledForFront) break;
    state.record(point);
  }
  for (const DesignRecord& record : state.records()) {
    if (ratio(record.makespans) > most) most = ratio(record.makespans), closest = &record;
  }
  if (!closest) return found;
  for (size_t w = 0; w < study.workloads.size(); ++w) {
    const AcceleratorWorkload& workload = study.workloads[w];
    const double throughput = workload.samples / closest->makespans[w];
    if (throughput < workload.least_throughput)
      found.push_back({workload.name + " on " + tuple_text(closest->point), "throughput", "samples/s",
                       workload.least_throughput, throughput});
  }
  return found;
}

void add_notes(const AcceleratorStudy& study, const EvaluatedDesign& best, std::vector<std::string>& notes) {
  const double area = (study.limits.whole_chip ? best.chip : best.core).value();
  if (study.limits.area.value() > 0 && area > 0.9 * study.limits.area.value())
    notes.push_back(
        fmt::format("the design fills {:.0f} % of the area limit", 100 * area / study.limits.area.value()));
  for (size_t w = 0; w < best.workloads.size(); ++w) {
    const WorkloadFigures& f = best.workloads[w];
    const double memory = f.critical_by[3] / f.critical_path;
    if (memory > 0.5) {
      notes.push_back(
          fmt::format("{}: DRAM bounds {:.0f} % of the critical path: more cores bring little, and "
                      "bandwidth must grow first",
                      study.workloads[w].name, 100 * memory));
    }
    double moved = 0, free = 0;
    const graph::Graph& graph = study.workloads[w].graph;
    for (const graph::Operator& op : graph.operators) {
      const double bytes = graph::traffic(graph.kernels[op.kernel]).read.value() +
                           graph::traffic(graph.kernels[op.kernel]).written.value();
      moved += bytes;
      double cycles = 0;
      for (const graph::OperatorShape& part : graph.kernels[op.kernel].parts) {
        if (graph::traits(part.kind).engine != graph::Engine::Vector) cycles = 1;
        cycles += cost::cycles_per_element(part, study.options.vector);
      }
      if (cycles == 0) free += bytes;
    }
    if (free > 0.01 * moved)
      notes.push_back(fmt::format("{}: operators that cost no cycles move {:.1f} % of its bytes",
                                  study.workloads[w].name, 100 * free / moved));
  }
}

}  // namespace orrery::explore
