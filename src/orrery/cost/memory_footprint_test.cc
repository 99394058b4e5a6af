#include "orrery/cost/memory_footprint.h"

#include <gtest/gtest.h>

#include "orrery/base/error.h"
#include "orrery/graph/model_catalogue.h"

namespace orrery::cost {
namespace {

using graph::Mode;
using graph::Workload;

Workload of(Mode mode, int64_t batch, int64_t sequence) {
  Workload work;
  work.mode = mode;
  work.batch = batch;
  work.sequence = sequence;
  return work;
}

TEST(MemoryFootprint, cache_of_published_models_per_token) {
  graph::Parallelism one, eight{.tensor = 8};
  graph::ModelConfig llama = graph::find_model("llama-3.1-8b");
  EXPECT_EQ(kv_cache_bytes(llama, one, 1).value(), 2 * 32 * 8 * 128 * 2);
  EXPECT_EQ(kv_cache_bytes(llama, eight, 1).value(), 2 * 32 * 1 * 128 * 2);
  EXPECT_EQ(kv_cache_bytes(llama, one, 1000).value(), 131072e3);
  // DeepSeek-V3: a latent of 512 and a rotary key of 64, for each of 61 layers, on every device.
  EXPECT_EQ(kv_cache_bytes(graph::find_model("deepseek-v3"), eight, 1).value(), (512 + 64) * 61 * 2);
  // Gemma 3 1B: five of six layers keep a window of 512.
  graph::ModelConfig gemma = graph::find_model("gemma-3-1b");
  int global = 0;
  for (int layer = 0; layer < gemma.towers[0].layers; ++layer) global += !gemma.towers[0].windowed(layer);
  double each = 2.0 * gemma.towers[0].kv_heads * gemma.towers[0].head_dim * 2;
  EXPECT_EQ(kv_cache_bytes(gemma, one, 32768).value(),
            each * (global * 32768.0 + (gemma.towers[0].layers - global) * gemma.towers[0].window));
}

TEST(MemoryFootprint, mixed_precision_training_keeps_sixteen_bytes_a_parameter) {
  MemoryFootprint memory = memory_footprint(graph::find_model("gpt3-175b"), of(Mode::Train, 1, 2048));
  double parameters = memory.weights.value() / 2;
  EXPECT_NEAR(parameters / 1e9, 175, 1);
  EXPECT_EQ(memory.gradients.value(), 2 * parameters);
  EXPECT_EQ(memory.optimizer.value(), 12 * parameters);
}

// Korthikanti et al. 2022 (arXiv 2205.05198), equation 1, without dropout: 32·s·b·h + 2·a·s²·b bytes a layer
// are kept for the backward pass.
TEST(MemoryFootprint, kept_activations_follow_the_published_form) {
  graph::ModelConfig model = graph::find_model("gpt3-6.7b");
  Workload work = of(Mode::Train, 2, 1024);
  work.attention = graph::AttentionKernel::Eager;
  double s = 1024, b = 2, h = model.towers[0].hidden, a = model.towers[0].heads;
  auto activations = [&](int layers) {
    model.towers[0].layers = layers;
    return memory_footprint(model, work).activations.value();
  };
  double of_layer = (activations(24) - activations(8)) / 16;
  EXPECT_NEAR(of_layer / (32 * s * b * h + 2 * a * s * s * b), 1, 0.03);
  work.recompute = graph::Recompute::Selective;
  of_layer = (activations(24) - activations(8)) / 16;
  EXPECT_NEAR(of_layer / (32 * s * b * h), 1, 0.03);
  work.recompute = graph::Recompute::Full;
  of_layer = (activations(24) - activations(8)) / 16;
  EXPECT_NEAR(of_layer / (2 * s * b * h), 1,
              1.01);  // a layer's input: the residual stream and its open addition
}

TEST(MemoryFootprint, longest_context_and_largest_batch_are_at_the_border) {
  for (const char* name : {"llama-3.1-8b", "mixtral-8x7b", "deepseek-v2-lite", "gemma-2-9b", "t5-large"}) {
    graph::ModelConfig model = graph::find_model(name);
    Workload work = of(Mode::Decode, 4, 2048);
    for (double gigabytes : {24.0, 80.0, 141.0}) {
      Bytes available(gigabytes * 1e9);
      MemoryFit found = fit(model, work, available);
      EXPECT_EQ(found.fits, found.missing.value() == 0);
      auto total = [&](int64_t batch, int64_t sequence) {
        Workload w = work;
        w.batch = batch;
        w.sequence = sequence;
        return memory_footprint(model, w).total();
      };
      if (found.largest_batch > 0) {
        EXPECT_LE(total(found.largest_batch, 2048), available) << name;
      }
      if (found.largest_batch < (1 << 20)) {
        EXPECT_GT(total(found.largest_batch + 1, 2048), available) << name;
      }
      if (found.longest_context > 0) {
        EXPECT_LE(total(4, found.longest_context), available) << name;
      }
      int64_t longest = model.towers.back().tokens;
      if (longest == 0 || found.longest_context < longest) {
        EXPECT_GT(total(4, found.longest_context + 1), available) << name;
      }
    }
  }
}

TEST(MemoryFootprint, a_model_that_does_not_fit_says_what_would) {
  MemoryFit found = fit(graph::find_model("llama-3.1-70b"), of(Mode::Decode, 1, 4096), gigabytes(80 * 0.9));
  EXPECT_FALSE(found.fits);
  EXPECT_NEAR(found.missing.value() / 1e9, 141.1 + 1.3 + 0.8 - 72, 0.5);
  EXPECT_EQ(found.largest_batch, 0);
  EXPECT_EQ(found.smallest_tensor_parallel, 4);
  EXPECT_EQ(found.smallest_devices, 2);
}

TEST(MemoryFootprint, sizes_that_do_not_divide_name_the_widths_that_do) {
  Workload work = of(Mode::Decode, 1, 128);
  work.parallel.tensor = 3;
  try {
    memory_footprint(graph::find_model("llama-3.1-8b"), work);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("32 attention heads do not divide over 3 devices"),
              std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("2 or 4"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace orrery::cost
