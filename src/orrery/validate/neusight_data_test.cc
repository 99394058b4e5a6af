#include "orrery/validate/neusight_data.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "orrery/validate/python_literal.h"

namespace orrery::validate {
namespace {

double flops(const std::vector<graph::Kernel>& kernels, bool batched) {
  double sum = 0;
  for (const graph::Kernel& kernel : kernels) {
    for (const graph::OperatorShape& part : kernel.parts)
      if (part.kind == graph::OperatorKind::Gemm && (graph::gemm_size(part).batch > 1) == batched)
        sum += graph::flops(part).value();
  }
  return sum;
}

double bytes(const std::vector<graph::Kernel>& kernels) {
  double sum = 0;
  for (const graph::Kernel& kernel : kernels)
    for (const graph::OperatorShape& part : kernel.parts)
      sum += (graph::traffic(part).read + graph::traffic(part).written).value();
  return sum;
}

const NeuSightPhases& of(const NeuSightNode& node, NeuSightDialect dialect) {
  return node.phases[static_cast<size_t>(dialect)];
}

TEST(PythonLiteral, reads_nested_lists_and_refuses_the_rest) {
  const PythonLiteral value =
      parse_python_literal("[['BMM', (32, 512, 64, 512)], ['MEM', ((1,), (1,))]]", {"f", 1, 1});
  ASSERT_EQ(value.items.size(), 2u);
  EXPECT_EQ(value.items[0].items[0].text, "BMM");
  EXPECT_EQ(value.items[0].items[1].items[2].integer, 64);
  EXPECT_EQ(value.items[1].items[1].items.size(), 2u);
  for (const char* bad : {"[", "['x", "(1 2)", "[1,,2]", "f(1)", "[1]]", "-"})
    EXPECT_THROW(parse_python_literal(bad, {"f", 1, 1}), InputError) << bad;
  EXPECT_THROW(parse_python_literal(std::string(100, '['), {"f", 1, 1}), InputError);
}

TEST(NeuSightNode, paper_dialect_counts_broadcast_inputs_at_their_own_size) {
  const NeuSightNode node =
      neusight_node("add_3", "VECadd", "[['VECadd', (1024, 1024)]]", "[['MEM', ((1024, 1024),)]]", "[]",
                    "[(2, 512, 1024), (1, 512, 1024)]", "(2, 512, 1024)", {"f", 1, 1});
  EXPECT_DOUBLE_EQ(bytes(of(node, NeuSightDialect::Paper).forward), 4.0 * (1024 * 1024 * 2 + 512 * 1024));
  EXPECT_DOUBLE_EQ(bytes(of(node, NeuSightDialect::Paper).backward), 4.0 * 1024 * 1024);
}

TEST(NeuSightNode, paper_dialect_counts_gradients_by_the_inputs_of_their_forward_operator) {
  const std::string divide = "[['VECdiv', (64, 512)]]";
  const NeuSightNode scaled =
      neusight_node("div", "VECdiv", divide, divide, "[]", "[(64, 512), (1,)]", "(64, 512)", {"f", 1, 1});
  EXPECT_DOUBLE_EQ(bytes(of(scaled, NeuSightDialect::Paper).backward), 8.0 * 64 * 512);
  const NeuSightNode norm =
      neusight_node("ln", "VECln", "[['VECln', (64, 512)]]", "[['VECmul', (64, 512)]]",
                    "[['VECadd', [1, 512]], ['VECadd', [1, 512]]]", "[(64, 512)]", "(64, 512)", {"f", 1, 1});
  EXPECT_DOUBLE_EQ(bytes(of(norm, NeuSightDialect::Paper).backward), 8.0 * 64 * 512);
  EXPECT_DOUBLE_EQ(bytes(of(norm, NeuSightDialect::Paper).accumulate), 2 * 8.0 * 512);
}

TEST(NeuSightNode, a_fused_node_is_one_kernel_of_its_last_operator_that_moves_its_ends) {
  const NeuSightNode node = neusight_node(
      "wte~add~ln", "fused", "[['MEM', ((4, 64), (4, 64, 32))], ['VECadd', (256, 32)], ['VECln', (256, 32)]]",
      "[]", "[]", "[(4, 64), (4, 64, 32)]", "(4, 64, 32)", {"f", 1, 1});
  const std::vector<graph::Kernel>& forward = of(node, NeuSightDialect::Paper).forward;
  ASSERT_EQ(forward.size(), 1u);
  EXPECT_EQ(forward[0].parts.back().kind, graph::OperatorKind::LayerNorm);
  EXPECT_DOUBLE_EQ(bytes(forward), 4.0 * (256 + 2 * 256 * 32));
}

TEST(NeuSightNode, eager_softmax_backward_moves_six_tensors_and_dropout_widens_its_mask) {
  const NeuSightNode softmax = neusight_node("softmax", "VECsoftmax", "[['VECsoftmax', (64, 512)]]",
                                             "[['VECmul', (64, 512)], ['VECsoftmax', (64, 512)]]", "[]",
                                             "[(64, 512)]", "(64, 512)", {"f", 1, 1});
  EXPECT_DOUBLE_EQ(bytes(of(softmax, NeuSightDialect::Eager).backward), 6.0 * 4 * 64 * 512);
  const NeuSightNode dropout =
      neusight_node("drop", "dropout", "[['MEM', ((64, 512), (64, 512))]]", "[['MEM', ((64, 512),)]]", "[]",
                    "[(64, 512)]", "(64, 512)", {"f", 1, 1});
  EXPECT_DOUBLE_EQ(bytes(of(dropout, NeuSightDialect::Eager).backward), 6.25 * 4 * 64 * 512);
}

TEST(NeuSightNode, refuses_what_it_does_not_know) {
  EXPECT_THROW(
      neusight_node("x", "VECfoo", "[['VECfoo', (64, 512)]]", "[]", "[]", "[]", "(64, 512)", {"f", 1, 1}),
      InputError);
  EXPECT_THROW(
      neusight_node("x", "Linear", "[['Linear', (64,)]]", "[]", "[]", "[]", "(64, 512)", {"f", 1, 1}),
      InputError);
}

TEST(NeuSightGraph, products_of_the_whole_models_sum_to_the_published_work) {
  const char* folder = std::getenv("ORRERY_DATA");
  if (!folder) GTEST_SKIP() << "ORRERY_DATA is not set";
  struct Case {
    const char* workload;
    double linear, batched;  // TFLOP
  };
  for (const Case& c :
       {Case{"bert_large-inf-512-8", 2.4739, .2062}, Case{"gpt2_large-train-1024-4", 18.9756, 2.3193},
        Case{"gpt3_xl-inf-2048-2", 23.5299, 2.4739}, Case{"opt_13-train-2048-1", 16.1085, 2.4739}}) {
    const NeuSightGraph graph = read_neusight_graph(folder, c.workload);
    double linear = 0, batched = 0;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      const NeuSightPhases& paper = of(graph.nodes[i], NeuSightDialect::Paper);
      const bool training = std::string(c.workload).find("train") != std::string::npos;
      linear +=
          graph.times[i] * (flops(paper.forward, false) + (training ? flops(paper.backward, false) : 0));
      batched += graph.times[i] * (flops(paper.forward, true) + (training ? flops(paper.backward, true) : 0));
    }
    EXPECT_NEAR(linear / 1e12, c.linear, 1e-4) << c.workload;
    EXPECT_NEAR(batched / 1e12, c.batched, 1e-4) << c.workload;
  }
}

}  // namespace
}  // namespace orrery::validate
