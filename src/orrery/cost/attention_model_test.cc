#include "orrery/cost/attention_model.h"

#include <gtest/gtest.h>
#include <cmath>
#include <cstdlib>

#include "orrery/base/random.h"
#include "orrery/cost/fit/fit_attention.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

hardware::Device device(const char* name) {
  return hardware::Catalogue::shipped().device(name);
}

TEST(AttentionModel, shipped_weights_price_gpus_that_were_measured_and_gpus_that_were_not) {
  AttentionModel model = AttentionModel::shipped();
  AttentionLayer layer{.heads = 32, .kv_heads = 8};
  auto seen = model.price(layer, {32, 1, 4095}, model.target(device("h100-sxm5-80gb")));
  auto twin = model.price(layer, {32, 1, 4095}, model.target(device("h200-sxm-141gb")));
  auto other = model.price(layer, {32, 1, 4095}, model.target(device("b200-sxm-180gb")));
  EXPECT_GT(seen.time, twin.time);  // the H200 has the same multiprocessors and more bandwidth
  EXPECT_GT(twin.time, other.time);
  EXPECT_EQ(seen.bound_by, Bound::Memory);
  EXPECT_LT(seen.high / seen.low, other.high / other.low);
  EXPECT_EQ(model.target(device("h200-sxm-141gb")).nearness, Nearness::Architecture);
  EXPECT_EQ(model.target(device("rtx-pro-6000-blackwell-server")).nearness, Nearness::KernelAndCache);
}

TEST(AttentionModel, a_mixed_batch_of_one_sequence_is_the_single_law) {
  AttentionModel model = AttentionModel::shipped();
  auto target = model.target(device("l40s"));
  AttentionLayer layer{.heads = 32, .kv_heads = 8};
  AttentionSpan one{1, 512, 1024};
  EXPECT_EQ(model.price(layer, std::span(&one, 1), target).time, model.price(layer, one, target).time);
  // A serving step costs at least its prefill and at most prefill and decode apart.
  AttentionSpan step[2] = {{1, 512, 0}, {31, 1, 1023}};
  double mixed = model.price(layer, step, target).parts.time;
  EXPECT_GT(mixed, model.price(layer, step[0], target).parts.time);
  EXPECT_LT(mixed, 1.5 * (model.price(layer, step[0], target).parts.time +
                          model.price(layer, step[1], target).parts.time));
}

TEST(AttentionModel, within_a_model_the_cached_keys_are_cold_and_no_graph_starts) {
  AttentionModel model = AttentionModel::shipped();
  auto target = model.target(device("l40s"));
  AttentionLayer alone{.heads = 32, .kv_heads = 8}, within = alone;
  within.repeated = false;
  // 67 MB of keys and values: the L40S holds them in its L2 between repeated calls.
  EXPECT_GT(model.price(within, {32, 1, 511}, target).time,
            1.5 * model.price(alone, {32, 1, 511}, target).time);
  EXPECT_LT(model.price(within, {1, 1, 15}, target).time, model.price(alone, {1, 1, 15}, target).time);
}

TEST(AttentionModel, weights_survive_their_file) {
  AttentionModel model = AttentionModel::shipped();
  AttentionModel again = AttentionModel::from_json(model.to_json(), "weights.json");
  EXPECT_EQ(again.to_json(), model.to_json());
  auto a = model.target(device("a100-sxm4-80gb")), b = again.target(device("a100-sxm4-80gb"));
  AttentionLayer layer{.heads = 16, .kv_heads = 4};
  EXPECT_EQ(model.price(layer, {8, 777, 0}, a).time, again.price(layer, {8, 777, 0}, b).time);
}

TEST(AttentionModel, a_damaged_weight_file_is_refused_with_its_place) {
  std::string good = AttentionModel::shipped().to_json();
  for (std::string bad : {std::string("{}"), good.substr(0, good.size() / 2), std::string("[1, 2]")}) {
    EXPECT_THROW(AttentionModel::from_json(bad, "w.json"), InputError);
  }
  std::string unknown = good;
  unknown.replace(unknown.find("trees1"), 6, "bushes");
  try {
    AttentionModel::from_json(unknown, "w.json");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(std::string(error.what()).rfind("w.json:", 0), 0u) << error.what();
  }
}

TEST(AttentionModel, never_beats_the_floors_whatever_the_residual_says) {
  AttentionModel model = AttentionModel::shipped();
  for (const char* name : {"a100-sxm4-80gb", "l40s", "h100-sxm5-80gb", "rtx-4090"}) {
    auto target = model.target(device(name));
    Random random(Seed{9});
    for (int i = 0; i < 3000; ++i) {
      AttentionLayer layer;
      layer.kv_heads = std::exp2(static_cast<double>(random.index(5)));
      layer.heads = layer.kv_heads * std::exp2(static_cast<double>(random.index(4)));
      AttentionSpan span{std::floor(std::exp2(random.uniform() * 10)),
                         std::floor(std::exp2(random.uniform() * 13)), 0};
      auto cost = model.price(layer, span, target);
      EXPECT_GE(cost.time.value(), std::max(cost.parts.matrix, cost.parts.exponent));
      EXPECT_LE(cost.low, 1);
      EXPECT_GE(cost.high, 1);
    }
  }
}

class MeasuredAttention : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("ORRERY_DATA");
    if (folder == nullptr) GTEST_SKIP() << "set ORRERY_DATA to the folder of measured rows";
    path_ = std::string(folder) + "/neusight/attention.csv.zst";
  }
  std::string path_;
};

TEST_F(MeasuredAttention, a_gpu_left_out_is_predicted_within_a_tenth) {
  AttentionData data = read_attention_data(path_);
  AttentionFitOptions options;
  std::vector<double> predicted = left_out_predictions(data, left_out_models(data, options));
  for (size_t gpu = 0; gpu < data.devices.size(); ++gpu) {
    for (size_t phase = 0; phase < kAttentionPhases; ++phase) {
      double error = 0, rows = 0;
      for (size_t i = 0; i < data.rows.size(); ++i) {
        if (data.rows[i].gpu != gpu || static_cast<size_t>(data.rows[i].phase) != phase) continue;
        error += std::abs(predicted[i] / data.rows[i].seconds - 1);
        ++rows;
      }
      EXPECT_LT(error / rows, .10) << data.devices[gpu].name << " phase " << phase;
    }
  }
}

TEST_F(MeasuredAttention, a_fit_gives_the_same_bits_on_one_and_two_threads) {
  AttentionData data = read_attention_data(path_);
  AttentionFitOptions options;
  options.rows_per_cell = 300;
  options.trees = 10;
  std::string one = fit_attention_law(data, 0, options).to_json();
  options.threads = 2;
  EXPECT_EQ(fit_attention_law(data, 0, options).to_json(), one);
}

}  // namespace
}  // namespace orrery::cost
