#include "orrery/study/check/accelerator_recount.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "orrery/cost/accelerator/kernel_bill.h"
#include "orrery/schedule/cores/shared_bandwidth.h"

namespace orrery::study {
namespace {

using explore::AcceleratorObjective;
using explore::AcceleratorStudy;
using explore::DesignPoint;

constexpr double kNothing = -std::numeric_limits<double>::infinity();
constexpr double kSquareMillimetres = 1e6;

double clock_of(const AcceleratorStudy& study) {
  return study.base.accelerator()->clock.value();
}

// A workload's value under the objective, before any mean.
double value_of(const AcceleratorStudy& study, const DesignPriceRecount& price, const LoadRecount& load,
                size_t w, double seconds) {
  const double throughput = study.workloads[w].samples / seconds;
  switch (study.objective) {
    case AcceleratorObjective::Throughput:
      return throughput;
    case AcceleratorObjective::PerformancePerTdp:
      return throughput / price.tdp.value();
    case AcceleratorObjective::EnergyDelay: {
      const double leakage = study.base.accelerator()->energy.leakage * price.core.value();
      return 1 / ((load.dynamic_energy + leakage * seconds) * seconds);
    }
  }
  return 0;
}

}  // namespace

DesignPriceRecount recount_price(const AcceleratorStudy& study, const DesignPoint& point) {
  const hardware::Accelerator chip = explore::accelerator(point, *study.base.accelerator());
  const hardware::AreaBreakdown area = hardware::area(chip, hardware::area_table(chip.area_table));
  return {
      area.core(), area.chip(),
      hardware::thermal_design_power(chip, study.base.memory_bandwidth, area.core(), study.power_calibration)
          .total()};
}

std::string passed_limit(const AcceleratorStudy& study, const DesignPriceRecount& price) {
  const explore::AcceleratorLimits& limits = study.limits;
  const SquareMetres counted = limits.whole_chip ? price.chip : price.core;
  constexpr double kRounding = 1 + 1e-12;
  if (limits.area.value() > 0 && counted.value() > limits.area.value() * kRounding)
    return fmt::format("{:.4g} mm2 of area, {:.4g} allowed", counted.value() * kSquareMillimetres,
                       limits.area.value() * kSquareMillimetres);
  if (limits.power.value() > 0 && price.tdp.value() > limits.power.value() * kRounding)
    return fmt::format("{:.4g} W, {:.4g} allowed", price.tdp.value(), limits.power.value());
  return {};
}

int64_t LoadRecount::bound(schedule::CoreCounts counts) const {
  int64_t least = critical_path;
  for (size_t kind = 0; kind < work.size(); ++kind)
    least = std::max(least, (work[kind] + counts.of(kind) - 1) / counts.of(kind));
  return least;
}

std::vector<LoadRecount> recount_loads(const AcceleratorStudy& study, const DesignPoint& point) {
  const hardware::Device device = explore::device(point, study.base);
  const cost::AcceleratorModel model(study.options);
  std::vector<LoadRecount> loads;
  for (const explore::AcceleratorWorkload& workload : study.workloads) {
    const graph::Graph& graph = workload.graph;
    std::vector<cost::OperatorCost> costs(graph.kernels.size());
    model.price(graph.kernels, device, {1, 1}, costs);
    LoadRecount load;
    load.tasks = schedule::task_graph(graph, costs, device.accelerator()->clock);
    load.work = load.tasks.work();
    for (const graph::Operator& op : graph.operators) {
      load.dynamic_energy += costs[op.kernel].energy.value();
      const auto duration = static_cast<double>(load.tasks[load.dram_demand.size()].duration);
      const bool moves = study.options.memory && duration > 0 && !cost::on_a_link(graph.kernels[op.kernel]);
      const Seconds alone = costs[op.kernel].traffic[cost::kDram] / device.memory_bandwidth;
      load.dram_demand.push_back(moves ? std::min(1.0, alone.value() * clock_of(study) / duration) : 0);
    }
    std::vector<int64_t> end(load.tasks.size());
    for (size_t t = 0; t < end.size(); ++t) {
      int64_t start = 0;
      for (schedule::TaskId p : load.tasks.predecessors(t)) start = std::max(start, end[p]);
      end[t] = start + load.tasks[t].duration;
      load.critical_path = std::max(load.critical_path, end[t]);
    }
    loads.push_back(std::move(load));
  }
  return loads;
}

double recount_objective(const AcceleratorStudy& study, const DesignPriceRecount& price,
                         const std::vector<LoadRecount>& loads, const std::vector<double>& seconds,
                         const std::vector<double>& reference) {
  double logarithms = 0, weights = 0, alone = 0;
  for (size_t w = 0; w < loads.size(); ++w) {
    const explore::AcceleratorWorkload& workload = study.workloads[w];
    if (workload.samples / seconds[w] < workload.least_throughput * (1 - 1e-9)) return kNothing;
    alone = value_of(study, price, loads[w], w, seconds[w]);
    logarithms += workload.weight * std::log(reference.empty() ? alone : alone / reference[w]);
    weights += workload.weight;
  }
  return loads.size() == 1 ? alone : std::exp(logarithms / weights);
}

std::vector<double> greedy_seconds(const AcceleratorStudy& study, const DesignPoint& point,
                                   const std::vector<LoadRecount>& loads) {
  std::vector<double> seconds;
  for (const LoadRecount& load : loads)
    seconds.push_back(
        static_cast<double>(schedule::ListScheduler(load.tasks).schedule(point.counts()).makespan) /
        clock_of(study));
  return seconds;
}

double shared_dram_seconds(const AcceleratorStudy& study, const LoadRecount& load,
                           const schedule::CoreSchedule& laid) {
  return schedule::share_bandwidth(load.tasks, laid, load.dram_demand).makespan / clock_of(study);
}

std::vector<double> reference_values(const AcceleratorStudy& study) {
  if (!study.reference || study.workloads.size() == 1) return {};
  const DesignPriceRecount price = recount_price(study, *study.reference);
  const std::vector<LoadRecount> loads = recount_loads(study, *study.reference);
  const std::vector<double> seconds = greedy_seconds(study, *study.reference, loads);
  std::vector<double> values;
  for (size_t w = 0; w < loads.size(); ++w) values.push_back(value_of(study, price, loads[w], w, seconds[w]));
  return values;
}

GridRecount recount_grid(const AcceleratorStudy& study, double objective) {
  const explore::AcceleratorSpace& space = study.space;
  const std::vector<double> reference = reference_values(study);
  GridRecount grid;
  auto counts_of_size = [&](DesignPoint point) {
    std::vector<LoadRecount> loads;  // priced once a size, and only where a design of it is affordable
    for (int matrix : space.matrix_cores) {
      for (int vector : space.vector_cores) {
        point.matrix_cores = matrix;
        point.vector_cores = vector;
        ++grid.designs;
        const DesignPriceRecount price = recount_price(study, point);
        const bool left_out = matrix > 1 && vector > 1 && price.core < space.least_area;
        if (left_out || !passed_limit(study, price).empty()) {
          ++grid.over_limits;
          continue;
        }
        if (loads.empty()) loads = recount_loads(study, point);
        std::vector<double> least;
        for (const LoadRecount& load : loads)
          least.push_back(static_cast<double>(load.bound(point.counts())) / clock_of(study));
        if (!(recount_objective(study, price, loads, least, reference) > objective)) {
          ++grid.bounded_out;
          continue;
        }
        ++grid.scheduled;
        const double found =
            recount_objective(study, price, loads, greedy_seconds(study, point, loads), reference);
        if (found > grid.best) {
          grid.best = found;
          grid.best_point = point;
        }
      }
    }
  };
  for (int64_t buffer : space.global_buffers) {
    for (int columns : space.columns) {
      for (int rows : space.rows) {
        const std::vector<int> lanes = space.lanes_equal_columns ? std::vector<int>{columns} : space.lanes;
        for (int width : lanes) counts_of_size({1, columns, rows, 1, width, buffer});
      }
    }
  }
  return grid;
}

}  // namespace orrery::study
