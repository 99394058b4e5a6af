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

TEST(Fp32Law, power_binds_long_products_of_a_small_card_and_short_ones_less) {
  const Fp32Constants c = central_fp32_constants();
  const Fp32Device l4 = fp32_device(hardware::Catalogue::shipped().device("l4"));
  auto rate = [&](double m) {
    const Fp32Call call = linear(m, 4096, 4096);
    const Fp32Parts parts = fp32_law(call, l4, c, {}, Fp32Setting::InModel);
    return parts.flops / (parts.time - parts.start);
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

TEST(Fp32Model, refuses_weights_that_are_none) {
  for (const char* bad : {"{}", "[]", "{\"format\": \"orrery fp32 weights\", \"version\": 9}", "nonsense"})
    EXPECT_THROW(Fp32Model::from_json(bad, "bad.json"), InputError) << bad;
}

}  // namespace
}  // namespace orrery::cost
