#include "orrery/cost/fp32/fp32_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "orrery/base/random.h"
#include "orrery/base/storage.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

Fp32Model shipped() {
  const std::string path = data_folder() + "/weights/fp32.json";
  return Fp32Model::from_json(read_file(path), path);
}

Fp32Call linear(double m, double n, double k) {
  Fp32Call call;
  call.kernel = Fp32Class::Linear;
  call.m = m;
  call.n = n;
  call.k = k;
  return call;
}

TEST(Fp32Model, written_and_read_again_it_prices_the_same) {
  const Fp32Model model = shipped();
  const Fp32Model again = Fp32Model::from_json(model.to_json(), "again");
  EXPECT_EQ(model.to_json(), again.to_json());
  const auto device = hardware::Catalogue::shipped().device("l4");
  const Fp32Call call = linear(4096, 1280, 3840);
  EXPECT_EQ(model.price(call, model.target(device), Fp32Setting::InModel).time,
            again.price(call, again.target(device), Fp32Setting::InModel).time);
}

TEST(Fp32Model, no_product_beats_the_peak_and_the_band_holds_the_price) {
  const Fp32Model model = shipped();
  Random random(Seed{7});
  for (const char* gpu : {"p4", "p100", "v100", "t4", "a100-pcie-40gb", "l4", "h100", "mi210", "rtx-4090"}) {
    const auto device = hardware::Catalogue::shipped().device(gpu);
    const Fp32Model::Target target = model.target(device);
    for (int i = 0; i < 300; ++i) {
      auto size = [&] {
        return std::floor(std::exp2(13. * static_cast<double>(random.index(1000)) / 1000)) + 1;
      };
      const Fp32Call call = linear(size(), size(), size());
      const Fp32Cost cost = model.price(call, target, Fp32Setting::InModel);
      EXPECT_GE(cost.time, 2 * call.m * call.n * call.k / target.device.matrix_rate) << gpu;
      EXPECT_GE(cost.sustained, cost.time) << gpu;
      EXPECT_LE(cost.low, 1) << gpu;
      EXPECT_GE(cost.high, 1) << gpu;
    }
  }
}

TEST(Fp32Model, a_call_from_the_host_costs_more_than_a_kernel_in_a_stream) {
  const Fp32Model model = shipped();
  const auto target = model.target(hardware::Catalogue::shipped().device("v100"));
  const Fp32Call call = linear(64, 64, 64);
  EXPECT_GT(model.price(call, target, Fp32Setting::FromHost).time,
            model.price(call, target, Fp32Setting::InModel).time + 10e-6);
}

// Twice as much of one dimension, over all GPUs, measured or not, and kinds of kernels.
TEST(Fp32Model, twice_the_work_is_never_faster) {
  const Fp32Model model = shipped();
  std::vector<Fp32Model::Target> targets;
  for (const char* gpu : {"p4", "p100", "v100", "t4", "a100-pcie-40gb", "l4", "h100", "mi210", "rtx-4090"})
    targets.push_back(model.target(hardware::Catalogue::shipped().device(gpu)));
  Random random(Seed{11});
  auto size = [&](double most) {
    return std::floor(std::exp2(most * static_cast<double>(random.index(1000)) / 1000));
  };
  constexpr size_t kPairs = 20'000;
  size_t faster = 0;
  for (size_t i = 0; i < kPairs; ++i) {
    Fp32Call call;
    call.kernel = static_cast<Fp32Class>(random.index(kFp32Classes));
    if (call.kernel == Fp32Class::Convolution) call.kernel = Fp32Class::Linear;
    Fp32Call twice;
    if (is_product(call.kernel)) {
      call.batch = call.kernel == Fp32Class::Batched ? size(8) + 1 : 1;
      call.m = size(13), call.n = size(13), call.k = size(13);
      twice = call;
      double* dims[] = {&twice.m, &twice.n, &twice.k};
      *dims[random.index(3)] *= 2;
    } else {
      call.rows = size(16), call.columns = size(14);
      call.read = call.written = 4 * call.rows * call.columns;
      twice = call;
      twice.rows *= 2, twice.read *= 2, twice.written *= 2;
    }
    const Fp32Model::Target& target = targets[random.index(targets.size())];
    for (Fp32Setting setting : {Fp32Setting::InModel, Fp32Setting::FromHost}) {
      const Fp32Cost once = model.price(call, target, setting), more = model.price(twice, target, setting);
      faster += more.time < once.time * (1 - 1e-12);
    }
  }
  EXPECT_EQ(faster, 0U);
}

TEST(Fp32Law, power_binds_long_products_of_a_small_card_and_short_ones_less) {
  const Fp32Constants c = central_fp32_constants();
  const Fp32Device l4 = fp32_device(hardware::Catalogue::shipped().device("l4"));
  auto rate = [&](double m) {
    const Fp32Call call = linear(m, 4096, 4096);
    const Fp32Parts parts = fp32_law(call, l4, c, {}, Fp32Setting::InModel);
    return parts.flops / parts.body;
  };
  EXPECT_LT(rate(65536), .5 * l4.lane_rate);
  EXPECT_GT(rate(1024), 1.2 * rate(65536));
}

TEST(Fp32Law, wide_softmax_reads_its_rows_again_once_rows_in_flight_exceed_the_cache) {
  const Fp32Constants c = central_fp32_constants();
  const Fp32Device v100 = fp32_device(hardware::Catalogue::shipped().device("v100"));
  auto moved = [&](double columns) {
    Fp32Call call;
    call.kernel = Fp32Class::Softmax;
    call.rows = std::floor(5e8 / columns);
    call.columns = columns;
    call.read = call.written = 4 * call.rows * columns;
    return fp32_law(call, v100, c, {}, Fp32Setting::InModel).bytes / (call.read + call.written);
  };
  EXPECT_NEAR(moved(1024), 1, .02);
  EXPECT_GT(moved(16384), 1.8);
}

TEST(Fp32Law, an_operand_that_is_shared_is_read_again_once_its_sweep_leaves_the_cache) {
  const Fp32Constants c = central_fp32_constants();
  const Fp32Device v100 = fp32_device(hardware::Catalogue::shipped().device("v100"));
  auto moved = [&](int64_t side) {  // scores of 32 heads and one mask for all
    Fp32Call call;
    const graph::VectorSize size{.rows = 32 * side, .columns = side, .inputs = 1, .broadcast = side * side};
    EXPECT_TRUE(fp32_call(graph::make(graph::OperatorKind::Add, size, DataType::FP32), call));
    return fp32_law(call, v100, c, {}, Fp32Setting::InModel).bytes /
           (4. * 32 * static_cast<double>(side * side));
  };
  EXPECT_NEAR(moved(512), 2, .1);
  EXPECT_NEAR(moved(2048), 3, .1);
}

TEST(Fp32Law, the_host_sets_a_floor_and_part_of_its_time_adds_to_long_calls) {
  const Fp32Constants c = central_fp32_constants();
  const Fp32Device a100 = fp32_device(hardware::Catalogue::shipped().device("a100-pcie-40gb"));
  auto time = [&](double bytes, Fp32Setting setting) {
    Fp32Call call;
    call.rows = bytes / 8 / 1024;
    call.columns = 1024;
    call.read = call.written = bytes / 2;
    return fp32_law(call, a100, c, {}, setting).time;
  };
  EXPECT_DOUBLE_EQ(time(1e5, Fp32Setting::FromHost), c.host_vector);
  const double kernel = time(1e9, Fp32Setting::InModel) - c.kernel;
  EXPECT_NEAR(time(1e9, Fp32Setting::FromHost), kernel + c.lead * c.host_vector, 1e-9);
}

TEST(Fp32Model, refuses_weights_that_are_none) {
  for (const char* bad : {"{}", "[]", "{\"format\": \"orrery fp32 weights\", \"version\": 9}", "nonsense"})
    EXPECT_THROW(Fp32Model::from_json(bad, "bad.json"), InputError) << bad;
}

}  // namespace
}  // namespace orrery::cost
