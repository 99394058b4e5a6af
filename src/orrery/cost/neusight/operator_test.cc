#include "orrery/cost/neusight/operator.h"

#include <gtest/gtest.h>

namespace orrery::cost {
namespace {

using graph::OperatorKind;

graph::Kernel vector(OperatorKind kind, graph::VectorSize size, DataType type = DataType::FP32) {
  return {{graph::make(kind, size, type)}};
}

TEST(NeuSightOperator, a_product_of_a_batch_is_bmm_and_of_one_linear_with_k_the_contraction) {
  const graph::GemmSize size{.batch = 7, .m = 11, .n = 13, .k = 17};
  const NeuSightWork work = neusight_work({{graph::make(size, DataType::FP32, DataType::FP32)}});
  ASSERT_EQ(work.operators.size(), 1u);
  EXPECT_EQ(work.operators[0].kind, NeuSightKind::Bmm);
  EXPECT_EQ(work.operators[0].batch, 7);
  EXPECT_EQ(work.operators[0].m, 11);
  EXPECT_EQ(work.operators[0].n, 13);
  EXPECT_EQ(work.operators[0].k, 17);
  graph::GemmSize one = size;
  one.batch = 1;
  EXPECT_EQ(neusight_work({{graph::make(one, DataType::FP32, DataType::FP32)}}).operators[0].kind,
            NeuSightKind::Linear);
}

TEST(NeuSightOperator, inputs_count_at_their_own_size) {
  const graph::VectorSize full{.rows = 4, .columns = 8, .inputs = 2};
  const graph::VectorSize broadcast{.rows = 4, .columns = 8, .inputs = 1, .broadcast = 8};
  const graph::VectorSize scalar{.rows = 4, .columns = 8, .inputs = 1};
  const NeuSightOperator add = neusight_work(vector(OperatorKind::Add, full)).operators.at(0);
  EXPECT_EQ(add.kind, NeuSightKind::Add);
  EXPECT_EQ(add.bytes_per_output, 12);
  EXPECT_EQ(add.flops_per_output, 1);
  const NeuSightOperator bias = neusight_work(vector(OperatorKind::Add, broadcast)).operators.at(0);
  EXPECT_EQ(bias.kind, NeuSightKind::Add);
  EXPECT_EQ(bias.bytes_per_output, 9);
  const NeuSightOperator plus_one = neusight_work(vector(OperatorKind::Add, scalar)).operators.at(0);
  EXPECT_EQ(plus_one.kind, NeuSightKind::AddScalar);
  EXPECT_EQ(plus_one.bytes_per_output, 8);
}

TEST(NeuSightOperator, a_fused_kernel_is_its_last_operator_with_the_bytes_and_flop_of_all) {
  graph::Kernel fused = vector(OperatorKind::Add, {.rows = 4, .columns = 8, .inputs = 2, .outputs = 0});
  fused.parts.push_back(graph::make(OperatorKind::LayerNorm,
                                    graph::VectorSize{.rows = 4, .columns = 8, .inputs = 0}, DataType::FP32));
  const NeuSightWork work = neusight_work(fused);
  ASSERT_EQ(work.operators.size(), 1u);
  EXPECT_EQ(work.operators[0].kind, NeuSightKind::LayerNorm);
  EXPECT_EQ(work.operators[0].bytes_per_output, 12);
  EXPECT_EQ(work.operators[0].flops_per_output, 7);
}

TEST(NeuSightOperator, what_only_moves_bytes_passes_at_memory_bandwidth) {
  const NeuSightWork work = neusight_work(vector(OperatorKind::Copy, {.rows = 16, .columns = 32}));
  EXPECT_TRUE(work.operators.empty());
  EXPECT_EQ(work.memory_bytes, 2 * 4 * 16 * 32);
  EXPECT_TRUE(work.known);
}

TEST(NeuSightOperator, a_single_element_is_free) {
  const NeuSightWork work = neusight_work(vector(OperatorKind::Divide, {.rows = 1, .columns = 1}));
  EXPECT_TRUE(work.operators.empty());
  EXPECT_EQ(work.memory_bytes, 0);
}

TEST(NeuSightOperator, attention_in_one_kernel_reads_as_two_products_and_a_softmax) {
  const graph::AttentionSize size{
      .batch = 2, .query = 5, .cached = 6, .heads = 3, .kv_heads = 3, .head_dim = 4};
  const NeuSightWork work = neusight_work({{graph::make(size, DataType::FP32, DataType::FP32)}});
  ASSERT_EQ(work.operators.size(), 3u);
  EXPECT_EQ(work.operators[0].n, 11);
  EXPECT_EQ(work.operators[1].kind, NeuSightKind::Softmax);
  EXPECT_EQ(work.operators[1].m, 2 * 3 * 5);
  EXPECT_EQ(work.operators[2].k, 11);
  EXPECT_EQ(work.operators[2].n, 4);
}

TEST(NeuSightOperator, other_types_and_convolutions_are_unknown) {
  EXPECT_FALSE(neusight_work(vector(OperatorKind::Add, {.rows = 2, .columns = 2}, DataType::BF16)).known);
  EXPECT_FALSE(neusight_work({{graph::make(graph::ConvolutionSize{}, DataType::FP32)}}).known);
}

TEST(NeuSightKind, names_are_those_of_the_measured_files) {
  for (size_t kind = 0; kind < kNeuSightKinds; ++kind) {
    const auto k = static_cast<NeuSightKind>(kind);
    EXPECT_EQ(parse_neusight_kind(name(k)), k);
  }
  EXPECT_FALSE(parse_neusight_kind("conv"));
}

}  // namespace
}  // namespace orrery::cost
