// Finding an accelerator for given workloads: what is asked, and what an answer holds. Values alone; the
// searches are in accelerator_search.h.
//
// A design point is a tuple <n_tc, columns x rows, n_vc, lanes, G> of the template in hardware/accelerator.h;
// everything else of a chip (clock, DRAM, energies, uncore) is the base device's. Operators of a workload's
// graph are priced by the fold model (cost/accelerator) on one core of each kind they need and laid out by
// the greedy scheduler of schedule/cores; the last of them ends at the makespan. Source: WHAM, arXiv
// 2404.14632; its scheduler and pruner are not published and are our reading of it.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orrery/base/timeline.h"
#include "orrery/base/units.h"
#include "orrery/cost/accelerator/accelerator_model.h"
#include "orrery/graph/graph.h"
#include "orrery/hardware/device.h"
#include "orrery/schedule/cores/list_schedule.h"
#include "orrery/solve/search_result.h"

namespace orrery::explore {

// One pass over a graph: an inference, or a training step with its gradients and update, which are operators
// of the graph as the readers of `graph` write them. workload_graph.h prepares such a graph for cores.
struct AcceleratorWorkload {
  std::string name;
  graph::Graph graph;
  double samples = 1;           // of one pass: the batch
  double weight = 1;            // in the geometric mean over workloads
  double least_throughput = 0;  // samples a second; 0: none asked
};

// One design. Ordered by its fields, so that ties between equal objectives have one answer.
struct DesignPoint {
  int matrix_cores = 1, columns = 128, rows = 128, vector_cores = 1, lanes = 128;
  int64_t global_buffer = int64_t{32} << 20;  // bytes
  auto operator<=>(const DesignPoint&) const = default;
  schedule::CoreCounts counts() const { return {matrix_cores, vector_cores}; }
};
std::string tuple_text(const DesignPoint&);  // "<2, 128x128, 2, 128, 32 MiB>"
DesignPoint design_point(const hardware::Accelerator&);
// The base chip with the point's cores; private buffers follow from the sizes of the cores.
hardware::Accelerator accelerator(const DesignPoint&, const hardware::Accelerator& base);
hardware::Device device(const DesignPoint&, const hardware::Device& base);
// The template behind a base device; throws InputError where it is no accelerator.
const hardware::Accelerator& chip_of(const hardware::Device& base);

// A grid of designs: every combination of its values. Values ascend and are positive.
struct AcceleratorSpace {
  std::vector<int> columns, rows, lanes, matrix_cores, vector_cores;
  std::vector<int64_t> global_buffers;
  bool lanes_equal_columns = false;  // PHAZE's template: `lanes` is then not read
  // Designs of several cores of either kind that are smaller than this are left out.
  SquareMetres least_area;
  size_t size() const;
};
// Powers of two from `least` to `most` for columns, rows and lanes; any counts up to the given ones; one
// buffer.
AcceleratorSpace power_of_two_space(int least = 16, int most = 256, int most_matrix_cores = 8,
                                    int most_vector_cores = 4, int64_t global_buffer = int64_t{32} << 20);
// Columns and rows 16 to 256 by 16, lanes 32 to 512 by 32.
AcceleratorSpace step_16_space(int most_matrix_cores = 8, int most_vector_cores = 4,
                               int64_t global_buffer = int64_t{32} << 20);
// The grid of PHAZE's released tables: powers of two 2 to 256, counts of 1 to 4096, lanes equal to columns,
// at least 0.3 of the area limit unless there is but one core of a kind.
AcceleratorSpace phaze_space(SquareMetres area_limit);

// 0: no limit. `area` counts the template's cores and buffer, or with `whole_chip` the uncore too.
struct AcceleratorLimits {
  SquareMetres area;
  Watts power;  // of the thermal design power
  bool whole_chip = false;
};

enum class AcceleratorObjective : uint8_t {
  Throughput,         // samples a second, greatest
  PerformancePerTdp,  // samples a second a watt of thermal design power, greatest
  EnergyDelay,        // 1 / (joules a pass · seconds a pass), greatest
};
std::string_view name(AcceleratorObjective);  // "throughput", "perf-per-tdp", "edp"
std::optional<AcceleratorObjective> parse_accelerator_objective(std::string_view);

struct AcceleratorStudy {
  std::vector<AcceleratorWorkload> workloads;
  hardware::Device base;  // an accelerator
  AcceleratorSpace space;
  AcceleratorLimits limits;
  AcceleratorObjective objective = AcceleratorObjective::PerformancePerTdp;
  // A design to compare with. With several workloads the objective is the weighted geometric mean of each
  // one's value over this design's, or of the values themselves where there is none.
  std::optional<DesignPoint> reference;
  double power_calibration = 1;  // factor on dynamic power, hardware::power_calibration
  double logic_area_factor = 1, memory_area_factor = 1;  // on the area law
  cost::AcceleratorOptions options;
  size_t top = 10;  // distinct designs that are kept
};

// What one workload does on one design.
struct WorkloadFigures {
  Seconds makespan, critical_path;  // the latter: on any number of such cores
  Seconds bound;                    // no schedule on these cores is shorter
  // Of the same schedule where operators that run at once share DRAM (schedule/cores/shared_bandwidth.h);
  // `makespan`, what the objective takes, gives each all of it.
  Seconds shared_dram_makespan;
  double throughput = 0;  // samples a second
  Joules energy;          // of one pass: dynamic and leakage
  Watts average_power() const { return makespan.value() > 0 ? energy / makespan : Watts(0); }
  // Of the critical path: seconds in operators bounded by matrix cores, vector cores, global buffer, DRAM,
  // links.
  std::array<Seconds, 5> critical_by{};
};
inline constexpr std::array<const char*, 5> kCriticalParts = {"matrix cores", "vector cores", "global buffer",
                                                              "DRAM", "links"};

struct EvaluatedDesign {
  DesignPoint point;
  double objective = 0;  // as AcceleratorStudy says
  Watts tdp;
  SquareMetres core, chip;
  std::vector<WorkloadFigures> workloads;  // as in the study
};

// Work that a search did; schedules and sweeps (of criticality) count workloads apart.
struct SearchWork {
  uint64_t evaluations = 0;  // distinct designs that were scheduled
  uint64_t schedules = 0, sweeps = 0;
  uint64_t latency_tables = 0;    // of one array or one width of lanes, over all kernels
  uint64_t dimension_sets = 0;    // distinct sizes of cores of which at least one design was scheduled
  uint64_t feasible_designs = 0;  // of the space, within area and power; 0 where the search did not count
  Seconds time;
};

// One row of designs.csv, in the order of evaluation.
struct DesignRecord {
  DesignPoint point;
  double objective = 0;
  std::vector<double> makespans;  // seconds, one a workload
  bool meets_throughput = true;
};

// One operator on its cores.
struct ScheduledOperator {
  uint32_t op = 0;  // of the workload's graph
  int32_t matrix_core = schedule::kNoCore, vector_core = schedule::kNoCore;
  Seconds start, duration, slack;
};
struct WorkloadSchedule {
  std::string workload;
  std::vector<ScheduledOperator> operators;
  Timeline timeline;  // a lane a core, a lane for what holds none
};

// What one change of the best design would bring.
struct NextStep {
  std::string change;  // "+1 vector core", "lanes 128 -> 256", "DRAM bandwidth x 2"
  double gain = 0;     // of the objective, relative: 0.098 is +9.8 %
  bool within_limits = true, in_space = true;
};

// Whether the best design stays best when one parameter of the model moves.
struct SensitivityRow {
  std::string parameter;  // "HBM bandwidth", "energy of a multiply-accumulate", ...
  double factor = 1;
  DesignPoint best;                // found under the moved parameter
  double loss = 0;                 // what the plan's design loses against it, relative
  double gain_over_reference = 0;  // of the plan's design, objective ratio; 0 without a reference
  double throughput_over_reference = 0;
  bool within_limits = true;  // of the plan's design, under the moved parameter
};

struct AcceleratorPlan {
  // best, objective, bound, proven_over, stop, evaluations, front, shortfalls.
  solve::SearchResult<EvaluatedDesign> result;
  // No schedule whatever of any design in the space has a better objective; 0 where the search has none.
  double bound_of_any_schedule = 0;
  std::vector<EvaluatedDesign> top;  // best first, distinct
  std::optional<EvaluatedDesign> reference;
  std::vector<DesignRecord> designs;
  std::vector<WorkloadSchedule> schedules;  // of the best
  std::vector<NextStep> next_steps;
  std::vector<SensitivityRow> sensitivity;
  SearchWork work;
  std::vector<std::string> notes;
};

}  // namespace orrery::explore
