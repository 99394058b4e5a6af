#include "orrery/graph/graph.h"

#include <gtest/gtest.h>

namespace orrery::graph {
namespace {

OperatorShape gemm(int64_t m) {
  return make(GemmSize{.m = m, .n = 8, .k = 4}, DataType::BF16, DataType::BF16);
}

Graph two_layers() {
  GraphBuilder builder;
  TensorId x = builder.input(Bytes(64), TensorKind::Input);
  TensorId w = builder.input(Bytes(64), TensorKind::Weight);
  for (int layer = 0; layer < 2; ++layer) {
    TensorId inputs[] = {x, w};
    x = builder.add("linear", layer, gemm(16), inputs, Bytes(256));
    x = builder.view(x, Bytes(256));
  }
  return builder.take(2);
}

TEST(Graph, equal_kernels_are_interned_once) {
  Graph graph = two_layers();
  EXPECT_EQ(graph.operators.size(), 2u);
  EXPECT_EQ(graph.kernels.size(), 1u);
  EXPECT_EQ(graph.names.size(), 1u);
  EXPECT_EQ(broken_invariant(graph), "");
  EXPECT_EQ(matrix_flops(graph).value(), 2 * 2.0 * 16 * 8 * 4);
}

TEST(Graph, views_share_storage_and_count_once) {
  Graph graph = two_layers();
  EXPECT_EQ(bytes_of(graph, TensorKind::Activation).value(), 512);
  EXPECT_EQ(bytes_of(graph, TensorKind::Weight).value(), 64);
}

TEST(Graph, a_reader_before_its_producer_is_named) {
  Graph graph = two_layers();
  std::swap(graph.operators[0], graph.operators[1]);
  EXPECT_NE(broken_invariant(graph), "");
}

TEST(Graph, operators_stay_small) {
  EXPECT_LE(sizeof(Operator), 32u);
}

}  // namespace
}  // namespace orrery::graph
