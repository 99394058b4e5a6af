#include "orrery/graph/readers/scalesim_topology.h"

#include <gtest/gtest.h>

#include "orrery/base/test_support.h"

namespace orrery::graph {
namespace {

constexpr const char* kLayers =
    "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
    "Conv1,230,232,7,5,3,64,2,\n"
    "ConvDP2, 56, 56, 3, 3, 32, 1, 1,\r\n"
    "\n"
    "Conv3,14,14,3,3,8,16,2,1:1,\n";

OperatorShape shape_of(const Graph& graph, size_t op) {
  return graph.kernels[graph.operators[op].kernel].parts[0];
}

TEST(ScaleSimTopology, reads_convolutions_depthwise_ones_and_strides_that_do_not_divide) {
  Graph graph = parse_scalesim_topology(kLayers, "net.csv");
  ASSERT_EQ(graph.operators.size(), 3u);
  EXPECT_EQ(broken_invariant(graph), "");
  ConvolutionSize first = convolution_size(shape_of(graph, 0)),
                  depthwise = convolution_size(shape_of(graph, 1)),
                  last = convolution_size(shape_of(graph, 2));
  EXPECT_EQ(first.out_height(), 113);  // ceil((230 - 7 + 2) / 2), one more than the rounded-down 112
  EXPECT_EQ(first.out_width(), 115);
  EXPECT_EQ(first.kernel_w, 5);
  EXPECT_EQ(depthwise.groups, 32);
  EXPECT_EQ(depthwise.out_channels, 32);
  EXPECT_EQ(depthwise.out_height(), 54);
  EXPECT_EQ(last.out_height(), 7);
  EXPECT_EQ(last.height, 15);
}

TEST(ScaleSimTopology, reads_products_with_k_the_contraction) {
  Graph graph = parse_scalesim_topology("Layer,M,N,K,\nfc,7,9,11,\n", "gemm.csv");
  GemmSize size = gemm_size(shape_of(graph, 0));
  EXPECT_EQ(size.m, 7);
  EXPECT_EQ(size.n, 9);
  EXPECT_EQ(size.k, 11);
}

TEST(ScaleSimTopology, is_told_from_a_list_of_operators) {
  EXPECT_TRUE(is_scalesim_topology(kLayers));
  EXPECT_TRUE(is_scalesim_topology("Layer, M, N, K,\n"));
  EXPECT_FALSE(is_scalesim_topology("op,m,n,k\ngemm,1,2,3\n"));
  EXPECT_FALSE(is_scalesim_topology(""));
}

TEST(ScaleSimTopology, refuses_with_the_place) {
  auto refusal = [](const std::string& rows) {
    return error_of([&] { parse_scalesim_topology("Layer,M,N,K,\n" + rows, "net.csv"); });
  };
  EXPECT_NE(refusal("fc,7,0,3,\n").find("net.csv:2:6: N is '0'"), std::string::npos)
      << refusal("fc,7,0,3,\n");
  EXPECT_NE(refusal("fc,7,x,3,\n").find("whole number"), std::string::npos);
  EXPECT_NE(refusal("fc,7,\n").find("2 values; expected 4"), std::string::npos) << refusal("fc,7,\n");
  EXPECT_NE(refusal("fc,7,8,9,2:4,\n").find("sparsity '2:4'"), std::string::npos);
  EXPECT_NE(refusal("fc,7,8,9,1:1,5,\n").find("more values"), std::string::npos);
  EXPECT_NE(refusal("fc,7,8,99999999999999999999,\n").find("2^31"), std::string::npos);
  EXPECT_NE(refusal("").find("no layers"), std::string::npos);
  std::string tall = error_of([] {
    parse_scalesim_topology(
        "Layer name,IFMAP Height,IFMAP Width,Filter Height,Filter Width,Channels,Num "
        "Filter,Strides,\nc,2,9,3,3,1,1,1,\n",
        "net.csv");
  });
  EXPECT_NE(tall.find("net.csv:2:7: the filter is higher"), std::string::npos) << tall;
}

}  // namespace
}  // namespace orrery::graph
