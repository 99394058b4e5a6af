#include "orrery/cost/fp8_gemm_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "orrery/base/random.h"
#include "orrery/cost/fit/fit_fp8_model.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

hardware::Device named(const std::string& gpu) {
  return hardware::Catalogue::shipped().device(gpu);
}

// Rows as a GPU would give them that follows the law with these constants.
Fp8Measured synthetic(const std::vector<std::string>& gpus, const Fp8Constants& truth, int rows,
                      double noise) {
  Fp8Measured measured;
  measured.gpus = gpus;
  Random random(Seed{5});
  for (size_t g = 0; g < gpus.size(); ++g) {
    const Fp8Device device = fp8_device(named(gpus[g]));
    for (int i = 0; i < rows; ++i) {
      const auto size = [&](double low, double high) {
        return std::floor(low * std::pow(high / low, random.uniform()));
      };
      Fp8Row row{static_cast<int>(g), size(1, 8192), size(32, 16384), size(32, 16384), 0};
      row.seconds =
          fp8_gemm_law({.m = row.m, .n = row.n, .k = row.k, .weights = WeightState::Cycled}, device, truth)
              .time *
          std::exp(noise * random.normal());
      measured.rows.push_back(row);
    }
  }
  return measured;
}

const auto kAll = [](const std::string&, const Fp8Row&) { return true; };

TEST(FitFp8Gemm, recovers_constants_that_rows_show) {
  Fp8Constants truth = central_fp8_constants();
  truth[Fp8Constant::LaunchCycles] *= 1.4;
  truth[Fp8Constant::QuantizeChunk] *= .6;
  truth[Fp8Constant::SustainedRate] *= .85;
  const Fp8Measured rows = synthetic({"H100-SXM5-80GB", "L40S"}, truth, 1500, .02);
  const Fp8Device h100 = fp8_device(named("h100-sxm5-80gb"));
  const Fp8Device l40s = fp8_device(named("l40s"));
  const std::array<const Fp8Device*, 2> devices = {&h100, &l40s};
  const Fp8Constants fit = fit_fp8_constants(rows.rows, devices, {.prior_weight = 1, .noise = .05});
  EXPECT_NEAR(fit[Fp8Constant::SustainedRate] / truth[Fp8Constant::SustainedRate], 1, .05);
  EXPECT_NEAR(fit[Fp8Constant::QuantizeChunk] / truth[Fp8Constant::QuantizeChunk], 1, .15);
  // A constant of kernels that no row ran stays at its centre.
  const std::array<const Fp8Device*, 2> only_hopper = {&h100, nullptr};
  const Fp8Constants hopper = fit_fp8_constants(rows.rows, only_hopper, {});
  EXPECT_NEAR(hopper[Fp8Constant::SpillLarge], central_fp8_constants()[Fp8Constant::SpillLarge], 1e-6);
}

TEST(Fp8GemmModel, round_trips_and_prices_batches_as_single_products) {
  const Fp8Measured rows = synthetic({"H100-SXM5-80GB"}, central_fp8_constants(), 800, .05);
  const Fp8GemmModel model = fit_fp8_model(rows, rows, [](const std::string& gpu) { return named(gpu); },
                                           kAll, {.trees = 20, .leaves = 8});
  const Fp8GemmModel again = Fp8GemmModel::from_json(model.to_json(), "again.json");
  EXPECT_EQ(again.to_json(), model.to_json());
  std::vector<Fp8Product> products;
  for (const Fp8Row& row : rows.rows) products.push_back({.m = row.m, .n = row.n, .k = row.k});
  for (const DataType type : {DataType::FP8, DataType::FP8Block, DataType::NVFP4}) {
    for (const char* gpu : {"h100-sxm5-80gb", "h200-sxm-141gb", "b200-sxm-180gb", "rtx-4090"}) {
      const auto target = again.target(named(gpu));
      std::vector<Fp8Price> batch(products.size());
      again.price(products, type, target, Launch::Eager, batch);
      for (size_t i = 0; i < products.size(); i += 7) {
        const Fp8Price alone = again.price(products[i], type, target, Launch::Eager);
        EXPECT_EQ(alone.time.value(), batch[i].time.value());
        EXPECT_EQ(alone.high, batch[i].high);
        EXPECT_LT(alone.low, 1 + 1e-12);
        EXPECT_GT(alone.high, 1);
        EXPECT_GE(alone.time.value() * alone.low, alone.parts.floor * (1 - 1e-9));
      }
    }
  }
}

TEST(Fp8GemmModel, bands_widen_with_distance_from_what_was_measured) {
  const Fp8Measured rows = synthetic({"H100-SXM5-80GB"}, central_fp8_constants(), 800, .03);
  const Fp8GemmModel model = fit_fp8_model(rows, rows, [](const std::string& gpu) { return named(gpu); },
                                           kAll, {.trees = 20, .leaves = 8});
  const Fp8Product product{.m = 300, .n = 4096, .k = 4096, .weights = WeightState::Cycled};
  const auto width = [&](const char* gpu, DataType type) {
    const Fp8Price price = model.price(product, type, model.target(named(gpu)));
    return price.high / price.low;
  };
  EXPECT_LT(width("h100-sxm5-80gb", DataType::FP8), width("h200-sxm-141gb", DataType::FP8));
  EXPECT_LT(width("h200-sxm-141gb", DataType::FP8), width("b200-sxm-180gb", DataType::FP8));
  EXPECT_LT(width("b200-sxm-180gb", DataType::FP8), width("b200-sxm-180gb", DataType::NVFP4));
}

TEST(Fp8GemmModel, block_scales_launched_by_the_host_never_beat_the_host) {
  const Fp8GemmModel model;
  const auto target = model.target(named("h100-sxm5-80gb"));
  for (const double m : {1.0, 64.0, 1024.0}) {
    const Fp8Product product{.m = m, .n = 2048, .k = 2048};
    const double eager = model.price(product, DataType::FP8Block, target, Launch::Eager).time.value();
    EXPECT_GE(eager, 90e-6);
    EXPECT_LT(model.price(product, DataType::FP8Block, target, Launch::Captured).time.value(), eager);
  }
}

// Trees and tiles both may make a larger product a little faster, as measured ones are; not by more than
// this.
TEST(Fp8GemmModel, shipped_weights_make_no_doubled_product_much_faster_within_a_tile) {
  const Fp8GemmModel model = Fp8GemmModel::shipped();
  Random random(Seed{11});
  for (const char* gpu : {"h100-sxm5-80gb", "h200-sxm-141gb", "l40s", "rtx-4090", "b200-sxm-180gb"}) {
    const auto target = model.target(named(gpu));
    for (int i = 0; i < 1000; ++i) {
      const auto size = [&](double low, double high) {
        return std::floor(low * std::pow(high / low, random.uniform()));
      };
      const Fp8Product p{.m = size(1, 8192), .n = 32 * size(1, 512), .k = 32 * size(1, 512)};
      const Fp8Price once = model.price(p, DataType::FP8, target);
      for (double Fp8Product::*dimension : {&Fp8Product::m, &Fp8Product::n, &Fp8Product::k}) {
        Fp8Product twice = p;
        twice.*dimension *= 2;
        const Fp8Price more = model.price(twice, DataType::FP8, target);
        if (more.parts.tile.rows != once.parts.tile.rows ||
            more.parts.tile.columns != once.parts.tile.columns)
          continue;
        EXPECT_GT(more.time.value(), .8 * once.time.value()) << gpu << ' ' << p.m << ' ' << p.n << ' ' << p.k;
      }
    }
  }
}

TEST(Fp8GemmModel, damaged_weights_are_refused_with_the_file_named) {
  const std::string good = Fp8GemmModel().to_json();
  EXPECT_NO_THROW(Fp8GemmModel::from_json(good, "good.json"));
  for (const std::string& bad : {std::string(), std::string("{}"), good.substr(0, good.size() / 2),
                                 std::string(R"({"format": "orrery-fp8-gemm", "version": 2})")}) {
    try {
      Fp8GemmModel::from_json(bad, "bad.json");
      FAIL();
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("bad.json"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace orrery::cost
