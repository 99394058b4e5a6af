#include "orrery/cost/gemm_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "orrery/base/random.h"
#include "orrery/cost/fit/fit_gemm.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/learn/metrics.h"

namespace orrery::cost {
namespace {

constexpr double kSizes[] = {32, 128, 512, 1024, 2048, 4096, 8192, 16384};
constexpr double kRows[] = {1, 2, 8, 16, 33, 64, 128, 256, 512, 1024, 4096};

// Rows that a law with other constants made, with a little noise.
GemmData planted(const GemmConstants& constants) {
  GemmData data;
  Random random(Seed{11});
  for (const char* name : {"a100-sxm4-80gb", "l40s", "h100-sxm5-80gb"}) {
    data.devices.push_back(hardware::Catalogue::shipped().device(name));
    const GemmLaw law(gemm_device(data.devices.back(), data.type, data.type), constants);
    for (double n : kSizes)
      for (double k : kSizes)
        for (double m : kRows) {
          const double time = law({.m = m, .n = n, .k = k, .copies = data.copies}).time;
          data.rows.push_back({data.devices.size() - 1, m, n, k, time * std::exp(.01 * random.normal())});
        }
  }
  return data;
}

GemmConstants shifted() {
  GemmConstants constants = central_gemm_constants();
  constants[GemmConstant::Launch] *= 1.2;
  constants[GemmConstant::RateShare] *= .9;
  constants[GemmConstant::MemoryShare] *= .95;
  constants[GemmConstant::StepLatencyMma] *= .7;
  constants[GemmConstant::SplitLatency] *= 1.3;
  return constants;
}

GemmFitOptions quick() {
  GemmFitOptions options;
  options.noise = .03;
  options.prior_weight = .05;
  options.trees = 20;
  return options;
}

TEST(FitGemm, recovers_planted_constants) {
  const GemmConstants truth = shifted();
  GemmFitOptions options = quick();
  options.effect_spread = .001;
  options.iterations = 25;
  const GemmModel model = fit_gemm_law(planted(truth), kNoGpu, {}, options);
  using enum GemmConstant;
  for (GemmConstant c : {Launch, RateShare, MemoryShare, StepLatencyMma, SplitLatency}) {
    const auto& row = gemm_constant_table()[static_cast<size_t>(c)];
    EXPECT_NEAR(model.contents().constants[c] / truth[c], 1, .06) << row.name;
  }
}

TEST(FitGemm, gives_the_same_bits_on_one_and_two_threads) {
  const GemmData data = planted(shifted());
  GemmFitOptions options = quick();
  options.rows_per_gpu = 300;
  options.iterations = 4;
  GemmFitOptions two = options;
  two.threads = 2;
  EXPECT_EQ(fit_gemm(data, options).to_json(), fit_gemm(data, two).to_json());
}

TEST(FitGemm, a_gpu_left_out_changes_nothing) {
  GemmData data = planted(shifted());
  GemmFitOptions options = quick();
  options.rows_per_gpu = 300;
  options.iterations = 4;
  const std::string before = fit_gemm_law(data, 1, {}, options).to_json();
  for (GemmRow& row : data.rows)
    if (row.gpu == 1) row.seconds *= 3;
  EXPECT_EQ(before, fit_gemm_law(data, 1, {}, options).to_json());
}

TEST(GemmModel, reads_what_it_wrote_and_prices_the_same) {
  GemmFitOptions options = quick();
  options.rows_per_gpu = 300;
  options.iterations = 3;
  const GemmModel model = fit_gemm(planted(shifted()), options);
  const GemmModel again = GemmModel::from_json(model.to_json(), "gemm.json");
  EXPECT_EQ(model.to_json(), again.to_json());
  const hardware::Device device = hardware::Catalogue::shipped().device("h200-sxm-141gb");
  const GemmProduct p = {.m = 300, .n = 4096, .k = 4096};
  const auto a = model.target(device, DataType::BF16, DataType::BF16);
  const auto b = again.target(device, DataType::BF16, DataType::BF16);
  EXPECT_EQ(a.nearness, GemmNearness::Architecture);
  EXPECT_NEAR(model.price(p, a).time.value() / again.price(p, b).time.value(), 1, 1e-6);
  EXPECT_LE(model.price(p, a).low, 1);
  EXPECT_GE(model.price(p, a).high, 1);
}

TEST(GemmModel, refuses_weights_that_are_not_its_own) {
  EXPECT_THROW(GemmModel::from_json("{\"format\": \"orrery attention weights\", \"version\": 1}", "x.json"),
               InputError);
  EXPECT_THROW(GemmModel::from_json("[", "x.json"), InputError);
  std::string text = GemmModel(GemmModel::Contents{}).to_json();
  text.replace(text.find("\"launch\": "), 10, "\"lunch\": ");
  EXPECT_THROW(GemmModel::from_json(text, "x.json"), InputError);
}

TEST(GemmModel, what_nobody_measured_has_a_wider_band) {
  const GemmModel model;
  const auto& catalogue = hardware::Catalogue::shipped();
  const GemmProduct p = {.m = 300, .n = 4096, .k = 4096};
  const auto width = [&](const char* gpu, DataType weights) {
    const GemmCost cost = model.price(p, model.target(catalogue.device(gpu), DataType::BF16, weights));
    return cost.high / cost.low;
  };
  EXPECT_GT(width("h100-sxm5-80gb", DataType::INT4), width("h100-sxm5-80gb", DataType::BF16));
  EXPECT_GT(width("rtx-a6000", DataType::BF16), width("a100-sxm4-80gb", DataType::BF16));
}

TEST(GemmModel, a_convolution_is_a_product_that_reads_its_input_once) {
  const graph::ConvolutionSize size{.batch = 8,
                                    .in_channels = 64,
                                    .out_channels = 128,
                                    .height = 56,
                                    .width = 56,
                                    .kernel_h = 3,
                                    .kernel_w = 3,
                                    .pad_h = 1,
                                    .pad_w = 1};
  const GemmProduct p = gemm_product(graph::make(size, DataType::FP16), 0);
  EXPECT_EQ(p.m, 8 * 56 * 56);
  EXPECT_EQ(p.n, 128);
  EXPECT_EQ(p.k, 64 * 9);
  EXPECT_NEAR(p.m * p.k * p.activation_bytes, 2.0 * 8 * 64 * 56 * 56, 1);
}

// With the measured rows at hand: what leaving out a GPU costs stays below what was reported.
TEST(FitGemm, predicts_gpus_that_it_never_saw) {
  const char* folder = std::getenv("ORRERY_DATA");
  if (folder == nullptr) GTEST_SKIP() << "needs the measured rows: set ORRERY_DATA";
  const GemmData data =
      read_gemm_data(std::string(folder) + "/neusight/tensorcore_gemm.csv.zst", DataType::BF16);
  GemmFitOptions options;
  options.trees = 10;
  const GemmLeftOut left_out = gemm_left_out(data, options);
  for (size_t g = 0; g < data.devices.size(); ++g) {
    std::vector<double> predicted, measured;
    for (size_t i = 0; i < data.rows.size(); ++i) {
      if (data.rows[i].gpu != g) continue;
      predicted.push_back(left_out.predicted[i]);
      measured.push_back(data.rows[i].seconds);
    }
    EXPECT_LT(learn::mean_absolute_error(predicted, measured), .125) << data.devices[g].name;
    EXPECT_GT(learn::rank_correlation(predicted, measured), .99) << data.devices[g].name;
  }
}

}  // namespace
}  // namespace orrery::cost
