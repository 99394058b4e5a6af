// What an accelerator plan claims (docs/schema/accelerator-plan-1.json), claim by claim: area, power, the
// schedule of every operator, its makespan, the objective, and that no design of the grid is better.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "orrery/explore/study_file.h"
#include "orrery/schedule/cores/list_schedule.h"
#include "orrery/study/check/accelerator_recount.h"
#include "orrery/study/check/check.h"

namespace orrery::study {
namespace {

constexpr double kCounted = 1e-9;  // sums of doubles in another order
constexpr double kEnergy = 1e-6;   // as the plan sums it by kernels
constexpr double kShared = 1e-6;   // as it simulates it from traffic summed by kernels
constexpr int kMostCores = 1 << 20, kMostSide = 1 << 20;
constexpr int64_t kMostCycles = int64_t{1} << 52;

explore::DesignPoint read_point(const Node& node) {
  explore::DesignPoint point;
  point.matrix_cores = static_cast<int>(node.at("matrix_cores").as_integer(1, kMostCores));
  point.columns = static_cast<int>(node.at("columns").as_integer(1, kMostSide));
  point.rows = static_cast<int>(node.at("rows").as_integer(1, kMostSide));
  point.vector_cores = static_cast<int>(node.at("vector_cores").as_integer(1, kMostCores));
  point.lanes = static_cast<int>(node.at("lanes").as_integer(1, kMostSide));
  point.global_buffer = node.at("global_buffer_bytes").as_integer(1, int64_t{1} << 50);
  return point;
}

// The study without the searches' own evaluation: a least throughput that is the reference's is scheduled
// here.
explore::AcceleratorStudy read_study(const Node& root, const std::string& path,
                                     std::vector<std::string>& notes) {
  explore::StudySpec spec =
      explore::read_study_spec(root.at("study"), std::filesystem::path(path).parent_path().string());
  std::vector<uint8_t> by_reference;
  for (explore::WorkloadSpec& load : spec.workloads) {
    by_reference.push_back(load.least_is_reference);
    load.least_is_reference = false;
  }
  explore::BuiltStudy built = explore::build_study(spec);
  explore::AcceleratorStudy& study = built.study;
  notes = built.notes;
  if (std::ranges::find(by_reference, 1) == by_reference.end()) return std::move(study);
  const std::vector<LoadRecount> loads = recount_loads(study, *study.reference);
  const std::vector<double> seconds = greedy_seconds(study, *study.reference, loads);
  for (size_t w = 0; w < loads.size(); ++w) {
    if (by_reference[w]) study.workloads[w].least_throughput = study.workloads[w].samples / seconds[w];
  }
  return std::move(study);
}

class AcceleratorChecker {
 public:
  AcceleratorChecker(const Node& root, const std::string& path, Verification& result)
      : root_(root), result_(result), study_(read_study(root, path, result.notes)) {}

  void run() {
    const Node* best = root_.find("best");
    if (!best) return check_nothing();
    point_ = read_point(best->at("point"));
    price_ = recount_price(study_, point_);
    loads_ = recount_loads(study_, point_);
    check_price(*best);
    std::vector<double> seconds = check_schedules(*best);
    check_reference();
    check_objective(*best, seconds);
    check_certificate(best->at("objective").as_number());
  }

 private:
  void add(Claim claim) { result_.claims.push_back(std::move(claim)); }
  void yes_or_no(const std::string& name, const std::string& fault, const std::string& otherwise) {
    add({name, otherwise, fault.empty() ? otherwise : "not so",
         fault.empty() ? Verdict::Holds : Verdict::Fails, fault});
  }

  // A search that was stopped before it found a design claims nothing.
  void check_nothing() {
    if (root_.at("stop").as_string() != solve::name(solve::Stop::Infeasible)) {
      result_.notes.push_back("the search was stopped before it found a design: nothing is claimed");
      return;
    }
    const GridRecount grid = recount_grid(study_, 0);
    yes_or_no("no design is feasible",
              grid.best > 0 ? explore::tuple_text(grid.best_point) + " is within all limits" : "",
              fmt::format("{} designs", grid.designs));
  }

  void check_price(const Node& best) {
    constexpr double kSquareMillimetres = 1e6;
    add(figure_claim("area of the cores, mm2", best.at("core_area_mm2").as_number(),
                     price_.core.value() * kSquareMillimetres, kCounted));
    add(figure_claim("area of the chip, mm2", best.at("chip_area_mm2").as_number(),
                     price_.chip.value() * kSquareMillimetres, kCounted));
    add(figure_claim("thermal design power, W", best.at("tdp_W").as_number(), price_.tdp.value(), kCounted));
    yes_or_no("within the limits", passed_limit(study_, price_), "yes");
  }

  // The schedule of each workload as it is claimed; returns its makespans, seconds.
  std::vector<double> check_schedules(const Node& best) {
    const std::vector<Node>& schedules = root_.at("schedules").items();
    const std::vector<Node>& figures = best.at("workloads").items();
    if (schedules.size() != loads_.size() || figures.size() != loads_.size())
      root_.at("schedules")
          .fail(fmt::format("{} schedules; expected one for each of {} workloads", schedules.size(),
                            loads_.size()));
    const double clock = study_.base.accelerator()->clock.value();
    std::vector<double> seconds;
    for (size_t w = 0; w < loads_.size(); ++w) {
      const std::string& name = study_.workloads[w].name;
      std::string fault;
      const schedule::CoreSchedule claimed = read_schedule(schedules[w], loads_[w].tasks, clock, fault);
      if (fault.empty()) fault = schedule::broken_schedule(loads_[w].tasks, claimed);
      yes_or_no(name + ": the schedule is legal", fault,
                fmt::format("{} operators, every one after what it reads, one a core", claimed.start.size()));
      seconds.push_back(static_cast<double>(claimed.makespan) / clock);
      add(figure_claim(name + ": makespan, s", figures[w].at("makespan_s").as_number(), seconds.back(),
                       kCounted));
      // Plans from before it was a figure claim nothing of it.
      if (const Node* shared = figures[w].find("shared_dram_makespan_s"); shared && fault.empty())
        add(figure_claim(name + ": makespan with DRAM shared, s", shared->as_number(),
                         shared_dram_seconds(study_, loads_[w], claimed), kShared));
      add(figure_claim(name + ": critical path, s", figures[w].at("critical_path_s").as_number(),
                       static_cast<double>(loads_[w].critical_path) / clock, kCounted));
      const double least =
                       static_cast<double>(std::max(
                           loads_[w].bound(point_.counts()),
                           schedule::threshold_bound(loads_[w].tasks, schedule::criticality(loads_[w].tasks),
                                                     point_.counts()))) /
                       clock,
                   bound = figures[w].at("bound_s").as_number();
      const bool holds = bound <= seconds.back() * (1 + kCounted);
      add({name + ": no schedule is shorter, s", fmt::format("{:.7g}", bound),
           fmt::format(">= {:.7g}", least),
           !holds                            ? Verdict::Fails
           : bound <= least * (1 + kCounted) ? Verdict::Holds
                                             : Verdict::NotProven,
           holds ? "" : "the claimed schedule is shorter"});
      add(figure_claim(name + ": samples a second", figures[w].at("throughput_per_s").as_number(),
                       study_.workloads[w].samples / seconds.back(), kCounted));
      add(figure_claim(name + ": energy of a pass, J", figures[w].at("energy_J").as_number(),
                       loads_[w].dynamic_energy +
                           study_.base.accelerator()->energy.leakage * price_.core.value() * seconds.back(),
                       kEnergy));
    }
    return seconds;
  }

  // The plan holds no schedule of the reference: the greedy one is laid out here.
  void check_reference() {
    const Node* claimed = root_.find("reference");
    if (!study_.reference || !claimed) return;
    const std::vector<LoadRecount> loads = recount_loads(study_, *study_.reference);
    const std::vector<Node>& figures = claimed->at("workloads").items();
    if (figures.size() != loads.size()) claimed->at("workloads").fail("expected one entry for each workload");
    for (size_t w = 0; w < loads.size(); ++w) {
      const std::string name = "reference, " + study_.workloads[w].name;
      const schedule::CoreSchedule laid =
          schedule::ListScheduler(loads[w].tasks).schedule(study_.reference->counts());
      add(figure_claim(name + ": makespan, s", figures[w].at("makespan_s").as_number(),
                       static_cast<double>(laid.makespan) / study_.base.accelerator()->clock.value(),
                       kCounted));
      if (const Node* shared = figures[w].find("shared_dram_makespan_s"))
        add(figure_claim(name + ": makespan with DRAM shared, s", shared->as_number(),
                         shared_dram_seconds(study_, loads[w], laid), kShared));
    }
  }

  schedule::CoreSchedule read_schedule(const Node& node, const schedule::TaskGraph& tasks, double clock,
                                       std::string& fault) const {
    const std::vector<Node>& operators = node.at("operators").items();
    schedule::CoreSchedule claimed;
    claimed.counts = point_.counts();
    if (operators.size() != tasks.size()) {
      fault = fmt::format("{} operators, the workload has {}", operators.size(), tasks.size());
      return claimed;
    }
    claimed.ready.assign(tasks.size(), 0);
    claimed.start.assign(tasks.size(), -1);
    claimed.core.assign(tasks.size(), {schedule::kNoCore, schedule::kNoCore});
    for (const Node& op : operators) {
      const auto id =
          static_cast<size_t>(op.at("operator").as_integer(0, static_cast<int64_t>(tasks.size()) - 1));
      if (claimed.start[id] >= 0) {
        fault = fmt::format("operator {} stands twice", id);
        return claimed;
      }
      const double start = std::round(op.at("start_s").as_number(0, 1e12) * clock),
                   duration = std::round(op.at("duration_s").as_number(0, 1e12) * clock);
      if (!(start < static_cast<double>(kMostCycles))) op.at("start_s").fail("a start beyond 2^52 cycles");
      claimed.start[id] = static_cast<int64_t>(start);
      if (duration != static_cast<double>(tasks[id].duration) && fault.empty())
        fault = fmt::format("operator {} takes {} cycles, not {:.0f}", id, tasks[id].duration, duration);
      if (const Node* core = op.find("matrix_core"))
        claimed.core[id][0] = static_cast<int32_t>(core->as_integer(0, kMostCores));
      if (const Node* core = op.find("vector_core"))
        claimed.core[id][1] = static_cast<int32_t>(core->as_integer(0, kMostCores));
      claimed.makespan = std::max(claimed.makespan, claimed.start[id] + tasks[id].duration);
    }
    // An operator is ready when what it reads has ended.
    for (size_t t = 0; t < tasks.size(); ++t) {
      for (schedule::TaskId p : tasks.predecessors(t))
        claimed.ready[t] = std::max(claimed.ready[t], claimed.start[p] + tasks[p].duration);
    }
    return claimed;
  }

  void check_objective(const Node& best, const std::vector<double>& seconds) {
    add(figure_claim("objective", best.at("objective").as_number(),
                     recount_objective(study_, price_, loads_, seconds, reference_values(study_)), kCounted));
  }

  void check_certificate(double objective) {
    const std::string& stop = root_.at("stop").as_string();
    const bool proven = stop == solve::name(solve::Stop::Proven);
    const double bound = proven ? objective : std::max(objective, root_.at("bound").as_number());
    if (!(bound < 1e300)) return;
    const GridRecount grid = recount_grid(study_, bound * (1 + kCounted));
    const bool better = grid.best > bound * (1 + kCounted);
    add({proven ? "no design of the grid is better" : "no design of the grid passes the bound",
         fmt::format("{:.7g}", bound),
         fmt::format("{} designs: {} over a limit, {} cannot on any schedule, {} scheduled, none better",
                     grid.designs, grid.over_limits, grid.bounded_out, grid.scheduled),
         better ? Verdict::Fails : Verdict::Holds,
         better ? fmt::format("{} has {:.7g}", explore::tuple_text(grid.best_point), grid.best) : ""});
    if (better) result_.claims.back().recomputed = fmt::format("{:.7g}", grid.best);
  }

  const Node& root_;
  Verification& result_;
  explore::AcceleratorStudy study_;
  explore::DesignPoint point_;
  DesignPriceRecount price_;
  std::vector<LoadRecount> loads_;
};

}  // namespace

Verification check_accelerator_plan(const Node& root, const std::string& path, const CheckOptions&) {
  Verification result;
  result.file = path;
  result.schema = root.at("schema").as_string();
  result.subject = root.at("verdict").as_string();
  AcceleratorChecker(root, path, result).run();
  return result;
}

}  // namespace orrery::study
