#include "orrery/graph/operator_shape.h"

#include <gtest/gtest.h>

#include <set>

namespace orrery::graph {
namespace {

// Sizes are all different, so that an exchanged dimension shows.
TEST(OperatorShape, gemm_counts_two_flops_for_each_multiply_and_moves_each_tensor_once) {
  OperatorShape shape = make(GemmSize{.batch = 3, .m = 5, .n = 7, .k = 11}, DataType::BF16, DataType::BF16);
  EXPECT_EQ(matrix_flops(shape).value(), 2.0 * 3 * 5 * 7 * 11);
  Traffic bytes = traffic(shape);
  EXPECT_EQ(bytes.read.value(), 2.0 * (3 * 5 * 11 + 3 * 7 * 11));
  EXPECT_EQ(bytes.written.value(), 2.0 * 3 * 5 * 7);
  EXPECT_EQ(bytes.weights.value(), 2.0 * 3 * 7 * 11);
}

TEST(OperatorShape, quantized_weights_shrink_the_weight_bytes_alone) {
  GemmSize size{.m = 16, .n = 256, .k = 512};
  Traffic wide = traffic(make(size, DataType::BF16, DataType::BF16)),
          narrow = traffic(make(size, DataType::BF16, DataType::INT4));
  EXPECT_EQ(narrow.weights.value(), 256 * 512 * bytes_per_element(DataType::INT4));
  EXPECT_EQ((wide.read - wide.weights).value(), (narrow.read - narrow.weights).value());
  EXPECT_EQ(wide.written.value(), narrow.written.value());
}

TEST(OperatorShape, convolution_equals_the_published_first_layer_of_resnet_50) {
  ConvolutionSize first{.in_channels = 3,
                        .out_channels = 64,
                        .height = 224,
                        .width = 224,
                        .kernel_h = 7,
                        .kernel_w = 7,
                        .stride_h = 2,
                        .stride_w = 2,
                        .pad_h = 3,
                        .pad_w = 3};
  EXPECT_EQ(first.out_height(), 112);
  EXPECT_EQ(matrix_flops(make(first, DataType::FP32)).value(),
            2.0 * 118013952);  // multiply-accumulates as published
}

double pairs_by_counting(const AttentionSize& s) {
  double pairs = 0;
  for (int64_t q = 0; q < s.query; ++q) {
    for (int64_t key = 0; key < s.cached + s.query; ++key) {
      bool seen = !s.causal || key <= s.cached + q;
      bool near = s.window <= 0 || !s.causal || key > s.cached + q - s.window;
      pairs += seen && near;
    }
  }
  return pairs;
}

TEST(OperatorShape, attention_flops_equal_a_count_of_query_key_pairs) {
  for (int64_t query : {1, 4, 9}) {
    for (int64_t cached : {0, 3, 20}) {
      for (int64_t window : {0, 1, 5, 100}) {
        AttentionSize size{.batch = 2,
                           .query = query,
                           .cached = cached,
                           .heads = 6,
                           .kv_heads = 2,
                           .head_dim = 8,
                           .value_dim = 4,
                           .causal = 1,
                           .window = window};
        EXPECT_EQ(matrix_flops(make(size, DataType::BF16, DataType::BF16)).value(),
                  2.0 * 2 * 6 * pairs_by_counting(size) * 12)
            << query << ' ' << cached << ' ' << window;
      }
    }
  }
  AttentionSize full{.query = 9, .cached = 3, .heads = 1, .kv_heads = 1, .head_dim = 8, .causal = 0};
  EXPECT_EQ(matrix_flops(make(full, DataType::BF16, DataType::BF16)).value(),
            2.0 * pairs_by_counting(full) * 16);
}

TEST(OperatorShape, an_fp8_cache_halves_the_cache_bytes_alone) {
  AttentionSize size{.batch = 3, .query = 1, .cached = 1000, .heads = 32, .kv_heads = 8, .head_dim = 128};
  Traffic wide = traffic(make(size, DataType::BF16, DataType::BF16)),
          narrow = traffic(make(size, DataType::BF16, DataType::FP8));
  EXPECT_EQ(narrow.weights.value() * 2, wide.weights.value());
  EXPECT_EQ(wide.written.value(), narrow.written.value());
}

TEST(OperatorShape, every_kind_has_a_name_of_its_own_and_is_read_back_by_it) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kOperatorKinds; ++i) {
    auto kind = static_cast<OperatorKind>(i);
    EXPECT_TRUE(names.insert(traits(kind).name).second);
    EXPECT_EQ(parse_operator_kind(traits(kind).name), kind);
  }
  EXPECT_EQ(parse_operator_kind("gem"), std::nullopt);
}

TEST(OperatorShape, doubling_any_size_never_lowers_work_or_traffic) {
  for (size_t i = 0; i < kOperatorKinds; ++i) {
    OperatorShape shape{static_cast<OperatorKind>(i), DataType::BF16, DataType::BF16, Pass::Forward, {}};
    const auto& names = traits(shape.kind).dims;
    for (size_t dim = 0; dim < kDims && !names[dim].empty(); ++dim) shape.dims[dim] = 16;
    if (shape.kind == OperatorKind::Convolution)
      shape =
          make(ConvolutionSize{.batch = 16, .in_channels = 16, .out_channels = 16, .height = 16, .width = 16},
               DataType::BF16);
    for (size_t dim = 0; dim < kDims && !names[dim].empty(); ++dim) {
      std::string_view name = names[dim];
      if (name.starts_with("stride") || name == "groups" || name == "causal" || name.starts_with("kernel"))
        continue;
      OperatorShape larger = shape;
      larger.dims[dim] *= 2;
      EXPECT_GE(flops(larger).value(), flops(shape).value()) << traits(shape.kind).name << ' ' << name;
      EXPECT_GE(traffic(larger).read.value(), traffic(shape).read.value())
          << traits(shape.kind).name << ' ' << name;
    }
  }
}

TEST(OperatorShape, equal_shapes_hash_equal_and_near_ones_do_not) {
  OperatorShape a = make(GemmSize{1, 2, 3, 4}, DataType::BF16, DataType::BF16), b = a;
  EXPECT_EQ(hash(a), hash(b));
  b.stored = DataType::FP8;
  EXPECT_NE(hash(a), hash(b));
  EXPECT_NE(hash(a), hash(make(GemmSize{1, 2, 4, 3}, DataType::BF16, DataType::BF16)));
}

}  // namespace
}  // namespace orrery::graph
