#include "orrery/cost/fp8_gemm_law.h"

#include <gtest/gtest.h>

#include <cmath>

#include "orrery/base/random.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

std::vector<hardware::Device> fp8_gpus() {
  std::vector<hardware::Device> devices;
  for (const auto& entry : hardware::Catalogue::shipped().entries()) {
    devices.push_back(hardware::Catalogue::shipped().device(entry.name));
  }
  return devices;
}

Fp8Device named(const char* gpu) {
  return fp8_device(hardware::Catalogue::shipped().device(gpu));
}

double log_uniform(Random& random, double low, double high) {
  return std::floor(std::exp(std::log(low) + random.uniform() * (std::log(high) - std::log(low))));
}

Fp8Product random_product(Random& random) {
  return {.m = log_uniform(random, 1, 20000),
          .n = log_uniform(random, 1, 70000),
          .k = log_uniform(random, 1, 70000),
          .weights = random.uniform() < .5 ? WeightState::Cold : WeightState::Cycled};
}

TEST(Fp8TileRules, follow_the_published_dispatch) {
  struct Case {
    Fp8Kernels kernels;
    double m, n, k;
    int rows, columns, depth;
  };
  for (const Case& c : {
           Case{Fp8Kernels::Sm89, 16, 8192, 1024, 16, 64, 128},
           Case{Fp8Kernels::Sm89, 16, 8193, 1024, 16, 128, 64},
           Case{Fp8Kernels::Sm89, 9, 20000, 1024, 32, 64, 128},
           Case{Fp8Kernels::Sm89, 32, 10240, 1024, 32, 128, 128},
           Case{Fp8Kernels::Sm89, 64, 4096, 1024, 64, 64, 128},
           Case{Fp8Kernels::Sm89, 128, 65536, 1024, 128, 64, 128},
           Case{Fp8Kernels::Sm89, 256, 4096, 1024, 64, 128, 128},
           Case{Fp8Kernels::Sm89, 257, 5120, 1024, 256, 128, 64},
           Case{Fp8Kernels::Sm89, 257, 4096, 1024, 128, 128, 64},
           Case{Fp8Kernels::Sm90, 16, 1280, 1024, 16, 64, 256},
           Case{Fp8Kernels::Sm90, 64, 1281, 1024, 64, 64, 256},
           Case{Fp8Kernels::Sm90, 65, 128, 1024, 64, 128, 128},
           Case{Fp8Kernels::Sm90, 129, 128, 1024, 128, 128, 128},
           Case{Fp8Kernels::Sm120, 256, 4096, 1024, 64, 64, 128},
           Case{Fp8Kernels::Sm120, 257, 4096, 1024, 128, 128, 128},
           Case{Fp8Kernels::Sm100, 257, 4096, 1024, 128, 128, 128},
       }) {
    const Fp8Tile tile = fp8_tile(c.kernels, Fp8Use::Dense, c.m, c.n, c.k);
    EXPECT_EQ(tile.rows, c.rows) << name(c.kernels) << " m " << c.m << " n " << c.n;
    EXPECT_EQ(tile.columns, c.columns) << name(c.kernels) << " m " << c.m << " n " << c.n;
    EXPECT_EQ(tile.depth, c.depth) << name(c.kernels) << " m " << c.m << " n " << c.n;
  }
}

TEST(Fp8GemmLaw, no_price_is_below_the_roofline_at_true_peaks) {
  Random random(Seed{1});
  const Fp8Constants constants = central_fp8_constants();
  for (const hardware::Device& device : fp8_gpus()) {
    const Fp8Device gpu = fp8_device(device);
    for (int i = 0; i < 300; ++i) {
      const Fp8Product p = random_product(random);
      const Fp8Parts parts = fp8_gemm_law(p, gpu, constants);
      EXPECT_GE(parts.time, 2 * p.m * p.n * p.k / gpu.peak);
      if (p.weights == WeightState::Cold) {
        EXPECT_GE(parts.time, p.n * p.k / gpu.memory_peak);
      }
    }
  }
}

TEST(Fp8GemmLaw, absurd_sizes_have_finite_positive_prices) {
  const Fp8Constants constants = central_fp8_constants();
  for (const hardware::Device& device : fp8_gpus()) {
    for (const DataType type : {DataType::FP8, DataType::FP8Block, DataType::NVFP4}) {
      const Fp8Device gpu = fp8_device(device, type);
      for (const double m : {1.0, 3e3, 1e12}) {
        for (const double n : {1.0, 3e3, 1e12}) {
          for (const double k : {1.0, 3e3, 1e12}) {
            const double time =
                fp8_gemm_law({.m = m, .n = n, .k = k, .experts = m > 100 ? 64.0 : 1.0}, gpu, constants).time;
            EXPECT_TRUE(std::isfinite(time) && time > 0) << device.name << ' ' << m << ' ' << n << ' ' << k;
          }
        }
      }
    }
  }
}

// The dispatch changes tiles with m and n, so that a larger product can run faster (measured too: doubling m
// is faster by more than 2 % for some shapes of every GPU). Within one tile it cannot, and over a change of
// tiles not by much.
TEST(Fp8GemmLaw, doubling_a_size_within_a_tile_is_not_faster) {
  Random random(Seed{2});
  const Fp8Constants constants = central_fp8_constants();
  for (const hardware::Device& device : fp8_gpus()) {
    const Fp8Device gpu = fp8_device(device);
    for (int i = 0; i < 300; ++i) {
      const Fp8Product p = random_product(random);
      const Fp8Parts once = fp8_gemm_law(p, gpu, constants);
      for (double Fp8Product::*size : {&Fp8Product::m, &Fp8Product::n, &Fp8Product::k}) {
        Fp8Product twice = p;
        twice.*size *= 2;
        const Fp8Parts more = fp8_gemm_law(twice, gpu, constants);
        const bool same = more.tile.rows == once.tile.rows && more.tile.columns == once.tile.columns;
        EXPECT_GE(more.time, once.time * (same ? .95 : .6))
            << device.name << ' ' << p.m << ' ' << p.n << ' ' << p.k;
      }
    }
  }
}

TEST(Fp8GemmLaw, cold_weights_never_cost_less_than_cycled_ones) {
  Random random(Seed{3});
  const Fp8Constants constants = central_fp8_constants();
  const Fp8Device gpu = named("l40s");
  for (int i = 0; i < 2000; ++i) {
    Fp8Product p = random_product(random);
    p.weights = WeightState::Cycled;
    const double cycled = fp8_gemm_law(p, gpu, constants).time;
    p.weights = WeightState::Cold;
    EXPECT_GE(fp8_gemm_law(p, gpu, constants).time, cycled * (1 - 1e-9));
  }
}

TEST(Fp8GemmLaw, more_memory_bandwidth_speeds_a_memory_bound_product_alone) {
  const Fp8Constants constants = central_fp8_constants();
  Fp8Device gpu = named("h100-sxm5-80gb");
  const Fp8Product decode{.m = 16, .n = 28672, .k = 8192};
  const Fp8Product prefill{.m = 8192, .n = 8192, .k = 8192};
  const double slow_decode = fp8_gemm_law(decode, gpu, constants).time;
  const double slow_prefill = fp8_gemm_law(prefill, gpu, constants).time;
  EXPECT_EQ(fp8_gemm_law(decode, gpu, constants).bound, Bound::Memory);
  gpu.memory_bandwidth *= 1.43;
  gpu.memory_peak *= 1.43;
  EXPECT_LT(fp8_gemm_law(decode, gpu, constants).time, .85 * slow_decode);
  EXPECT_GT(fp8_gemm_law(prefill, gpu, constants).time, .9 * slow_prefill);
}

TEST(Fp8GemmLaw, experts_cost_their_own_weights_and_tiles) {
  const Fp8Constants constants = central_fp8_constants();
  const Fp8Device gpu = named("h100-sxm5-80gb");
  const double one = fp8_gemm_law({.m = 64, .n = 4096, .k = 4096}, gpu, constants).time;
  const double sixteen = fp8_gemm_law({.m = 64, .n = 4096, .k = 4096, .experts = 16}, gpu, constants).time;
  EXPECT_GT(sixteen, 4 * one);
  EXPECT_LT(sixteen, 16 * one);
}

TEST(Fp8GemmLaw, nvfp4_halves_the_traffic_of_a_decode_step_on_blackwell) {
  const Fp8Constants constants = central_fp8_constants();
  const hardware::Device device = hardware::Catalogue::shipped().device("b200-sxm-180gb");
  const double fp8 = fp8_gemm_law({.m = 16, .n = 28672, .k = 8192}, fp8_device(device), constants).memory;
  const double fp4 =
      fp8_gemm_law({.m = 16, .n = 28672, .k = 8192, .weight_bytes = .5625, .activation_bytes = .5625},
                   fp8_device(device, DataType::NVFP4), constants)
          .memory;
  EXPECT_NEAR(fp4 / fp8, .5625, .05);
}

}  // namespace
}  // namespace orrery::cost
