#include "orrery/explore/accelerator_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "orrery/base/test_support.h"
#include "orrery/explore/search_state.h"
#include "orrery/explore/test_workloads.h"
#include "orrery/hardware/accelerator_cost.h"

namespace orrery::explore {
namespace {

constexpr AcceleratorObjective kObjectives[] = {AcceleratorObjective::Throughput,
                                                AcceleratorObjective::PerformancePerTdp,
                                                AcceleratorObjective::EnergyDelay};

AcceleratorPlan plan(const AcceleratorStudy& study, AcceleratorSearch search, int threads = 1,
                     uint64_t seed = 1) {
  SearchOptions options;
  options.search = search;
  RunContext context;
  context.threads = threads;
  context.seed = Seed{seed};
  return plan_accelerator(study, options, context);
}

TEST(DesignEvaluator, agrees_with_the_operator_model_and_the_scheduler) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    AcceleratorStudy study = random_study(seed);
    DesignEvaluator evaluator(study);
    const graph::Graph& graph = study.workloads[0].graph;
    for (DesignPoint point : {DesignPoint{2, 32, 64, 1, 128, int64_t{8} << 20},
                              DesignPoint{1, 256, 16, 3, 32, int64_t{1} << 20}, DesignPoint{}}) {
      const hardware::Device chip = device(point, study.base);
      std::vector<cost::OperatorCost> costs(graph.kernels.size());
      cost::AcceleratorModel(study.options).price(graph.kernels, chip, {1, 1, 1}, costs);
      const schedule::TaskGraph tasks = schedule::task_graph(graph, costs, chip.accelerator()->clock);
      schedule::ListScheduler greedy(tasks);
      const double second = 1 / chip.accelerator()->clock.value();
      const double makespan = static_cast<double>(greedy.schedule(point.counts()).makespan) * second;
      const EvaluatedDesign design = evaluator.describe(point);
      EXPECT_DOUBLE_EQ(design.workloads[0].makespan.value(), makespan);
      EXPECT_DOUBLE_EQ(design.workloads[0].throughput, 4 / makespan);
      double joules = 0;
      for (const graph::Operator& op : graph.operators) joules += costs[op.kernel].energy.value();
      const hardware::AreaBreakdown area =
          hardware::area(*chip.accelerator(), hardware::area_table("cacti22-w16"));
      joules += chip.accelerator()->energy.leakage * area.core().value() * makespan;
      EXPECT_NEAR(design.workloads[0].energy.value() / joules, 1, 1e-12);
      EXPECT_NEAR(design.core.value() / area.core().value(), 1, 1e-12);
      EXPECT_NEAR(design.chip.value() / area.chip().value(), 1, 1e-12);
      const double tdp =
          hardware::thermal_design_power(*chip.accelerator(), chip.memory_bandwidth, area.core())
              .total()
              .value();
      EXPECT_NEAR(design.tdp.value() / tdp, 1, 1e-12);
      double critical = 0;
      for (Seconds part : design.workloads[0].critical_by) critical += part.value();
      EXPECT_NEAR(critical / design.workloads[0].critical_path.value(), 1, 1e-9);
      EXPECT_LE(design.workloads[0].bound, design.workloads[0].makespan);
      EXPECT_GE(design.workloads[0].shared_dram_makespan, design.workloads[0].makespan);
    }
  }
}

TEST(DesignEvaluator, cores_that_share_dram_are_slower_only_where_dram_binds_them) {
  AcceleratorStudy study = random_study(3);
  const DesignPoint point{4, 256, 256, 4, 1024, int64_t{8} << 20};
  auto stretch = [&](double bandwidth) {
    study.base.memory_bandwidth = BytesPerSecond(bandwidth);
    const WorkloadFigures figures = evaluate_design(study, point).workloads[0];
    return figures.shared_dram_makespan / figures.makespan;
  };
  EXPECT_GT(stretch(1e10), 1.05);
  EXPECT_DOUBLE_EQ(stretch(1e18), 1);
}

TEST(DesignEvaluator, bounds_tighten_and_no_schedule_exceeds_them) {
  for (AcceleratorObjective objective : kObjectives) {
    AcceleratorStudy study = random_study(7, 2);
    study.objective = objective;
    study.reference = DesignPoint{};
    DesignEvaluator evaluator(study);
    for (const DesignPoint& point : affordable_designs(study.space, evaluator.prices())) {
      const double work = evaluator.work_bound(point), path = evaluator.critical_path_bound(point),
                   scheduled = evaluator.evaluate(point).objective;
      EXPECT_GE(work * (1 + 1e-12), path) << tuple_text(point);
      EXPECT_GE(path * (1 + 1e-12), scheduled) << tuple_text(point);
    }
  }
}

TEST(AcceleratorSearch, branch_and_bound_finds_what_scheduling_every_design_finds) {
  for (AcceleratorObjective objective : kObjectives) {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      AcceleratorStudy study = random_study(seed, 1 + seed % 2, 40);
      study.objective = objective;
      if (seed % 2) study.reference = DesignPoint{};
      if (seed == 3)
        study.workloads[0].least_throughput =
            evaluate_design(study, {2, 64, 64, 2, 128}).workloads[0].throughput;
      AcceleratorPlan all = plan(study, AcceleratorSearch::Exhaustive),
                      exact = plan(study, AcceleratorSearch::Exact);
      ASSERT_TRUE(all.result.best && exact.result.best);
      EXPECT_EQ(exact.result.objective, all.result.objective);
      EXPECT_EQ(exact.result.stop, solve::Stop::Proven);
      EXPECT_EQ(exact.result.gap(), 0);
      EXPECT_LT(exact.work.evaluations, all.work.evaluations);
      EXPECT_EQ(all.work.evaluations, all.work.feasible_designs);
      EXPECT_GE(exact.bound_of_any_schedule, exact.result.objective);
      EXPECT_NEAR(exact.bound_of_any_schedule, all.bound_of_any_schedule, 1e-9 * all.bound_of_any_schedule);
    }
  }
}

TEST(AcceleratorSearch, every_search_stays_within_its_space_and_its_bound) {
  AcceleratorStudy study = random_study(11);
  const double best = plan(study, AcceleratorSearch::Exhaustive).result.objective;
  for (AcceleratorSearch search :
       {AcceleratorSearch::Exact, AcceleratorSearch::Pruner, AcceleratorSearch::Random,
        AcceleratorSearch::Bayesian, AcceleratorSearch::Genetic}) {
    AcceleratorPlan found = plan(study, search);
    ASSERT_TRUE(found.result.best) << name(search);
    EXPECT_LE(found.result.objective, best) << name(search);
    EXPECT_GE(found.result.objective, 0.9 * best) << name(search);
    EXPECT_GE(found.result.bound, best) << name(search);
    EXPECT_EQ(parse_accelerator_search(name(search)), search);
    for (const DesignRecord& design : found.designs) {
      EXPECT_LE(evaluate_design(study, design.point).core, study.limits.area);
    }
    EXPECT_EQ(found.top.front().point, found.result.best->point);
    EXPECT_FALSE(found.schedules.front().operators.empty());
  }
}

TEST(AcceleratorSearch, threads_change_nothing_and_seeds_do) {
  AcceleratorStudy study = random_study(5);
  for (AcceleratorSearch search : {AcceleratorSearch::Exhaustive, AcceleratorSearch::Exact,
                                   AcceleratorSearch::Random, AcceleratorSearch::Genetic}) {
    AcceleratorPlan one = plan(study, search, 1), two = plan(study, search, 2);
    EXPECT_EQ(one.result.best->point, two.result.best->point);
    ASSERT_EQ(one.designs.size(), two.designs.size());
    for (size_t i = 0; i < one.designs.size(); ++i) {
      EXPECT_EQ(one.designs[i].point, two.designs[i].point);
      EXPECT_EQ(one.designs[i].makespans, two.designs[i].makespans);
    }
  }
  EXPECT_NE(plan(study, AcceleratorSearch::Random, 1, 1).designs[0].point,
            plan(study, AcceleratorSearch::Random, 1, 2).designs[0].point);
}

TEST(AcceleratorSearch, ended_early_it_has_a_best_and_a_bound) {
  AcceleratorStudy study = random_study(3);
  const double best = plan(study, AcceleratorSearch::Exhaustive).result.objective;
  for (AcceleratorSearch search : {AcceleratorSearch::Exact, AcceleratorSearch::Exhaustive}) {
    SearchOptions options;
    options.search = search;
    RunContext context;
    context.max_evaluations = 2;
    AcceleratorPlan cut = plan_accelerator(study, options, context);
    const bool proven = search == AcceleratorSearch::Exact && cut.result.objective == best;
    EXPECT_EQ(cut.result.stop, proven ? solve::Stop::Proven : solve::Stop::WorkLimit);
    ASSERT_TRUE(cut.result.best);
    EXPECT_LE(cut.designs.size(), 2u);
    EXPECT_GE(cut.result.bound, best);
  }
  std::stop_source stop;
  stop.request_stop();
  RunContext context;
  context.stop = stop.get_token();
  const AcceleratorPlan at_once = plan_accelerator(study, {}, context);
  EXPECT_EQ(at_once.result.stop, solve::Stop::Interrupted);
  EXPECT_TRUE(at_once.result.best);  // the most promising design is always tried
  EXPECT_GE(at_once.result.bound, best);
}

TEST(AcceleratorSearch, time_is_looked_at_within_a_batch_of_designs) {
  AcceleratorStudy study = random_study(3, 4, 2000);
  SearchOptions options;
  options.search = AcceleratorSearch::Exhaustive;
  RunContext context;
  context.threads = 1;
  context.time = Seconds(0.01);
  const AcceleratorPlan cut = plan_accelerator(study, options, context);
  EXPECT_EQ(cut.result.stop, solve::Stop::TimeLimit);
  EXPECT_TRUE(cut.result.best);
  EXPECT_LT(cut.work.evaluations, cut.work.feasible_designs);
  EXPECT_GE(cut.result.bound, cut.result.objective);
}

TEST(AcceleratorSearch, names_what_is_short_when_nothing_is_feasible) {
  AcceleratorStudy study = random_study(3);
  study.limits.area = SquareMetres(1e-6);
  AcceleratorPlan small = plan(study, AcceleratorSearch::Exact);
  EXPECT_EQ(small.result.stop, solve::Stop::Infeasible);
  ASSERT_EQ(small.result.shortfalls.size(), 1u);
  EXPECT_EQ(small.result.shortfalls[0].constraint, "area");
  study.limits = {SquareMetres(80e-6), Watts(10)};
  EXPECT_EQ(plan(study, AcceleratorSearch::Exact).result.shortfalls.at(0).constraint, "power");
  study.limits.power = Watts(0);
  study.workloads[0].least_throughput = 1e12;
  AcceleratorPlan slow = plan(study, AcceleratorSearch::Exact);
  EXPECT_FALSE(slow.result.best);
  EXPECT_EQ(slow.result.shortfalls.at(0).constraint, "throughput");
  EXPECT_LT(slow.result.shortfalls.at(0).available, 1e12);
}

TEST(AcceleratorSearch, refuses_studies_without_sense) {
  AcceleratorStudy study = random_study(3);
  study.space.rows = {64, 32};
  EXPECT_NE(error_of([&] { plan(study, AcceleratorSearch::Exact); }).find("rows"), std::string::npos);
  study = random_study(3);
  study.workloads.clear();
  EXPECT_NE(error_of([&] { plan(study, AcceleratorSearch::Exact); }).find("workload"), std::string::npos);
  study = random_study(3);
  study.base = hardware::Catalogue::shipped().device("h100");
  EXPECT_NE(error_of([&] { plan(study, AcceleratorSearch::Exact); }).find("no accelerator"),
            std::string::npos);
}

TEST(AcceleratorSpace, of_phaze_holds_as_many_designs_as_its_tables) {
  AcceleratorStudy study = random_study(1);
  study.limits.area = SquareMetres(278826676.313e-12);
  study.space = phaze_space(study.limits.area);
  study.base = hardware::Catalogue::shipped().device("tpuv2");
  EXPECT_EQ(affordable_designs(study.space, DesignPrices(study)).size(), 29360u);
}

TEST(AcceleratorPlan, front_holds_no_design_that_another_beats) {
  AcceleratorStudy study = random_study(2);
  AcceleratorPlan found = plan(study, AcceleratorSearch::Exact);
  ASSERT_GT(found.result.front.size(), 3u);
  for (const EvaluatedDesign& a : found.result.front) {
    for (const EvaluatedDesign& b : found.result.front) {
      EXPECT_FALSE(a.workloads[0].throughput > b.workloads[0].throughput && a.tdp < b.tdp &&
                   a.core < b.core && a.workloads[0].energy < b.workloads[0].energy);
    }
  }
}

}  // namespace
}  // namespace orrery::explore
