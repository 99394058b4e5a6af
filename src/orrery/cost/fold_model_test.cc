#include "orrery/cost/fold_model.h"

#include <gtest/gtest.h>

#include "orrery/cost/roofline_model.h"

namespace orrery::cost {
namespace {

constexpr graph::GemmSize kResNetFirst{1, 12544, 64, 147}, kLlamaFeedForward{1, 4096, 11008, 4096};

hardware::Device accelerator(int matrix_cores) {
  hardware::Device device;
  device.name = "array-128";
  device.memory = gibibytes(32);
  device.memory_bandwidth = BytesPerSecond(1.2e12);
  hardware::Accelerator chip;
  chip.matrix_cores = chip.vector_cores = matrix_cores;
  device.architecture = chip;
  return device;
}

hardware::Device gpu() {
  hardware::Device device;
  device.name = "test-gpu";
  device.memory_bandwidth = BytesPerSecond(2e12);
  hardware::Gpu g;
  g.multiprocessors = 100;
  g.lanes = 64;
  g.boost_clock = Hertz(1.5e9);
  g.peak[static_cast<size_t>(DataType::BF16)] = FlopsPerSecond(3e14);
  device.architecture = g;
  return device;
}

TEST(FoldModel, pipelined_cycles_equal_the_worked_example) {
  auto cycles = [](const graph::GemmSize& s, Dataflow d) { return pipelined_cycles(s, 128, 128, d).value(); };
  EXPECT_EQ(cycles(kResNetFirst, Dataflow::WeightStationary), 25470);
  EXPECT_EQ(cycles(kResNetFirst, Dataflow::OutputStationary), 14788);
  EXPECT_EQ(cycles(kResNetFirst, Dataflow::InputStationary), 25406);
  for (Dataflow d : {Dataflow::WeightStationary, Dataflow::OutputStationary, Dataflow::InputStationary}) {
    EXPECT_EQ(cycles(kLlamaFeedForward, d), 11272574);
  }
}

TEST(FoldModel, weight_stationary_of_a_transposed_product_is_input_stationary) {
  EXPECT_EQ(pipelined_cycles({1, 500, 70, 300}, 128, 64, Dataflow::WeightStationary).value(),
            pipelined_cycles({1, 70, 500, 300}, 128, 64, Dataflow::InputStationary).value());
}

TEST(CoreTypes, one_kernel_is_priced_on_a_gpu_and_on_an_accelerator_under_two_allotments) {
  graph::Kernel kernel{{graph::make(kLlamaFeedForward, DataType::BF16, DataType::BF16)}};
  std::span<const graph::Kernel> kernels(&kernel, 1);
  OperatorCost on_gpu, one_core, all_cores;
  RooflineModel().price(kernels, gpu(), {}, std::span(&on_gpu, 1));
  hardware::Device chip = accelerator(8);
  FoldModel().price(kernels, chip, {1, 1, 1}, std::span(&one_core, 1));
  FoldModel().price(kernels, chip, {}, std::span(&all_cores, 1));
  EXPECT_EQ(on_gpu.flops.value(), 2.0 * 184683593728);
  EXPECT_NEAR(on_gpu.time.value(), 2.0 * 184683593728 / 3e14, 1e-9);
  EXPECT_EQ(one_core.cycles.value(), 11272574);
  EXPECT_NEAR(all_cores.cycles.value(), 1409406, 1);  // cut along M: eight shares of 512 rows
  EXPECT_EQ(one_core.flops.value(), on_gpu.flops.value());
  EXPECT_EQ(one_core.engines, 1);
}

TEST(FoldModel, refuses_a_gpu) {
  graph::Kernel kernel{{graph::make(kResNetFirst, DataType::BF16, DataType::BF16)}};
  OperatorCost cost;
  EXPECT_THROW(FoldModel().price(std::span<const graph::Kernel>(&kernel, 1), gpu(), {}, std::span(&cost, 1)),
               InputError);
}

TEST(Roofline, formats_that_a_gpu_lacks_run_in_the_next_wider_one) {
  hardware::Device device = gpu();
  EXPECT_EQ(executed_type(*device.gpu(), DataType::FP8Block), DataType::BF16);
  EXPECT_EQ(executed_type(*device.gpu(), DataType::INT4), DataType::BF16);
  EXPECT_EQ(executed_type(*device.gpu(), DataType::FP32), DataType::FP32);
  EXPECT_EQ(matrix_rate(*device.gpu(), DataType::FP32).value(), vector_rate(*device.gpu()).value());
}

TEST(Roofline, twice_the_bandwidth_at_most_halves_the_time) {
  hardware::Device slow = gpu(), fast = gpu();
  fast.memory_bandwidth *= 2;
  for (int64_t m : {1, 16, 333, 5000}) {
    graph::Kernel kernel{{graph::make(graph::GemmSize{1, m, 4096, 4096}, DataType::BF16, DataType::BF16)}};
    double a = RooflineModel().price(kernel, slow, {}).time.value(),
           b = RooflineModel().price(kernel, fast, {}).time.value();
    EXPECT_LE(b, a);
    EXPECT_GE(b, a / 2);
  }
}

}  // namespace
}  // namespace orrery::cost
