#include "orrery/cost/gemm_law.h"

#include <gtest/gtest.h>

#include <cmath>

#include "orrery/base/random.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

GemmLaw law_of(const char* gpu, DataType type = DataType::BF16, DataType weights = DataType::BF16) {
  const hardware::Device device = hardware::Catalogue::shipped().device(gpu);
  return {gemm_device(device, type, weights), central_gemm_constants()};
}

double log_uniform(Random& random, double low, double high) {
  return std::floor(std::exp(std::log(low) + random.uniform() * std::log(high / low)));
}

GemmProduct random_product(Random& random) {
  return {.m = log_uniform(random, 1, 20000),
          .n = log_uniform(random, 1, 70000),
          .k = log_uniform(random, 1, 70000),
          .copies = random.uniform() < .5 ? 0.0 : 6.0};
}

constexpr const char* kGpus[] = {"a100-sxm4-80gb",
                                 "l40s",
                                 "h100-sxm5-80gb",
                                 "h200-sxm-141gb",
                                 "b200-sxm-180gb",
                                 "rtx-4090",
                                 "mi300x",
                                 "a40",
                                 "l4",
                                 "v100-sxm2-32gb",
                                 "rtx-pro-6000-blackwell-server"};

// Twice the tiles have twice the multiprocessors ask for data: of a product of a few tiles that is seen.
constexpr double kSlack = .08;

TEST(GemmLaw, doubling_a_size_never_makes_it_faster) {
  Random random(Seed{5});
  for (const char* gpu : kGpus) {
    const GemmLaw law = law_of(gpu);
    for (int i = 0; i < 3000; ++i) {
      const GemmProduct p = random_product(random);
      const double time = law(p).time * (1 - kSlack);
      GemmProduct more = p;
      if (p.m > 1) {  // one row is another kernel
        more.m *= 2;
        EXPECT_GE(law(more).time, time)
            << gpu << " m " << p.m << " n " << p.n << " k " << p.k << " " << p.copies;
      }
      more = p;
      more.n *= 2;
      EXPECT_GE(law(more).time, time)
          << gpu << " m " << p.m << " n " << p.n << " k " << p.k << " " << p.copies;
      more = p;
      more.k *= 2;
      EXPECT_GE(law(more).time, time)
          << gpu << " m " << p.m << " n " << p.n << " k " << p.k << " " << p.copies;
    }
  }
}

TEST(GemmLaw, never_beats_the_roofline_at_full_clock) {
  Random random(Seed{6});
  for (const char* gpu : kGpus) {
    const GemmLaw law = law_of(gpu);
    const GemmDevice& device = law.device();
    for (int i = 0; i < 2000; ++i) {
      const GemmProduct p = random_product(random);
      const double rate = device.flops_per_clock * device.multiprocessors * device.clock;
      const GemmParts parts = law(p);
      EXPECT_GE(parts.time, 2 * p.m * p.n * p.k / rate);
      if (p.copies == 0) {
        EXPECT_GE(parts.time, 2 * p.n * p.k / device.memory_peak);
      }
    }
  }
}

TEST(GemmLaw, is_finite_and_positive_for_absurd_sizes) {
  const GemmLaw law = law_of("h100-sxm5-80gb");
  for (double m : {1.0, 1e6, 1e12}) {
    for (double n : {1.0, 1e6, 1e12}) {
      for (double k : {1.0, 1e6, 1e12}) {
        const GemmParts parts = law({.m = m, .n = n, .k = k});
        EXPECT_TRUE(std::isfinite(parts.time)) << m << " " << n << " " << k;
        EXPECT_GT(parts.time, 1e-6);
      }
    }
  }
}

TEST(GemmLaw, a_large_square_runs_near_the_published_rate) {
  for (const char* gpu : kGpus) {
    const GemmLaw law = law_of(gpu);
    const GemmDevice& d = law.device();
    const double rate = 2 * 8192.0 * 8192 * 8192 / law({.m = 8192, .n = 8192, .k = 8192}).time;
    const double published = d.sustained * d.flops_per_clock * d.multiprocessors * d.clock;
    EXPECT_GT(rate, .7 * published) << gpu;
    EXPECT_LT(rate, 1.2 * published) << gpu;
  }
}

TEST(GemmLaw, one_token_through_cold_weights_runs_at_memory_bandwidth) {
  for (const char* gpu : kGpus) {
    const GemmLaw law = law_of(gpu);
    const GemmParts parts = law({.m = 4, .n = 28672, .k = 8192});
    EXPECT_EQ(parts.bound, Bound::Memory) << gpu;
    EXPECT_NEAR(parts.memory_bytes, 2 * 28672.0 * 8192, .01 * parts.memory_bytes) << gpu;
    EXPECT_GT(2 * 28672.0 * 8192 / parts.time, .6 * law.device().memory_peak) << gpu;
  }
}

TEST(GemmLaw, cycled_weights_that_fit_the_cache_are_not_read_from_memory) {
  const GemmLaw law = law_of("l40s");  // 96 MiB
  const GemmParts warm = law({.m = 16, .n = 2048, .k = 2048, .copies = 6});
  const GemmParts large = law({.m = 16, .n = 4096, .k = 4096, .copies = 6});
  EXPECT_LT(warm.weights_cold, .05);
  EXPECT_GT(large.weights_cold, .95);
  EXPECT_GT(law({.m = 16, .n = 2048, .k = 2048}).time, 1.3 * warm.time);
}

TEST(GemmLaw, a_batch_fills_waves_together) {
  const GemmLaw law = law_of("a100-sxm4-80gb");
  const double one = law({.m = 128, .n = 128, .k = 128}).time;
  const double many = law({.batch = 64, .m = 128, .n = 128, .k = 128}).time;
  EXPECT_LT(many, 3 * one);
  EXPECT_GT(many, one);
}

TEST(GemmLaw, experts_read_the_weights_that_have_rows) {
  const GemmLaw law = law_of("h100-sxm5-80gb");
  const GemmProduct all = {.m = 4096, .n = 2048, .k = 4096, .experts = 8};
  const GemmProduct few = {.m = 2, .n = 2048, .k = 4096, .experts = 8};
  EXPECT_NEAR(law(all).flops, 2 * 4096.0 * 2048 * 4096, 1);
  EXPECT_NEAR(law(few).memory_bytes, 2 * 2 * 2048.0 * 4096, .05 * 2 * 2 * 2048 * 4096);
  EXPECT_GT(law(all).time, law({.m = 4096, .n = 2048, .k = 4096}).time);
}

TEST(GemmLaw, four_bit_weights_help_where_weights_are_read_and_not_where_products_bound) {
  for (const char* gpu : {"a100-sxm4-80gb", "l40s", "h100-sxm5-80gb"}) {
    const GemmLaw wide = law_of(gpu), narrow = law_of(gpu, DataType::BF16, DataType::INT4);
    GemmProduct p = {.m = 1, .n = 28672, .k = 8192};
    const double wide_decode = wide(p).time;
    p.weight_bytes = bytes_per_element(DataType::INT4);
    EXPECT_GT(wide_decode / narrow(p).time, 2.5) << gpu;
    GemmProduct large = {.m = 8192, .n = 8192, .k = 8192};
    const double wide_prefill = wide(large).time;
    large.weight_bytes = bytes_per_element(DataType::INT4);
    EXPECT_GT(narrow(large).time, wide_prefill) << gpu;
  }
}

TEST(GemmLaw, every_shipped_gpu_is_priced) {
  for (const auto& entry : hardware::Catalogue::shipped().entries()) {
    const hardware::Device device = hardware::Catalogue::shipped().device(entry.name);
    const GemmLaw law(gemm_device(device, DataType::BF16, DataType::BF16), central_gemm_constants());
    EXPECT_GT(law({.m = 512, .n = 4096, .k = 4096}).time, 2e-6) << entry.name;
  }
}

}  // namespace
}  // namespace orrery::cost
