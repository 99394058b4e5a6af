#include "orrery/explore/design_evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "orrery/hardware/accelerator_cost.h"
#include "orrery/schedule/cores/shared_bandwidth.h"

namespace orrery::explore {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// Whole cycles, as schedule::task_graph rounds.
int64_t whole(double cycles) {
  return static_cast<int64_t>(std::ceil(cycles * (1 - 1e-12)));
}

void check(const AcceleratorStudy& study) {
  if (study.workloads.empty()) throw InputError("an accelerator is planned for at least one workload");
  for (const AcceleratorWorkload& workload : study.workloads) {
    if (workload.graph.operators.empty())
      throw InputError(fmt::format("workload '{}' has no operators", workload.name));
    if (!(workload.samples > 0) || !(workload.weight > 0) || workload.least_throughput < 0)
      throw InputError(fmt::format("workload '{}': samples and weight must be positive", workload.name));
  }
}

}  // namespace

DesignEvaluator::DesignEvaluator(const AcceleratorStudy& study, std::shared_ptr<SharedCosts> costs)
    : study_(study), costs_(std::move(costs)) {
  check(study);
  const hardware::Accelerator& chip = *study.base.accelerator();
  second_ = 1 / chip.clock.value();
  cycles_.resize(costs_->tables.kernels());
  // Which cores a kernel holds does not depend on their sizes.
  const auto array = costs_->tables.array({chip.columns, chip.rows});
  const auto vector = costs_->tables.vector(chip.lanes);
  loads_.reserve(study.workloads.size());
  for (size_t w = 0; w < study.workloads.size(); ++w) {
    const graph::Graph& graph = study.workloads[w].graph;
    Load& load = loads_.emplace_back();
    std::vector<cost::OperatorCost> kinds(graph.kernels.size());
    load.count.assign(graph.kernels.size(), 0);
    const size_t first = costs_->tables.first_kernel(w);
    for (size_t k = 0; k < kinds.size(); ++k)
      kinds[k].engines = cost::engines_of(array[first + k], vector[first + k]);
    load.tasks = schedule::task_graph(graph, kinds, chip.clock);
    for (const graph::Operator& op : graph.operators) {
      load.kernel.push_back(op.kernel);
      load.count[op.kernel] += 1;
    }
    load.scheduler = std::make_unique<schedule::ListScheduler>(load.tasks);
  }
  if (study.reference && study.workloads.size() > 1) {
    std::vector<double> alone;
    for (size_t w = 0; w < loads_.size(); ++w)
      alone.push_back(
          static_cast<double>(scheduler(*study.reference, w).makespan(study.reference->counts())) * second_);
    reference_.assign(loads_.size(), 1);
    for (size_t w = 0; w < loads_.size(); ++w) {
      const double throughput = study.workloads[w].samples / alone[w];
      reference_[w] = study.objective == AcceleratorObjective::Throughput ? throughput
                      : study.objective == AcceleratorObjective::PerformancePerTdp
                          ? throughput / costs_->prices.price(*study.reference).tdp
                          : 1 / (energy(*study.reference, w, alone[w]) * alone[w]);
    }
  }
}

cost::CycleRates DesignEvaluator::rates(const DesignPoint& point) const {
  // As cost::cycle_rates on one core of each kind.
  const hardware::Accelerator& chip = *study_.base.accelerator();
  auto global = [&](int side) {
    return std::min(chip.global_bytes_per_cycle, hardware::core_bytes_per_cycle(chip, side));
  };
  return {global(std::max(point.rows, point.columns)), global(point.lanes),
          study_.base.memory_bandwidth.value() / chip.clock.value()};
}

void DesignEvaluator::load(const DesignPoint& point) {
  if (sizes(point) == loaded_) return;
  LatencyTables& tables = costs_->tables;
  const auto array = tables.array({point.columns, point.rows});
  const auto traffic = tables.traffic({std::max(point.columns, point.rows), point.global_buffer});
  const auto vector = tables.vector(point.lanes);
  const auto link = tables.link();
  const cost::CycleRates rate = rates(point);
  const bool memory = study_.options.memory;
  for (size_t k = 0; k < cycles_.size(); ++k)
    cycles_[k] = link[k] + cost::kernel_cycles(array[k], traffic[k], vector[k], rate, memory).cycles;
  for (size_t w = 0; w < loads_.size(); ++w) {
    Load& load = loads_[w];
    const double* own = cycles_.data() + tables.first_kernel(w);
    durations_.resize(load.kernel.size());
    for (size_t v = 0; v < load.kernel.size(); ++v) durations_[v] = whole(own[load.kernel[v]]);
    load.tasks.set_durations(durations_);
    load.scheduler->reprice();
    ++work_.sweeps;
  }
  loaded_ = sizes(point);
}

schedule::ListScheduler& DesignEvaluator::scheduler(const DesignPoint& point, size_t w) {
  load(point);
  return *loads_[w].scheduler;
}

const DesignEvaluator::Path& DesignEvaluator::path(const DesignPoint& point) {
  auto [found, fresh] = paths_.try_emplace(sizes(point));
  if (!fresh) return found->second;
  load(point);
  for (Load& load : loads_) {
    const auto work = load.tasks.work();
    found->second.critical.push_back(static_cast<double>(load.scheduler->critical_path()));
    found->second.matrix.push_back(static_cast<double>(work[0]));
    found->second.vector.push_back(static_cast<double>(work[1]));
  }
  return found->second;
}

const std::vector<double>& DesignEvaluator::matrix_work(const DesignPoint& point) {
  auto [found, fresh] = matrix_work_.try_emplace({point.columns, point.rows, point.global_buffer});
  if (!fresh) return found->second;
  LatencyTables& tables = costs_->tables;
  const auto array = tables.array({point.columns, point.rows});
  const auto traffic = tables.traffic({std::max(point.columns, point.rows), point.global_buffer});
  // Bytes and depth of an epilogue are the same for all lanes.
  const auto epilogue = tables.vector(study_.base.accelerator()->lanes);
  const cost::CycleRates rate = rates(point);
  for (size_t w = 0; w < loads_.size(); ++w) {
    const size_t first = tables.first_kernel(w);
    double sum = 0;
    for (size_t k = 0; k < loads_[w].count.size(); ++k) {
      if (array[first + k].cycles <= 0) continue;
      cost::VectorBill vector = epilogue[first + k];
      vector.cycles = 0;
      sum += loads_[w].count[k] *
             static_cast<double>(whole(cost::kernel_cycles(array[first + k], traffic[first + k], vector, rate,
                                                           study_.options.memory)
                                           .cycles));
    }
    found->second.push_back(sum);
  }
  return found->second;
}

const std::vector<double>& DesignEvaluator::vector_work(int lanes) {
  auto [found, fresh] = vector_work_.try_emplace(lanes);
  if (!fresh) return found->second;
  LatencyTables& tables = costs_->tables;
  const auto vector = tables.vector(lanes);
  const hardware::Accelerator& chip = *study_.base.accelerator();
  const auto array = tables.array({chip.columns, chip.rows});  // only whether there is a product
  DesignPoint point;
  point.lanes = lanes;
  const cost::CycleRates rate = rates(point);
  for (size_t w = 0; w < loads_.size(); ++w) {
    const size_t first = tables.first_kernel(w);
    double sum = 0;
    for (size_t k = 0; k < loads_[w].count.size(); ++k) {
      const cost::VectorBill& bill = vector[first + k];
      if (bill.cycles + bill.epilogue <= 0) continue;
      const bool fused = array[first + k].cycles > 0;
      const double cycles = fused ? bill.cycles + bill.epilogue
                                  : cost::kernel_cycles({}, {}, bill, rate, study_.options.memory).cycles;
      sum += loads_[w].count[k] * static_cast<double>(whole(cycles));
    }
    found->second.push_back(sum);
  }
  return found->second;
}

const std::vector<double>& DesignEvaluator::dynamic_energy(const DesignPoint& point) {
  auto [found, fresh] = energy_.try_emplace({point.columns, point.rows, point.global_buffer});
  if (!fresh) return found->second;
  LatencyTables& tables = costs_->tables;
  const auto array = tables.array({point.columns, point.rows});
  const auto traffic = tables.traffic({std::max(point.columns, point.rows), point.global_buffer});
  const auto vector = tables.vector(study_.base.accelerator()->lanes);
  const hardware::Accelerator chip = accelerator(point, *study_.base.accelerator());
  for (size_t w = 0; w < loads_.size(); ++w) {
    const size_t first = tables.first_kernel(w);
    double sum = 0;
    for (size_t k = 0; k < loads_[w].count.size(); ++k) {
      const size_t i = first + k;
      sum += loads_[w].count[k] * cost::kernel_energy(tables.operations()[i],
                                                      array[i].global_bytes + vector[i].bytes,
                                                      traffic[i].dram_bytes + vector[i].bytes, chip)
                                      .value();
    }
    found->second.push_back(sum);
  }
  return found->second;
}

double DesignEvaluator::energy(const DesignPoint& point, size_t w, double seconds) {
  return dynamic_energy(point)[w] +
         costs_->prices.leakage() * costs_->prices.price(point).core_area * seconds;
}

double DesignEvaluator::objective(const DesignPoint& point, std::span<const double> seconds,
                                  bool& meets_throughput) {
  const DesignPrices::Price price = costs_->prices.price(point);
  meets_throughput = true;
  double logarithms = 0, weights = 0, alone = 0;
  for (size_t w = 0; w < seconds.size(); ++w) {
    const AcceleratorWorkload& workload = study_.workloads[w];
    const double throughput = workload.samples / seconds[w];
    if (throughput < workload.least_throughput * (1 - 1e-12)) meets_throughput = false;
    double value = throughput;
    if (study_.objective == AcceleratorObjective::PerformancePerTdp) value /= price.tdp;
    if (study_.objective == AcceleratorObjective::EnergyDelay) {
      value = 1 / (energy(point, w, seconds[w]) * seconds[w]);
    }
    alone = value;
    if (!reference_.empty()) value /= reference_[w];
    logarithms += workload.weight * std::log(value);
    weights += workload.weight;
  }
  return seconds.size() == 1 ? alone : std::exp(logarithms / weights);
}

DesignScore DesignEvaluator::score(const DesignPoint& point, std::vector<double> seconds) {
  DesignScore score;
  score.seconds = std::move(seconds);
  score.objective = objective(point, score.seconds, score.meets_throughput);
  return score;
}

double DesignEvaluator::work_bound(const DesignPoint& point) {
  const std::vector<double>& matrix = matrix_work(point);
  const std::vector<double>& vector = vector_work(point.lanes);
  std::vector<double> seconds(matrix.size());
  for (size_t w = 0; w < seconds.size(); ++w) {
    const double cycles =
        std::max(std::ceil(matrix[w] / point.matrix_cores), std::ceil(vector[w] / point.vector_cores));
    seconds[w] = std::max(cycles, 1.0) * second_;
  }
  bool met = true;
  const double bound = objective(point, seconds, met);
  return met ? bound : kNever;
}

double DesignEvaluator::critical_path_bound(const DesignPoint& point) {
  const Path& path = this->path(point);
  std::vector<double> seconds(path.critical.size());
  for (size_t w = 0; w < seconds.size(); ++w)
    seconds[w] = std::max({path.critical[w], std::ceil(path.matrix[w] / point.matrix_cores),
                           std::ceil(path.vector[w] / point.vector_cores)}) *
                 second_;
  bool met = true;
  const double bound = objective(point, seconds, met);
  return met ? bound : kNever;
}

DesignScore DesignEvaluator::evaluate(const DesignPoint& point) {
  load(point);
  std::vector<double> seconds;
  for (Load& load : loads_) {
    seconds.push_back(static_cast<double>(load.scheduler->makespan(point.counts())) * second_);
    ++work_.schedules;
  }
  ++work_.evaluations;
  if (scheduled_sizes_.try_emplace(loaded_, true).second) ++work_.dimension_sets;
  return score(point, std::move(seconds));
}

SearchWork DesignEvaluator::take_work() {
  SearchWork work = work_;
  work.latency_tables = costs_->tables.made();
  work_ = {};
  return work;
}

void DesignEvaluator::add_work(const SearchWork& work) {
  work_.evaluations += work.evaluations;
  work_.schedules += work.schedules;
  work_.sweeps += work.sweeps;
  work_.dimension_sets += work.dimension_sets;
}

schedule::GangSchedule DesignEvaluator::gangs(const DesignPoint& point, size_t w) {
  load(point);
  const Load& load = loads_[w];
  const graph::Graph& graph = study_.workloads[w].graph;
  LatencyTables& tables = costs_->tables;
  const size_t first = tables.first_kernel(w);
  const auto traffic = tables.traffic({std::max(point.columns, point.rows), point.global_buffer});
  const auto vector = tables.vector(point.lanes);
  const hardware::Accelerator chip = accelerator(point, *study_.base.accelerator());
  schedule::GangModes modes;
  for (int width = 1; width <= point.matrix_cores; width *= 2) modes.widths.push_back(width);
  std::vector<std::vector<int64_t>> kernels(graph.kernels.size());
  for (size_t k = 0; k < kernels.size(); ++k) {
    kernels[k] = {whole(cycles_[first + k])};
    for (size_t i = 1; i < modes.widths.size(); ++i) {
      const cost::CycleRates rate = cost::cycle_rates(chip, study_.base.memory_bandwidth, modes.widths[i], 1);
      const cost::ArrayBill array = cost::array_bill(graph.kernels[k], {point.rows, point.columns},
                                                     modes.widths[i], chip.word_bytes(), study_.options);
      if (array.cycles <= 0) break;
      kernels[k].push_back(
          whole(cost::kernel_cycles(array, traffic[first + k], vector[first + k], rate, study_.options.memory)
                    .cycles));
    }
  }
  for (uint32_t kernel : load.kernel) modes.durations.push_back(kernels[kernel]);
  return schedule::gang_schedule(load.tasks, modes, point.counts());
}

std::vector<uint8_t> DesignEvaluator::bound_by(const DesignPoint& point, size_t w) {
  LatencyTables& tables = costs_->tables;
  const auto array = tables.array({point.columns, point.rows});
  const auto traffic = tables.traffic({std::max(point.columns, point.rows), point.global_buffer});
  const auto vector = tables.vector(point.lanes);
  const cost::CycleRates rate = rates(point);
  std::vector<uint8_t> parts;
  for (uint32_t kernel : loads_[w].kernel) {
    const size_t k = tables.first_kernel(w) + kernel;
    const cost::Bound bound =
        cost::kernel_cycles(array[k], traffic[k], vector[k], rate, study_.options.memory).bound_by;
    uint8_t part = array[k].cycles >= vector[k].cycles ? 0 : 1;
    if (bound == cost::Bound::Cache) part = 2;
    if (bound == cost::Bound::Memory) part = 3;
    if (tables.link()[k] > 0) part = 4;
    parts.push_back(part);
  }
  return parts;
}

std::vector<double> DesignEvaluator::dram_demand(const DesignPoint& point, size_t w) {
  const Load& load = loads_[w];
  std::vector<double> demand(load.kernel.size());
  if (!study_.options.memory) return demand;
  LatencyTables& tables = costs_->tables;
  const auto traffic = tables.traffic({std::max(point.columns, point.rows), point.global_buffer});
  const auto vector = tables.vector(point.lanes);
  const double bytes_per_cycle = rates(point).dram;
  for (size_t v = 0; v < demand.size(); ++v) {
    const size_t k = tables.first_kernel(w) + load.kernel[v];
    if (tables.link()[k] > 0 || load.tasks[v].duration == 0) continue;
    const double alone = (traffic[k].dram_bytes + vector[k].bytes) / bytes_per_cycle;
    demand[v] = std::min(1.0, alone / static_cast<double>(load.tasks[v].duration));
  }
  return demand;
}

EvaluatedDesign DesignEvaluator::describe(const DesignPoint& point) {
  EvaluatedDesign design;
  design.point = point;
  const DesignPrices::Price price = costs_->prices.price(point);
  design.tdp = Watts(price.tdp);
  design.core = SquareMetres(price.core_area);
  design.chip = SquareMetres(price.core_area + costs_->prices.uncore_area());
  design.objective = evaluate(point).objective;
  for (size_t w = 0; w < loads_.size(); ++w) {
    schedule::ListScheduler& greedy = scheduler(point, w);
    const schedule::CoreSchedule laid = greedy.schedule(point.counts());
    const schedule::Criticality& path = greedy.criticality();
    WorkloadFigures figures;
    const double seconds = static_cast<double>(laid.makespan) * second_;
    figures.makespan = Seconds(seconds);
    figures.critical_path = Seconds(static_cast<double>(path.critical_path) * second_);
    figures.bound = Seconds(
        static_cast<double>(schedule::threshold_bound(loads_[w].tasks, path, point.counts())) * second_);
    figures.shared_dram_makespan =
        Seconds(schedule::share_bandwidth(loads_[w].tasks, laid, dram_demand(point, w)).makespan * second_);
    figures.throughput = study_.workloads[w].samples / seconds;
    figures.energy = Joules(energy(point, w, seconds));
    const std::vector<uint8_t> parts = bound_by(point, w);
    // One longest path: from the first task of full tail, always on to a successor that the tail follows.
    int64_t at = 0;
    for (size_t v = 0; v < loads_[w].tasks.size(); ++v) {
      if (path.asap[v] != at || path.slack(v) != 0) continue;
      const int64_t length = loads_[w].tasks[v].duration;
      figures.critical_by[parts[v]] += Seconds(static_cast<double>(length) * second_);
      at += length;
    }
    design.workloads.push_back(figures);
  }
  return design;
}

WorkloadSchedule DesignEvaluator::schedule(const DesignPoint& point, size_t w) {
  const graph::Graph& graph = study_.workloads[w].graph;
  schedule::ListScheduler& greedy = scheduler(point, w);
  const schedule::CoreSchedule laid = greedy.schedule(point.counts());
  const schedule::Criticality& path = greedy.criticality();
  WorkloadSchedule result;
  result.workload = study_.workloads[w].name;
  result.timeline.names = graph.names;
  for (int core = 0; core < point.matrix_cores; ++core)
    result.timeline.lanes.push_back(fmt::format("matrix core {}", core));
  for (int core = 0; core < point.vector_cores; ++core)
    result.timeline.lanes.push_back(fmt::format("vector core {}", core));
  result.timeline.lanes.push_back("no core");
  const auto vector_lane = static_cast<uint32_t>(point.matrix_cores);
  const uint32_t no_lane = vector_lane + static_cast<uint32_t>(point.vector_cores);
  for (size_t v = 0; v < loads_[w].tasks.size(); ++v) {
    ScheduledOperator op;
    op.op = static_cast<uint32_t>(v);
    op.matrix_core = laid.core[v][0];
    op.vector_core = laid.core[v][1];
    op.start = Seconds(static_cast<double>(laid.start[v]) * second_);
    op.duration = Seconds(static_cast<double>(loads_[w].tasks[v].duration) * second_);
    op.slack = Seconds(static_cast<double>(path.slack(v)) * second_);
    result.operators.push_back(op);
    auto draw = [&](uint32_t lane) {
      result.timeline.events.push_back({lane, graph.operators[v].name, op.op, op.start, op.duration});
    };
    if (op.matrix_core >= 0) draw(static_cast<uint32_t>(op.matrix_core));
    if (op.vector_core >= 0) draw(vector_lane + static_cast<uint32_t>(op.vector_core));
    if (op.matrix_core < 0 && op.vector_core < 0) draw(no_lane);
  }
  return result;
}

}  // namespace orrery::explore
