#include "orrery/graph/readers/operator_csv.h"

#include <gtest/gtest.h>

#include "orrery/base/test_support.h"

namespace orrery::graph {
namespace {

std::string error(const std::string& text) {
  const std::string what = error_of([&] { parse_operator_csv(text, "ops.csv"); });
  return what.substr(0, what.find('\n'));
}

TEST(OperatorCsv, rows_become_operators_in_order) {
  Graph graph = parse_operator_csv(
      "op,batch,m,n,k,rows,columns,query,heads,kv_heads,head_dim,count,dtype,weights_dtype,name,layer\n"
      "rms_norm,,,,,33,4096,,,,,2,bf16,,norm,0\n"
      "gemm,,33,6144,4096,,,,,,,2,fp8,,qkv,0\n"
      "gemm,3,5,7,11,,,,,,,1,bf16,int4,odd,1\n"
      "attention,2,,,,,,17,8,2,64,1,fp16,,,1\n",
      "ops.csv");
  EXPECT_EQ(broken_invariant(graph), "");
  EXPECT_EQ(graph.operators.size(), 6u);
  EXPECT_EQ(graph.kernels.size(), 4u);
  EXPECT_EQ(graph.layers, 2);
  EXPECT_EQ(graph.kernels[1].parts[0],
            make(GemmSize{.m = 33, .n = 6144, .k = 4096}, DataType::FP8, DataType::FP8));
  EXPECT_EQ(graph.kernels[2].parts[0],
            make(GemmSize{.batch = 3, .m = 5, .n = 7, .k = 11}, DataType::BF16, DataType::INT4));
  AttentionSize attention{.batch = 2, .query = 17, .heads = 8, .kv_heads = 2, .head_dim = 64};
  EXPECT_EQ(graph.kernels[3].parts[0], make(attention, DataType::FP16, DataType::FP16));
  EXPECT_EQ(graph.names[graph.operators[2].name], "qkv");
  EXPECT_EQ(bytes_of(graph, TensorKind::Weight).value(),
            2 * 6144.0 * 4096 + 3 * 7 * 11 * bytes_per_element(DataType::INT4));
}

TEST(OperatorCsv, wrong_rows_name_their_place) {
  EXPECT_EQ(error("op,m,n,k\ngem,1,2,3\n").substr(0, 39), "ops.csv:2:1: unknown operator 'gem'; di");
  EXPECT_EQ(error("op,m,n\ngemm,1,2\n"), "ops.csv:2:1: 'gemm' needs k; add it to the row");
  EXPECT_EQ(error("op,m,n,k\ngemm,1,2,\n"), "ops.csv:2:10: 'gemm' needs k; add it to the row");
  EXPECT_EQ(error("op,m,n,kk\ngemm,1,2,3\n").substr(0, 39), "ops.csv:1: no operator has a size 'kk';");
  EXPECT_NE(error("op,m,n,k\ngemm,1,-2,3\n").find("ops.csv:2:8"), std::string::npos);
  EXPECT_NE(error("op,m,n,k,count\ngemm,1,2,3,1000000\ngemm,1,2,3,1\n").find("more than 1000000 operators"),
            std::string::npos);
  EXPECT_NE(error("op,m,n,k\n"), "");
  EXPECT_NE(error("op,rows,columns,dtype\nadd,1,2,bf17\n").find("unknown type 'bf17'"), std::string::npos);
}

}  // namespace
}  // namespace orrery::graph
