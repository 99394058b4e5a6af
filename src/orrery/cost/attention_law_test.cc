#include "orrery/cost/attention_law.h"

#include <gtest/gtest.h>
#include <cmath>
#include <limits>

#include "orrery/base/random.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::cost {
namespace {

const char* const kGpus[] = {"a100-sxm4-80gb", "l40s",           "h100-sxm5-80gb", "h200-sxm-141gb",
                             "rtx-4090",       "b200-sxm-180gb", "v100-pcie-32gb", "mi300x"};

AttentionDevice device(const char* name) {
  return attention_device(hardware::Catalogue::shipped().device(name));
}

double seconds(const AttentionLayer& layer, const AttentionSpan& span, const AttentionDevice& d) {
  return attention_law(layer, std::span(&span, 1), d, central_attention_constants()).time;
}

struct Call {
  AttentionLayer layer;
  AttentionSpan span;
};

Call random_call(Random& random) {
  constexpr double kWidths[] = {64, 128, 192, 256};
  Call call;
  call.layer.head_dim = kWidths[random.index(4)];
  call.layer.kv_heads = std::exp2(static_cast<double>(random.index(5)));
  call.layer.heads = call.layer.kv_heads * std::exp2(static_cast<double>(random.index(5)));
  call.span.sequences = std::floor(std::exp2(random.uniform() * 11));
  call.span.query = random.index(2) == 0 ? 1 : std::floor(std::exp2(1 + random.uniform() * 13));
  call.span.cached = std::floor(std::exp2(random.uniform() * 17)) - 1;
  return call;
}

TEST(AttentionLaw, sequences_of_one_length_cost_the_same_in_one_span_or_two) {
  for (const char* name : kGpus) {
    AttentionDevice d = device(name);
    Random random(Seed{3});
    for (int i = 0; i < 200; ++i) {
      Call call = random_call(random);
      call.span.sequences += 1;
      AttentionSpan parts[2] = {call.span, call.span};
      parts[0].sequences = 1;
      parts[1].sequences -= 1;
      double whole = seconds(call.layer, call.span, d);
      EXPECT_NEAR(attention_law(call.layer, parts, d, central_attention_constants()).time, whole,
                  1e-9 * whole);
    }
  }
}

TEST(AttentionLaw, is_never_faster_than_products_exponentials_and_compulsory_traffic_allow) {
  for (const char* name : kGpus) {
    AttentionDevice d = device(name);
    Random random(Seed{4});
    for (int i = 0; i < 2000; ++i) {
      Call call = random_call(random);
      AttentionParts p =
          attention_law(call.layer, std::span(&call.span, 1), d, central_attention_constants());
      EXPECT_GE(p.time, p.flops / d.peak);
      EXPECT_GE(p.time, p.exponent);
      EXPECT_GE(p.time, (p.compulsory_bytes - d.cache) / d.memory_peak);
    }
  }
}

// The library's own rules (fewer splits once the batch fills the GPU, more once the keys are many) make a few
// doublings faster in truth as well; they are rare and small.
TEST(AttentionLaw, twice_the_batch_the_heads_or_the_cache_is_hardly_ever_faster) {
  for (const char* name : kGpus) {
    AttentionDevice d = device(name);
    Random random(Seed{5});
    int faster = 0, pairs = 0;
    for (int i = 0; i < 10000; ++i) {
      Call call = random_call(random);
      double once = seconds(call.layer, call.span, d);
      Call batch = call, heads = call, cache = call;
      batch.span.sequences *= 2;
      heads.layer.heads *= 2;
      heads.layer.kv_heads *= 2;
      cache.span.cached = 2 * cache.span.cached + 1;
      for (const Call& twice : {batch, heads, cache}) {
        double t = seconds(twice.layer, twice.span, d);
        ++pairs;
        faster += t < once * (1 - 1e-9);
        EXPECT_GT(t, .75 * once) << name;
      }
    }
    EXPECT_LT(faster, pairs / 100) << name;
  }
}

TEST(AttentionLaw, stays_finite_and_positive_on_absurd_sizes) {
  for (const char* name : kGpus) {
    AttentionDevice d = device(name);
    for (double size : {1., 7., 1e4, 1e9, 1e15}) {
      for (double width : {1., 63., 576., 1e6}) {
        AttentionLayer layer{.heads = std::min(size, 1e6), .kv_heads = 1, .head_dim = width};
        for (AttentionSpan span : {AttentionSpan{size, 1, 0}, AttentionSpan{1, size, 0},
                                   AttentionSpan{1, 1, size}, AttentionSpan{size, size, size}}) {
          double t = seconds(layer, span, d);
          EXPECT_TRUE(std::isfinite(t) && t > 0) << name << ' ' << size << ' ' << width;
        }
      }
    }
    EXPECT_EQ(attention_law({}, {}, d, central_attention_constants()).time, 0);
  }
}

TEST(AttentionLaw, a_window_bounds_the_work_and_a_narrow_cache_type_the_bytes) {
  AttentionDevice d = device("h100-sxm5-80gb");
  AttentionLayer layer{.heads = 32, .kv_heads = 8};
  AttentionSpan decode{64, 1, 32767};
  AttentionLayer windowed = layer, narrow = layer;
  windowed.window = 4096;
  narrow.cache = DataType::FP8;
  EXPECT_LT(seconds(windowed, decode, d), .3 * seconds(layer, decode, d));
  EXPECT_NEAR(seconds(narrow, decode, d) / seconds(layer, decode, d), .5, .1);
  AttentionSpan prompt{1, 32768, 0};
  EXPECT_LT(seconds(windowed, prompt, d), .5 * seconds(layer, prompt, d));
}

TEST(AttentionLaw, absorbed_latent_attention_reads_its_cache_once) {
  AttentionDevice d = device("h200-sxm-141gb");
  AttentionLayer latent{
      .heads = 128, .kv_heads = 1, .head_dim = 576, .value_dim = 512, .shared_latent = true};
  AttentionSpan decode{32, 1, 8191};
  AttentionParts p = attention_law(latent, std::span(&decode, 1), d, central_attention_constants());
  EXPECT_NEAR(p.compulsory_bytes, 32. * 8192 * 576 * 2, .2 * p.compulsory_bytes);
}

TEST(AttentionLaw, the_gradient_takes_about_two_and_a_half_times_the_forward_pass) {
  for (const char* name : kGpus) {
    AttentionDevice d = device(name);
    AttentionLayer forward{.heads = 32, .kv_heads = 32, .paged = false};
    AttentionLayer backward = forward;
    backward.backward = true;
    double ratio = seconds(backward, {4, 4096, 0}, d) / seconds(forward, {4, 4096, 0}, d);
    EXPECT_GT(ratio, 1.6) << name;
    EXPECT_LT(ratio, 3.5) << name;
  }
}

}  // namespace
}  // namespace orrery::cost
