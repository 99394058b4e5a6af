#include "orrery/explore/workload_graph.h"

#include <gtest/gtest.h>

#include "orrery/explore/design_evaluator.h"
#include "orrery/explore/test_workloads.h"

namespace orrery::explore {
namespace {

using graph::OperatorKind;

WorkloadRequest bert(bool train) {
  WorkloadRequest request;
  request.source = "bert-base";
  request.batch = 2;
  request.sequence = 64;
  request.train = train;
  return request;
}

TEST(WorkloadGraph, fusion_and_lumping_keep_every_product_and_every_dependency) {
  for (bool train : {false, true}) {
    WorkloadRequest plain = bert(train);
    plain.options = {std::nullopt, false, BackwardForm::Split};
    const AcceleratorWorkload given = read_workload(plain);
    for (BackwardForm form : {BackwardForm::Split, BackwardForm::Lumped}) {
      WorkloadRequest request = bert(train);
      request.options.backward = form;
      const AcceleratorWorkload workload = read_workload(request);
      EXPECT_EQ(graph::broken_invariant(workload.graph), "");
      EXPECT_EQ(graph::matrix_flops(workload.graph).value(), graph::matrix_flops(given.graph).value());
      EXPECT_LT(workload.graph.operators.size(), given.graph.operators.size());
    }
  }
}

TEST(WorkloadGraph, a_product_takes_the_activation_that_alone_reads_it) {
  graph::GraphBuilder builder;
  auto x = builder.input(Bytes(64), graph::TensorKind::Input),
       w = builder.input(Bytes(64), graph::TensorKind::Weight);
  auto gemm = graph::make(graph::GemmSize{1, 8, 8, 8}, DataType::FP32, DataType::FP32);
  auto relu = graph::make(OperatorKind::Relu, {.rows = 8, .columns = 8}, DataType::FP32);
  auto add = graph::make(OperatorKind::Add, {.rows = 8, .columns = 8, .inputs = 2}, DataType::FP32);
  auto a = builder.add("a", 0, gemm, std::vector{x, w}, Bytes(256));
  auto b = builder.add("b", 0, relu, std::vector{a}, Bytes(256));
  auto c = builder.add("c", 0, gemm, std::vector{b, w}, Bytes(256));
  builder.add("d", 0, add, std::vector{c, b}, Bytes(256));  // reads two results: stays apart
  const graph::Graph graph = workload_graph(builder.take(1), {});
  ASSERT_EQ(graph.operators.size(), 3u);
  const graph::Kernel& fused = graph.kernels[graph.operators[0].kernel];
  ASSERT_EQ(fused.parts.size(), 2u);
  EXPECT_EQ(fused.parts[0].type, DataType::BF16);
  EXPECT_EQ(fused.parts[1].kind, OperatorKind::Relu);
  EXPECT_EQ(graph::traffic(fused.parts[1]).read.value() + graph::traffic(fused.parts[1]).written.value(), 0);
  EXPECT_EQ(graph.inputs(graph.operators[2]).size(), 2u);
}

TEST(WorkloadGraph, a_result_that_a_gradient_reads_is_still_written) {
  WorkloadRequest request = bert(true);
  const AcceleratorWorkload trained = read_workload(request), inferred = read_workload(bert(false));
  auto written = [](const graph::Graph& graph) {
    double bytes = 0;
    for (const graph::Operator& op : graph.operators) {
      const graph::Kernel& kernel = graph.kernels[op.kernel];
      if (kernel.parts.size() < 2 || kernel.parts[0].kind != OperatorKind::Gemm ||
          kernel.parts[1].kind != OperatorKind::Gelu || kernel.parts[0].pass != graph::Pass::Forward)
        continue;
      bytes += graph::traffic(kernel.parts[1]).written.value();
    }
    return bytes;
  };
  EXPECT_EQ(written(inferred.graph), 0);
  EXPECT_GT(written(trained.graph), 0);
}

// The release lumps both gradients of an operator: then a chain has nothing for a second matrix core.
TEST(WorkloadGraph, split_gradients_give_a_second_matrix_core_work_where_lumped_ones_do_not) {
  auto gain = [](BackwardForm form) {
    WorkloadRequest request = bert(true);
    request.options.backward = form;
    AcceleratorStudy study = random_study(1);
    study.workloads = {read_workload(request)};
    const DesignPoint one{1, 128, 128, 4, 512}, two{2, 128, 128, 4, 512};
    DesignEvaluator evaluator(study);
    return evaluator.evaluate(one).seconds[0] / evaluator.evaluate(two).seconds[0];
  };
  EXPECT_GT(gain(BackwardForm::Split), 1.02 * gain(BackwardForm::Lumped));
}

TEST(DesignEvaluator, gangs_shorten_a_chain_that_single_cores_cannot) {
  AcceleratorStudy study = random_study(1);
  WorkloadRequest request = bert(false);
  request.sequence = 512;
  study.workloads = {read_workload(request)};
  DesignEvaluator evaluator(study);
  const DesignPoint point{4, 128, 128, 4, 512};
  const double single = evaluator.describe(point).workloads[0].makespan.value() * 700e6;
  const schedule::GangSchedule gangs = evaluator.gangs(point, 0);
  EXPECT_LT(static_cast<double>(gangs.makespan), 0.8 * single);
}

}  // namespace
}  // namespace orrery::explore
