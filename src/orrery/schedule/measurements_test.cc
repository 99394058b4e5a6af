#include "orrery/schedule/measurements.h"

#include <gtest/gtest.h>

namespace orrery::schedule {
namespace {

constexpr const char* kTrace = R"({"deviceProperties": [{"name": "NVIDIA A100-SXM4-80GB"}], "traceEvents": [
 {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "ts": 1, "dur": 9, "args": {"External id": 7, "Input Dims": [[5, 11], [11, 3]], "Input type": ["c10::BFloat16", "c10::BFloat16"]}},
 {"ph": "X", "cat": "cpu_op", "name": "aten::relu", "ts": 1, "dur": 9, "args": {"External id": 8, "Input Dims": [[5, 3]], "Input type": ["c10::BFloat16"]}},
 {"ph": "X", "cat": "python_function", "name": "x", "args": {"big": [1, 2, 3]}},
 {"ph": "X", "cat": "kernel", "name": "gemm", "dur": 20.5, "args": {"External id": 7}},
 {"ph": "X", "cat": "kernel", "name": "splitKreduce", "dur": 1.5, "args": {"External id": 7}},
 {"ph": "X", "cat": "kernel", "name": "relu", "dur": 3, "args": {"External id": 8}},
 {"ph": "X", "cat": "kernel", "name": "memset", "dur": 3, "args": {}}]})";

TEST(Kineto, a_product_takes_the_time_of_all_kernels_that_it_launched) {
  Measurements found = read_kineto(kTrace, "trace.json", "");
  ASSERT_EQ(found.kernels.size(), 1u);
  EXPECT_EQ(found.kernels[0].gpu, "NVIDIA A100-SXM4-80GB");
  graph::GemmSize size = graph::gemm_size(found.kernels[0].kernel.parts[0]);
  EXPECT_EQ(size.m, 5);
  EXPECT_EQ(size.k, 11);
  EXPECT_EQ(size.n, 3);
  EXPECT_NEAR(found.kernels[0].time.value(), 22e-6, 1e-15);
  EXPECT_EQ(found.notes.size(), 2u);  // relu, and the kernel without an operator
}

TEST(Kineto, hostile_traces_are_refused_with_a_place) {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"traceEvents": 3})", R"({"traceEvents": [{"cat": 5, "args": 7}, 3, null]})",
        R"({"traceEvents": [{"cat": "kernel", "ph": "X", "args": 7, "dur": "x"}]})"}) {
    EXPECT_THROW(read_kineto(text, "trace.json", ""), InputError) << text;
  }
}

TEST(VllmBench, means_and_the_running_batch_are_taken) {
  Measurements found = read_vllm_bench(
      R"({"model_id": "llama", "completed": 100, "total_input_tokens": 50000, "total_output_tokens": 20000,
    "duration": 40, "mean_ttft_ms": 120.0, "mean_tpot_ms": 30.0})",
      "run.json", "l40s");
  ASSERT_EQ(found.runs.size(), 1u);
  EXPECT_EQ(found.runs[0].prompt, 500);
  EXPECT_EQ(found.runs[0].output, 200);
  EXPECT_DOUBLE_EQ(found.runs[0].running, 15);  // 100 · 200 · 0.03 / 40
}

TEST(VllmBench, a_missing_field_is_named_with_its_place) {
  try {
    read_vllm_bench(R"({"completed": 100})", "run.json", "");
    FAIL();
  } catch (const InputError& wrong) {
    EXPECT_NE(std::string(wrong.what()).find("run.json:1:1: field 'total_input_tokens' is missing"),
              std::string::npos)
        << wrong.what();
  }
}

}  // namespace
}  // namespace orrery::schedule
