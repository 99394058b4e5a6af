#include "orrery/graph/readers/wham_text.h"

#include <gtest/gtest.h>

#include "orrery/base/test_support.h"

namespace orrery::graph {
namespace {

WhamTextModel parsed(const std::string& text, bool train = false, bool unknown = false) {
  WhamTextOptions options;
  options.train = train;
  options.unknown_as_vector = unknown;
  return parse_wham_text(text, "net.txt", options);
}

const std::string kNet =
    "1 -- CudnnConvolution -- output_act=[[2, 8, 6, 6]]; saved_tensors=[[2, 3, 12, 12], [8, 3, 3, 3]]; "
    "parameter=[[8, 3, 3, 3]]; stride=(2, 2); padding=(1, 1); dilation=(1, 1)\n"
    "2 -- Relu -- output_act=[[2, 8, 6, 6]]\n"
    "3 -- AccumulateGrad -- parameter=[[10, 288]]\n"
    "4 -- T -- output_act=[[288, 10]]\n"
    "5 -- View -- output_act=[[2, 288]]\n"
    "6 -- fused ~~ Addmm -- output_act=[[2, 10]]; saved_tensors=[[2, 288], [288, 10]]; "
    "fused_operators=Tanh ~~ [] ~~ [2, 10]\n"
    "\t1 -- 2\n\t3 -- 4\n\t2 -- 5\n\t5 -- 6\n\t4 -- 6\n";

TEST(WhamText, operators_edges_weights_and_epilogues_are_read) {
  WhamTextModel model = parsed(kNet);
  EXPECT_EQ(broken_invariant(model.graph), "");
  EXPECT_EQ(model.batch, 2);
  EXPECT_EQ(model.parameters, 8 * 3 * 9 + 288 * 10);
  EXPECT_EQ(matrix_flops(model.graph).value(), 2.0 * (2 * 36 * 8 * 27 + 2 * 10 * 288));
  WhamTextModel trained = parsed(kNet, true);
  EXPECT_EQ(broken_invariant(trained.graph), "");
  EXPECT_EQ(matrix_flops(trained.graph).value(), 2.0 * (2 * 2 * 36 * 8 * 27 + 3 * 2 * 10 * 288));
}

TEST(WhamText, depthwise_convolutions_have_work) {
  WhamTextModel model = parsed(
      "a -- MkldnnConvolution -- output_act=[[1, 16, 4, 4]]; saved_tensors=[[1, 16, 4, 4], [16, 1, 3, 3]]; "
      "stride=(1, 1); padding=(1, 1)\n");
  EXPECT_EQ(matrix_flops(model.graph).value(), 2.0 * 16 * 16 * 9);
}

TEST(WhamText, linear_weights_stand_transposed_and_batches_multiply) {
  EXPECT_EQ(
      matrix_flops(parsed("a -- Linear -- output_act=[[4, 5, 7]]; saved_tensors=[[4, 5, 3], [7, 3]]\n").graph)
          .value(),
      2.0 * 20 * 7 * 3);
  EXPECT_EQ(
      matrix_flops(parsed("a -- Bmm -- output_act=[[4, 5, 7]]; saved_tensors=[[4, 5, 3], [4, 3, 7]]\n").graph)
          .value(),
      2.0 * 4 * 5 * 7 * 3);
}

TEST(WhamText, vector_operators_read_all_their_inputs) {
  WhamTextModel model = parsed(
      "a -- Relu -- output_act=[[4, 8]]\nb -- Relu -- output_act=[[4, 8]]\nc -- Add -- output_act=[[4, 8]]\n"
      "d -- Mean -- output_act=[[4, 1]]\n\ta -- c\n\tb -- c\n\tc -- d\n");
  const auto of = [&](size_t op) {
    return vector_size(model.graph.kernels[model.graph.operators[op].kernel].parts.front());
  };
  EXPECT_EQ(of(0).inputs, 1);
  EXPECT_EQ(of(2).inputs, 2);
  EXPECT_EQ(of(3).columns, 8);
}

TEST(WhamText, what_is_wrong_is_named_with_its_place) {
  const std::string relu = " -- Relu -- output_act=[[4]]\n";
  auto says = [&](const std::string& text, const std::string& expected) {
    std::string error = error_of([&] { parsed(text); });
    EXPECT_NE(error.find(expected), std::string::npos) << text << "\n" << error;
  };
  says("a" + relu + "b" + relu + "\ta -- b\n\tb -- a\n", "lies on a cycle");
  says("a" + relu + "\ta -- c\n", "net.txt:2:7: an edge to node 'c'");
  says("a" + relu + "a" + relu, "net.txt:2:1: node 'a' stands twice");
  says("a -- Frobnicate -- output_act=[[4]]\n", "net.txt:1:6: unknown operators: Frobnicate; --unknown vc:1");
  says("a -- Relu -- parameter_size=3\n", "has no output_act");
  says("a -- Relu -- output_act=[[0, 3]]\n", "net.txt:1:25: a size of 0");
  says("a -- Relu -- output_act=[[-4]]\n", "a size outside");
  says("a -- Relu -- output_act=[[4\n", "a bracket is not closed");
  says("a -- Linear -- output_act=[[4, 7]]; saved_tensors=[[4, 3], [7, 5]]\n", "do not match");
  says("a Relu\n", "net.txt:1:1: expected 'id -- operator");
  EXPECT_EQ(parsed("a -- Frobnicate -- output_act=[[4]]\n", false, true).notes.size(), 1u);
}

}  // namespace
}  // namespace orrery::graph
