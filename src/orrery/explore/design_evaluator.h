// What one design point is worth: its objective by the greedy schedule, and bounds of it that cost less.
// Every search stands on this, so all share one cost model, one scheduler and one set of latency tables.
//
//   work bound           T >= max(Σ l_matrix / n_tc, Σ l_vector / n_vc), where a fused kernel counts on
//   either
//                        side what that side alone asks: arrays and lanes are summed apart, so a grid of
//                        sizes costs |arrays| + |lanes| sums
//   critical-path bound  T >= max(T∞, the same with whole latencies): one sweep a set of sizes
//   schedule             T of the greedy schedule
// An objective grows as T shrinks, so a bound of T gives one of the objective.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "orrery/explore/accelerator_plan.h"
#include "orrery/explore/design_price.h"
#include "orrery/explore/latency_tables.h"
#include "orrery/schedule/cores/gang_schedule.h"
#include "orrery/schedule/cores/list_schedule.h"
#include "orrery/schedule/cores/mirror_conflicts.h"

namespace orrery::explore {

// Read by all evaluators of one study, on any thread.
struct SharedCosts {
  explicit SharedCosts(const AcceleratorStudy& study) : tables(study), prices(study) {}
  LatencyTables tables;
  DesignPrices prices;
};

struct DesignScore {
  double objective = 0;  // -infinity where it is less than any: a throughput that is asked is not met
  bool meets_throughput = true;
  std::vector<double> seconds;  // one a workload
};

// Not thread-safe: one a thread, on common SharedCosts. The study must outlive it.
class DesignEvaluator {
 public:
  // Throws InputError for a study that makes no sense: no workload, an empty graph, no accelerator.
  DesignEvaluator(const AcceleratorStudy& study, std::shared_ptr<SharedCosts> costs);
  explicit DesignEvaluator(const AcceleratorStudy& study)
      : DesignEvaluator(study, std::make_shared<SharedCosts>(study)) {}

  const AcceleratorStudy& study() const { return study_; }
  const DesignPrices& prices() const { return costs_->prices; }
  const std::shared_ptr<SharedCosts>& costs() const { return costs_; }
  bool affordable(const DesignPoint& point) const { return costs_->prices.affordable(point); }

  // Objectives that no schedule of the point exceeds; -infinity where the throughput that is asked is out of
  // reach.
  double work_bound(const DesignPoint& point);
  double critical_path_bound(const DesignPoint& point);
  DesignScore evaluate(const DesignPoint& point);

  // Of workload `w`, priced for the sizes of the point: valid until the next call of any other member.
  schedule::ListScheduler& scheduler(const DesignPoint& point, size_t w);
  const schedule::TaskGraph& tasks(size_t w) const { return loads_[w].tasks; }
  // Objective of times that are known, seconds a workload.
  DesignScore score(const DesignPoint& point, std::vector<double> seconds);
  // Of one pass of workload w that takes `seconds`: dynamic and leakage, J.
  double energy(const DesignPoint& point, size_t w, double seconds);
  // DRAM traffic of each task of workload w over what DRAM moves within its duration, 0 to 1; after
  // scheduler(point, w).
  std::vector<double> dram_demand(const DesignPoint& point, size_t w);
  // All figures of a design, and its schedule.
  EvaluatedDesign describe(const DesignPoint& point);
  WorkloadSchedule schedule(const DesignPoint& point, size_t w);
  // Workload w where an operator may take several matrix cores (cut along its batch, M or N): what lies below
  // the critical path of single cores.
  schedule::GangSchedule gangs(const DesignPoint& point, size_t w);
  // What each operator of workload w spends its time on, as kCriticalParts; after scheduler(point, w).
  std::vector<uint8_t> bound_by(const DesignPoint& point, size_t w);

  const SearchWork& work() const { return work_; }
  SearchWork take_work();
  void add_work(const SearchWork& work);  // of another evaluator, or of schedules made directly

 private:
  struct Load {  // a workload as tasks
    schedule::TaskGraph tasks;
    std::unique_ptr<schedule::ListScheduler> scheduler;
    std::vector<uint32_t> kernel;  // of each task, of this workload
    std::vector<double> count;     // of each kernel
  };
  struct Sizes {  // what latencies depend on
    int columns = 0, rows = 0, lanes = 0;
    int64_t global_buffer = 0;
    auto operator<=>(const Sizes&) const = default;
  };
  struct Path {  // of one set of sizes, cycles a workload
    std::vector<double> critical, matrix, vector;
  };

  void load(const DesignPoint& point);
  const Path& path(const DesignPoint& point);
  const std::vector<double>& matrix_work(const DesignPoint& point);  // cycles a workload, least
  const std::vector<double>& vector_work(int lanes);
  const std::vector<double>& dynamic_energy(const DesignPoint& point);  // J a workload
  double objective(const DesignPoint& point, std::span<const double> seconds, bool& meets_throughput);
  cost::CycleRates rates(const DesignPoint& point) const;
  static Sizes sizes(const DesignPoint& p) { return {p.columns, p.rows, p.lanes, p.global_buffer}; }

  const AcceleratorStudy& study_;
  std::shared_ptr<SharedCosts> costs_;
  std::vector<Load> loads_;
  std::vector<double> cycles_;      // of every kernel, for the loaded sizes
  std::vector<int64_t> durations_;  // scratch: of every task of a workload
  Sizes loaded_;
  double second_ = 0;  // a cycle
  std::map<Sizes, Path> paths_;
  std::map<std::array<int64_t, 3>, std::vector<double>> matrix_work_, energy_;
  std::map<int, std::vector<double>> vector_work_;
  std::vector<double> reference_;  // objective of each workload on the reference design
  std::map<Sizes, bool> scheduled_sizes_;
  SearchWork work_;
};

}  // namespace orrery::explore
