#include "orrery/cost/accelerator/accelerator_model.h"

#include <gtest/gtest.h>

#include "orrery/base/test_support.h"
#include "orrery/cost/price_memo.h"
#include "orrery/cost/roofline_model.h"
#include "orrery/graph/optimizer_step.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

using graph::GemmSize;
using graph::OperatorKind;
using graph::Pass;
using graph::VectorSize;

constexpr GemmSize kLlamaFeedForward{1, 4096, 11008, 4096};
constexpr graph::ConvolutionSize kResNetFirst{1, 3, 64, 224, 224, 7, 7, 2, 2, 3, 3, 1};

hardware::Device accelerator(int cores, int lanes = 128) {
  hardware::Device device;
  device.name = "array-128";
  device.memory = gibibytes(32);
  device.memory_bandwidth = BytesPerSecond(1.2e12);
  hardware::Accelerator chip;
  chip.matrix_cores = chip.vector_cores = cores;
  chip.lanes = lanes;
  chip.energy = hardware::energy_table("wham-default");
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

graph::Kernel gemm(const GemmSize& size) {
  return {{graph::make(size, DataType::BF16, DataType::BF16)}};
}
graph::Kernel vector(OperatorKind kind, const VectorSize& size, Pass pass = Pass::Forward) {
  return {{graph::make(kind, size, DataType::BF16, pass)}};
}

OperatorCost price(const graph::Kernel& kernel, const hardware::Device& device,
                   AcceleratorOptions options = {}, Allotment allotment = {1, 1, 1}) {
  OperatorCost cost;
  AcceleratorModel(options).price(std::span<const graph::Kernel>(&kernel, 1), device, allotment,
                                  std::span(&cost, 1));
  return cost;
}

TEST(AcceleratorModel, equals_the_worked_example_with_memory) {
  graph::Kernel first{{graph::make(kResNetFirst, DataType::BF16)}};
  EXPECT_NEAR(price(first, accelerator(1)).cycles.value(), 14837, 1);
  EXPECT_NEAR(price(gemm(kLlamaFeedForward), accelerator(1)).cycles.value(), 11273864, 1);
  hardware::Device tpu = hardware::Catalogue::shipped().device("tpuv2");
  EXPECT_NEAR(price(first, tpu).cycles.value(), 14845, 1);
  EXPECT_NEAR(price(gemm(kLlamaFeedForward), tpu).cycles.value(), 11274049, 1);
}

TEST(AcceleratorModel, a_published_chip_runs_at_hertz_and_bytes_not_at_powers_of_two) {
  hardware::Device tpu = hardware::Catalogue::shipped().device("tpuv2");
  EXPECT_EQ(tpu.accelerator()->clock.value(), 700e6);
  EXPECT_EQ(tpu.memory_bandwidth.value(), 700e9);
  OperatorCost cost = price(gemm(kLlamaFeedForward), tpu);
  EXPECT_NEAR(cost.time.value(), 11274049 / 700e6, 1e-8);  // seconds
}

TEST(CoreTypes, one_kernel_is_priced_on_a_gpu_and_on_an_accelerator_under_two_allotments) {
  graph::Kernel kernel = gemm(kLlamaFeedForward);
  OperatorCost on_gpu = RooflineModel().price(kernel, gpu(), {});
  hardware::Device chip = accelerator(8);
  OperatorCost one_core = price(kernel, chip), all_cores = price(kernel, chip, {}, {});
  EXPECT_EQ(on_gpu.flops.value(), 2.0 * 184683593728);
  EXPECT_NEAR(on_gpu.time.value(), 2.0 * 184683593728 / 3e14, 1e-9);
  EXPECT_EQ(one_core.compute.value(), 11272574 / 1.05e9);
  EXPECT_NEAR(all_cores.compute.value() * 1.05e9, 1409406, 1);  // cut along M: eight shares of 512 rows
  EXPECT_EQ(all_cores.bound_by, Bound::Compute);
  EXPECT_EQ(one_core.flops.value(), on_gpu.flops.value());
  EXPECT_EQ(one_core.engines, 1);
}

TEST(AcceleratorModel, refuses_a_gpu) {
  EXPECT_NE(error_of([] { price(gemm({1, 8, 8, 8}), gpu()); }).find("is a GPU"), std::string::npos);
}

TEST(AcceleratorModel, energy_of_the_worked_example) {
  AcceleratorOptions options;
  options.dataflow = Dataflow::WeightStationary;
  options.exchange = false;
  EXPECT_NEAR(price(gemm(kLlamaFeedForward), accelerator(1), options).energy.value(), 0.2470, 1.5e-4);
}

TEST(AcceleratorModel, a_vector_operator_waits_for_its_memory) {
  graph::Kernel add = vector(OperatorKind::Add, {.rows = 4096, .columns = 4096, .inputs = 2});
  hardware::Device narrow = hardware::Catalogue::shipped().device("tpuv2"), wide = narrow;
  std::get<hardware::Accelerator>(wide.architecture).lanes = 512;
  double memory = 3 * 2.0 * 4096 * 4096 / 700e9;
  EXPECT_NEAR(price(add, narrow).time.value(), 187.2e-6, 0.1e-6);  // issue
  EXPECT_EQ(price(add, wide).time.value(), memory);                // not 47 us
  EXPECT_EQ(price(add, wide).bound_by, Bound::Memory);
  AcceleratorOptions blind;
  blind.memory = false;
  EXPECT_NEAR(price(add, wide, blind).time.value(), 46.8e-6, 0.1e-6);
}

TEST(AcceleratorModel, vector_energy_grows_with_the_tensor_not_with_the_chip) {
  double last = 0;
  for (int64_t rows : {64, 256, 1024, 65536}) {
    graph::Kernel relu = vector(OperatorKind::Relu, {.rows = rows, .columns = 1024});
    double energy = price(relu, accelerator(1)).energy.value();
    EXPECT_NEAR(energy / (rows / 64.0), last > 0 ? last : energy, 1e-12);  // in proportion
    last = energy / (rows / 64.0);
    EXPECT_DOUBLE_EQ(price(relu, accelerator(16)).energy.value(), energy);
  }
}

TEST(AcceleratorModel, backward_is_priced_by_its_own_cycles_and_sizes) {
  graph::Kernel forward = vector(OperatorKind::Tanh, {.rows = 512, .columns = 512}),
                backward = vector(OperatorKind::Tanh, {.rows = 512, .columns = 512, .inputs = 2},
                                  Pass::InputGradient);
  // Both tensors of the backward one apart, what is left of the difference is its arithmetic: 2 cycles
  // for 27.
  const hardware::EnergyTable energy = accelerator(1).accelerator()->energy;
  const double lane = (energy.multiply_accumulate + energy.registers * energy.register_accesses).value(),
               word = energy.dram.value() + energy.global_buffer(Bytes(32.0 * 1024 * 1024)).value(),
               more = price(backward, accelerator(1)).energy.value() -
                      price(forward, accelerator(1)).energy.value();
  EXPECT_NEAR(more, 512 * 512 * (word - 25 * lane), 1e-9 * 512 * 512 * word);
  AcceleratorOptions blind;
  blind.memory = false;
  EXPECT_DOUBLE_EQ(
      price(forward, accelerator(1), blind).cycles / price(backward, accelerator(1), blind).cycles, 13.5);
  blind.dataflow = Dataflow::WeightStationary;
  blind.exchange = false;
  // A stretched convolution: its weight gradient has few results and a long contraction, so another time.
  graph::Kernel image{{graph::make(kResNetFirst, DataType::BF16)}},
      weights{{graph::make(kResNetFirst, DataType::BF16, Pass::WeightGradient)}};
  EXPECT_NE(price(image, accelerator(1), blind).cycles.value(),
            price(weights, accelerator(1), blind).cycles.value());
  EXPECT_EQ(price(image, accelerator(1)).flops.value(), price(weights, accelerator(1)).flops.value());
}

TEST(AcceleratorModel, a_fused_epilogue_takes_every_element_through_the_lanes) {
  graph::Kernel fused = gemm({1, 4096, 4096, 64});
  fused.parts.push_back(
      graph::make(OperatorKind::Gelu, {.rows = 4096, .columns = 4096, .inputs = 0}, DataType::BF16));
  AcceleratorOptions blind;
  blind.memory = false;
  double array = run_either_way({1, 4096, 4096, 64}, {128, 128}, ArrayMode::Pipelined, Dataflow::Best).cycles;
  EXPECT_EQ(price(fused, accelerator(1), blind).cycles.value(),
            std::max(array, 4096 * 4096 / 128 * 15.0) + 15);
  EXPECT_EQ(price(fused, accelerator(1), blind).engines, 3);
  blind.epilogue_whole = false;  // as released
  EXPECT_EQ(price(fused, accelerator(1), blind).cycles.value(), array + 15);
}

TEST(AcceleratorModel, a_smaller_share_of_the_buffer_moves_more) {
  graph::Kernel kernel = gemm(kLlamaFeedForward);
  double whole = price(kernel, accelerator(8), {}, {1, 1, 1}).traffic[kDram].value(),
         share = price(kernel, accelerator(8), {}, {1, 1, 0.125}).traffic[kDram].value();
  EXPECT_GT(share, 1.5 * whole);
}

TEST(AcceleratorModel, one_memo_keeps_every_core_shape_apart) {
  PriceMemo memo;
  graph::Kernel kernel = gemm({1, 700, 900, 500});
  for (int turn = 0; turn < 2; ++turn) {
    for (int side : {32, 64, 128, 256}) {
      hardware::Device device = accelerator(1);
      std::get<hardware::Accelerator>(device.architecture).rows = side;
      OperatorCost cost;
      memo.price(AcceleratorModel(), std::span<const graph::Kernel>(&kernel, 1), device, {1, 1, 1},
                 std::span(&cost, 1));
      EXPECT_EQ(cost.cycles.value(), price(kernel, device).cycles.value());
    }
  }
  EXPECT_EQ(memo.size(), 4u);
}

TEST(AcceleratorModel, whole_grids_are_bounded_without_pricing) {
  graph::Kernel kernel = gemm({1, 700, 900, 500});
  kernel.parts.push_back(
      graph::make(OperatorKind::Relu, {.rows = 700, .columns = 900, .inputs = 0}, DataType::BF16));
  AcceleratorOptions blind;
  blind.memory = false;
  double together = std::max(matrix_cycles(kernel, {128, 128}, 1, blind), vector_cycles(kernel, 128, blind)) +
                    epilogue_cycles(kernel, blind);
  EXPECT_EQ(price(kernel, accelerator(1), blind).cycles.value(), together);
}

TEST(VectorCosts, softmax_equals_its_worked_examples) {
  auto softmax = [](int64_t rows, int64_t columns, double lanes, VectorCosts costs) {
    return vector_cycles(
        graph::make(OperatorKind::Softmax, {.rows = rows, .columns = columns}, DataType::BF16), lanes, costs);
  };
  EXPECT_EQ(softmax(24 * 2048, 2048, 128, VectorCosts::Revised), 8650762);
  EXPECT_EQ(softmax(24 * 2048, 2048, 128, VectorCosts::Released), 8650752);
  EXPECT_EQ(softmax(12 * 197, 197, 256, VectorCosts::Revised), 20574);
  EXPECT_EQ(softmax(12 * 197, 197, 256, VectorCosts::Released), 20170);
}

TEST(VectorCosts, every_optimizer_costs_what_it_computes_and_moves) {
  auto step = [](graph::Optimizer optimizer) {
    const double moved = graph::optimizer_bytes(optimizer, DataType::BF16).moved;
    return graph::Kernel{{{OperatorKind::OptimizerStep,
                           DataType::BF16,
                           DataType::BF16,
                           Pass::Optimizer,
                           {1 << 20, static_cast<int64_t>(moved)}}}};
  };
  auto each = [&](graph::Optimizer optimizer) {
    return cycles_per_element(step(optimizer).parts[0], VectorCosts::Released);
  };
  EXPECT_EQ(each(graph::Optimizer::Sgd), 2);
  EXPECT_EQ(each(graph::Optimizer::Momentum), 4);
  EXPECT_EQ(each(graph::Optimizer::Adam), 12);
  EXPECT_EQ(each(graph::Optimizer::MixedAdam), 12);
  auto bytes = [&](graph::Optimizer optimizer) {
    return price(step(optimizer), accelerator(1)).traffic[kDram].value();
  };
  EXPECT_LT(bytes(graph::Optimizer::Sgd), bytes(graph::Optimizer::Momentum));
  EXPECT_LT(bytes(graph::Optimizer::Momentum), bytes(graph::Optimizer::Adam));
}

TEST(VectorCosts, every_vector_kind_that_moves_bytes_costs_something_when_revised) {
  for (size_t i = 0; i < graph::kOperatorKinds; ++i) {
    auto kind = static_cast<OperatorKind>(i);
    if (graph::traits(kind).engine != graph::Engine::Vector) continue;
    graph::OperatorShape shape{kind, DataType::BF16, DataType::BF16, Pass::Forward, {4, 8, 2, 2, 2, 2, 4, 4}};
    EXPECT_GT(vector_cycles(shape, 16, VectorCosts::Revised), 0) << graph::traits(kind).name;
  }
}

TEST(Roofline, of_an_accelerator_takes_backward_at_its_own_sizes) {
  const graph::AttentionSize size{
      .batch = 2, .query = 512, .heads = 8, .kv_heads = 8, .head_dim = 64, .causal = 0};
  auto seconds = [&](Pass pass) {
    const graph::Kernel kernel{{graph::make(size, DataType::BF16, DataType::BF16, pass)}};
    return RooflineModel().price(kernel, accelerator(1), {1, 1, 1}).compute.value();
  };
  EXPECT_DOUBLE_EQ(seconds(Pass::InputGradient), 2.5 * seconds(Pass::Forward));
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
    graph::Kernel kernel = gemm({1, m, 4096, 4096});
    double a = RooflineModel().price(kernel, slow, {}).time.value(),
           b = RooflineModel().price(kernel, fast, {}).time.value();
    EXPECT_LE(b, a);
    EXPECT_GE(b, a / 2);
  }
}

}  // namespace
}  // namespace orrery::cost
