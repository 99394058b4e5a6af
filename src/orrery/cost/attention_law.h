// The analytic law of fused attention (FlashAttention) on a GPU, from the kernels' own scheduling rules.
//
// Sources: Dao 2023 (FlashAttention-2), Shah et al. 2024 (FlashAttention-3), and the scheduling rules in the
// open source of the flash-attention library (tiles per head width, number of key splits, packing of grouped
// queries), restated here:
//
//   FlashAttention-2 over a paged cache: tiles of 64 query rows × 256, 128 or 64 keys (head width up to 64,
//   up to 128, more);
//     one query token with fewer KV heads than heads is turned into `heads / kv_heads` rows of one KV head,
//     and only then are the keys split over blocks: the fewest splits whose last wave is at least 85 % as
//     full as the best; one or two copies and a combining kernel go with it. Heads of one group are otherwise
//     computed apart.
//   FlashAttention-3: query rows of a group are packed; tiles of 192 × 128, 128 × 128, 128 × 96, 128 × 80,
//   and of 64 rows
//     where all rows fit; keys are split so that every multiprocessor holds the same number of tiles, with 10
//     % margin.
//
// Time = launches + writing K and V into the cache + attention + combining, where attention joins, by a
// p-norm,
//   multiprocessors: waves of thread blocks, each prologue + Q and O transfer + key blocks × (products,
//   exponentials, lane work) L2: every block's keys and values, and DRAM: what the caches do not hold between
//   calls.
//
// Everything is plain double in SI units; one call allocates nothing and takes about a microsecond.
#pragma once

#include <span>

#include "orrery/cost/attention_constants.h"
#include "orrery/hardware/device.h"

namespace orrery::cost {

// `sequences` of equal lengths within one call: each has `cached` earlier tokens and `query` new ones.
struct AttentionSpan {
  double sequences = 1, query = 1, cached = 0;
};

struct AttentionLayer {
  double heads = 1, kv_heads = 1, head_dim = 128;
  double value_dim = 0;  // 0: head_dim
  bool causal = true;
  double window = 0;  // keys that a query sees; 0: all
  DataType type = DataType::BF16, cache = DataType::BF16;
  bool shared_latent = false;  // values are a slice of the keys (absorbed latent attention): read once
  bool paged = true;  // serving: K and V are written to a paged cache within the call; false: training
  // The call alone, repeated from a captured graph: caches hold what fits and the graph's start counts.
  // false: one of a model's kernels; the cached keys and values come from DRAM, what the layer has just
  // written does not.
  bool repeated = true;
  bool backward = false;  // the gradient: 2.5 times the products
};

// What the law needs of a GPU; made once per device.
struct AttentionDevice {
  enum class Kernel { Flash2, Flash3, Other };
  Kernel kernel = Kernel::Flash2;
  bool measured_kernel = true;  // some GPU's rows with this kernel family are in the fit
  // Softmax work beside FlashAttention-2's and -3's: FlashAttention-4 computes part of the exponentials on
  // the FP32 lanes and rescales seldom; .61 gives its published 71 % of a B200's peak at head width 128.
  double softmax_share = 1;
  double multiprocessors = 1, clock = 1, lanes = 128, shared_memory = 0, threads = 2048;
  double exponents = 16;  // per clock and multiprocessor: 16 from Volta to Blackwell, 32 on Blackwell Ultra
  double peak = 1, peak_fp8 = 1,
         rate_share = .8;  // dense 16-bit and 8-bit FLOP/s; published sustained share of the 16-bit peak
  double memory_bandwidth = 1, memory_peak = 1, cache = 1, cache_bandwidth = 1;
  bool split_cache = false;  // two L2 partitions, each caching for its half of the multiprocessors
};
AttentionDevice attention_device(const hardware::Device& device);  // throws InputError for what is no GPU

// Seconds of each part; `time` is their joint value and less than their sum where parts overlap.
struct AttentionParts {
  double time = 0, fixed = 0, cache_write = 0, multiprocessors = 0, cache = 0, memory = 0, combine = 0;
  double matrix = 0,
         exponent = 0;  // lower bounds: products at peak, exponentials at 16 per clock and multiprocessor
  double splits = 1, blocks = 0, waves = 0, longest = 0;  // thread blocks; key tiles of the longest one
  double flops = 0, memory_bytes = 0, compulsory_bytes = 0, cache_bytes = 0, working_set = 0;
};
AttentionParts attention_law(const AttentionLayer& layer, std::span<const AttentionSpan> spans,
                             const AttentionDevice& device, const AttentionConstants& constants);

}  // namespace orrery::cost
