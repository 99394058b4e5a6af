// Networks of the ONNX project and BERT as training graphs: how good and how quick the searches are on them.
// The convolutional ones need the folder wham/onnx of ORRERY_DATA.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "orrery/base/storage.h"
#include "orrery/explore/convergence.h"
#include "orrery/explore/search_state.h"
#include "orrery/explore/workload_graph.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::explore {
namespace {

struct Network {
  const char* file;
  int64_t batch;
};
constexpr Network kNetworks[] = {
    {"resnet50", 32}, {"inception_v2", 64}, {"squeezenet", 64}, {"densenet121", 16}};

std::string path_of(const std::string& network) {
  const char* data = std::getenv("ORRERY_DATA");
  return data ? std::string(data) + "/wham/onnx/light_" + network + ".onnx" : "";
}

AcceleratorStudy study_of(const Network& network) {
  AcceleratorStudy study;
  study.base = hardware::Catalogue::shipped().device("tpuv2");
  WorkloadRequest request;
  request.source = path_of(network.file);
  request.batch = network.batch;
  request.optimizer = graph::Optimizer::Sgd;
  study.workloads.push_back(read_workload(request));
  study.space = power_of_two_space();
  study.space.matrix_cores = {1, 2, 3, 4, 6, 8};
  study.limits.area = SquareMetres(200e-6);
  study.options.dataflow = cost::Dataflow::WeightStationary;
  return study;
}

#define SKIP_WITHOUT_DATA() \
  if (!file_exists(path_of(kNetworks[0].file))) GTEST_SKIP() << "ORRERY_DATA names no folder with wham/onnx"

TEST(RealNetworks, branch_and_bound_schedules_few_designs_and_the_pruner_comes_near) {
  SKIP_WITHOUT_DATA();
  for (const Network& network : kNetworks) {
    AcceleratorStudy study = study_of(network);
    for (AcceleratorObjective objective :
         {AcceleratorObjective::PerformancePerTdp, AcceleratorObjective::Throughput}) {
      study.objective = objective;
      SearchOptions exhaustive, pruner, conflicts;
      exhaustive.search = AcceleratorSearch::Exhaustive;
      pruner.search = conflicts.search = AcceleratorSearch::Pruner;
      conflicts.counts_by_conflicts = true;
      SearchState all(study, exhaustive, {}), bound(study, {}, {}), pruned(study, pruner, {}),
          mirrored(study, conflicts, {});
      search_exhaustively(all);
      EXPECT_EQ(search_exactly(bound).stop, solve::Stop::Proven);
      search_by_pruning(pruned);
      search_by_pruning(mirrored);
      const double best = all.best_objective();
      const SearchWork exact = bound.evaluator().take_work(), tree = pruned.evaluator().take_work(),
                       mirror = mirrored.evaluator().take_work();
      const std::string key = std::string(network.file) + "_" + std::string(name(objective));
      RecordProperty(key,
                     fmt::format("{} of {} designs, {:.5g}; exact {} schedules of {} sizes; pruner {:.4f} "
                                 "in {}; mirror conflicts {:.4f} in {}",
                                 tuple_text(all.best().point), all.designs().size(), best, exact.schedules,
                                 exact.dimension_sets, pruned.best_objective() / best, tree.schedules,
                                 mirrored.best_objective() / best, mirror.schedules));
      EXPECT_EQ(bound.best_objective(), best) << network.file;
      EXPECT_LE(exact.schedules, 50u) << network.file;
      EXPECT_LE(exact.dimension_sets, 12u) << network.file;
      EXPECT_GE(pruned.best_objective(), 0.99 * best) << network.file;
      EXPECT_LE(tree.schedules, 200u) << network.file;
      EXPECT_GE(mirrored.best_objective(), 0.99 * best) << network.file;
      EXPECT_LE(mirror.schedules, 200u) << network.file;
    }
  }
}

TEST(RealNetworks, no_search_needs_fewer_schedules_than_branch_and_bound) {
  SKIP_WITHOUT_DATA();
  AcceleratorStudy study = study_of(kNetworks[2]);
  RunContext context;
  context.threads = 1;
  const Convergence found = compare_searches(study, 5, context);
  ASSERT_EQ(found.rows.size(), 8u);
  const double exact = found.rows[0].median_schedules;
  for (const ConvergenceRow& row : found.rows) {
    RecordProperty(row.search, fmt::format("{} of {} runs, {} schedules, {:.2g} s", row.reached, row.runs,
                                           row.median_schedules, row.median_seconds));
    EXPECT_GE(row.median_schedules, exact) << row.search;
  }
  EXPECT_GE(found.rows.back().median_schedules, 31 * exact);  // random
}

TEST(RealNetworks, a_design_no_larger_than_tpuv2_is_faster) {
  SKIP_WITHOUT_DATA();
  for (const Network& network : kNetworks) {
    AcceleratorStudy study = study_of(network);
    study.objective = AcceleratorObjective::Throughput;
    for (int lanes : {128, 1024}) {
      DesignPoint reference;
      reference.matrix_cores = reference.vector_cores = 2;
      reference.lanes = lanes;
      study.space.lanes = {16, 32, 64, 128, 256, 512, 1024};
      const VersusReference found = compare_with_reference(study, reference, {});
      RecordProperty(fmt::format("{}_{}", network.file, lanes),
                     fmt::format("{} throughput x {:.3f}, per watt x {:.3f}", tuple_text(found.best.point),
                                 found.throughput_gain, found.perf_per_tdp_gain));
      EXPECT_EQ(found.stop, solve::Stop::Proven);
      EXPECT_GE(found.throughput_gain, 1) << network.file;
      EXPECT_LE(found.best.core.value(), found.reference.core.value() * (1 + 1e-9));
      EXPECT_LE(found.best.tdp.value(), found.reference.tdp.value() * (1 + 1e-9));
    }
  }
}

TEST(RealNetworks, batch_of_a_frozen_file_is_what_is_asked) {
  SKIP_WITHOUT_DATA();
  for (const char* network : {"bvlc_alexnet", "inception_v1", "densenet121"}) {
    WorkloadRequest one, eight;
    one.source = eight.source = path_of(network);
    one.train = eight.train = false;
    one.batch = 1;
    eight.batch = 8;
    EXPECT_EQ(8 * graph::matrix_flops(read_workload(one).graph).value(),
              graph::matrix_flops(read_workload(eight).graph).value())
        << network;
  }
}

}  // namespace
}  // namespace orrery::explore
