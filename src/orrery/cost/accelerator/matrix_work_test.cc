#include "orrery/cost/accelerator/matrix_work.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace orrery::cost {
namespace {

using graph::ConvolutionSize;
using graph::Pass;

constexpr ConvolutionSize kAsymmetric{.batch = 2,
                                      .in_channels = 12,
                                      .out_channels = 20,
                                      .height = 31,
                                      .width = 17,
                                      .kernel_h = 5,
                                      .kernel_w = 3,
                                      .stride_h = 2,
                                      .stride_w = 3,
                                      .pad_h = 2,
                                      .pad_w = 1,
                                      .groups = 4};

TEST(MatrixWork, of_a_convolutions_passes_has_the_sizes_of_its_three_products) {
  const int64_t pixels = 2 * 16 * 6, window = 3 * 5 * 3;
  auto size = [](Pass pass) { return convolution_gemm(kAsymmetric, pass); };
  auto same = [](const graph::GemmSize& s, int64_t m, int64_t n, int64_t k) {
    return s.batch == 4 && s.m == m && s.n == n && s.k == k;
  };
  EXPECT_TRUE(same(size(Pass::Forward), pixels, 5, window));
  EXPECT_TRUE(same(size(Pass::InputGradient), pixels, window, 5));
  EXPECT_TRUE(same(size(Pass::WeightGradient), window, 5, pixels));
}

TEST(MatrixWork, every_pass_of_a_convolution_has_the_forwards_multiplications) {
  for (int64_t groups : {1, 4}) {
    for (int64_t stride : {1, 2, 3}) {
      ConvolutionSize c = kAsymmetric;
      c.groups = groups;
      c.stride_h = stride;
      double flops = graph::matrix_flops(graph::make(c, DataType::BF16)).value();
      for (Pass pass : {Pass::Forward, Pass::InputGradient, Pass::WeightGradient}) {
        std::vector<MatrixWork> work = matrix_work(graph::make(c, DataType::BF16, pass));
        ASSERT_EQ(work.size(), 1u);
        EXPECT_EQ(2 * multiply_accumulates(work[0].size), flops);
      }
    }
  }
}

TEST(MatrixWork, training_a_layer_of_llama_multiplies_three_times) {
  double all = 0;
  for (Pass pass : {Pass::Forward, Pass::InputGradient, Pass::WeightGradient}) {
    for (const MatrixWork& work : matrix_work(
             graph::make(graph::GemmSize{1, 4096, 11008, 4096}, DataType::BF16, DataType::BF16, pass)))
      all += multiply_accumulates(work.size);
  }
  EXPECT_EQ(all, 554'050'781'184.0);
}

TEST(MatrixWork, of_a_depthwise_convolution_is_not_nothing) {
  ConvolutionSize depthwise{1, 96, 96, 56, 56, 3, 3, 1, 1, 1, 1, 96};
  EXPECT_EQ(multiply_accumulates(matrix_work(graph::make(depthwise, DataType::BF16))[0].size),
            96.0 * 56 * 56 * 9);
}

TEST(MatrixWork, gradients_move_the_tensors_that_they_read_and_write) {
  double image = 2 * 12 * 31 * 17, result = 2 * 20 * 16 * 6, weights = 20 * 3 * 5 * 3;
  auto work = [](Pass pass) { return matrix_work(graph::make(kAsymmetric, DataType::BF16, pass))[0]; };
  EXPECT_EQ(work(Pass::Forward).lhs_words, image);
  EXPECT_EQ(work(Pass::Forward).out_words, result);
  EXPECT_EQ(work(Pass::InputGradient).lhs_words, result);
  EXPECT_EQ(work(Pass::InputGradient).rhs_words, weights);
  EXPECT_EQ(work(Pass::InputGradient).out_words, image);
  EXPECT_EQ(work(Pass::WeightGradient).rhs_words, result);
  EXPECT_EQ(work(Pass::WeightGradient).out_words, weights);
}

TEST(MatrixWork, experts_and_attention_keep_their_work_in_backward) {
  graph::GroupedGemmSize g{4, 64, 30, 20, 0};
  double forward = multiply_accumulates(matrix_work(graph::make(g, DataType::BF16, DataType::BF16))[0].size);
  for (Pass pass : {Pass::InputGradient, Pass::WeightGradient})
    EXPECT_EQ(multiply_accumulates(matrix_work(graph::make(g, DataType::BF16, DataType::BF16, pass))[0].size),
              forward);
  graph::AttentionSize a{.batch = 2, .query = 10, .heads = 3, .kv_heads = 3, .head_dim = 8, .causal = 0};
  double both = 0, backward = 0;
  for (const MatrixWork& w : matrix_work(graph::make(a, DataType::BF16, DataType::BF16)))
    both += multiply_accumulates(w.size);
  for (const MatrixWork& w : matrix_work(graph::make(a, DataType::BF16, DataType::BF16, Pass::InputGradient)))
    backward += multiply_accumulates(w.size);
  EXPECT_EQ(2 * both, graph::matrix_flops(graph::make(a, DataType::BF16, DataType::BF16)).value());
  EXPECT_EQ(backward, 2.5 * both);
}

TEST(MatrixWork, of_absurd_sizes_is_large_not_undefined) {
  const int64_t huge = int64_t{1} << 40;
  ConvolutionSize c{huge, huge, huge, huge, huge, 3, 3, 1, 1, 1, 1, 1};
  for (Pass pass : {Pass::Forward, Pass::InputGradient, Pass::WeightGradient}) {
    graph::GemmSize size = convolution_gemm(c, pass);
    EXPECT_GT(std::min({size.m, size.n, size.k}), 0);
  }
}

}  // namespace
}  // namespace orrery::cost
