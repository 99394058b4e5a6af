// The analytic law of an FP8 matrix product as a served model runs it: activations of 16 bits are quantized
// row by row, then multiplied with FP8 weights; both kernels are one price. Weights with one scale per
// channel; tiles by fp8_tile_rules.h.
//
//   time = launches + quantization + join(multiprocessors, sustained rate, L2, DRAM)
//
//   quantization    one thread block a row: latency of the first, then rows per multiprocessor times (row +
//   chunks), at least
//                   3 bytes a value from DRAM where they exceed L2
//   multiprocessors waves of tiles, each k in stages (products at the share of peak, or the latency of a
//   stage) and an
//                   epilogue, beside the next tile's products where the kernel overlaps them
//   sustained rate  what power lets all multiprocessors do together: published figures
//   L2              every tile's strips of both operands; strips shared within a cluster once
//   DRAM            what L2 does not hold from the call before, and what is read again
//
// Plain doubles in SI units; one call allocates nothing and takes well under a microsecond.
#pragma once

#include "orrery/cost/fp8_gemm_constants.h"
#include "orrery/cost/fp8_tile_rules.h"
#include "orrery/cost/operator_model.h"
#include "orrery/hardware/device.h"

namespace orrery::cost {

// What the law needs of a GPU; made once per device.
struct Fp8Device {
  Fp8Kernels kernels = Fp8Kernels::Unknown;
  double multiprocessors = 1, clock = 1;
  double threads = 2048;    // resident on one multiprocessor
  double peak = 1;          // dense FLOP/s as quoted
  double matrix_clock = 1;  // at which it is quoted
  double sustained = 1;     // FLOP/s, published for this type or scaled from 16 bits
  double memory_bandwidth = 1, memory_peak = 1, cache = 1, cache_bandwidth = 1;
  bool quantized_activations = true;  // false: no FP8 units; weights are widened and multiplied in 16 bits
};
// `type`: FP8, FP8Block or NVFP4. Throws InputError for what is no GPU.
Fp8Device fp8_device(const hardware::Device& device, DataType type = DataType::FP8);

enum class WeightState : uint8_t {
  Cold,    // each call finds its weights in DRAM: a model whose layers follow one another
  Cycled,  // a benchmark that repeats one product over a few copies of its weights
};

struct Fp8Product {
  double m = 1, n = 1, k = 1;
  double experts = 1;  // products of m / experts rows each, with weights of their own, in one launch
  double weight_bytes = 1, activation_bytes = 1;  // per value, after quantization; 0.5625 for NVFP4
  WeightState weights = WeightState::Cold;
};

// Seconds of each part; `time` is their joint value and less than their sum where parts overlap.
struct Fp8Parts {
  double time = 0, fixed = 0, quantization = 0, multiprocessors = 0, sustained = 0, cache = 0, memory = 0;
  double matrix = 0, epilogue = 0;  // of one tile
  double floor = 0;  // no product can be faster: arithmetic at peak; with cold weights, their traffic at peak
  double tiles = 0, waves = 0;  // waves: tiles per multiprocessor
  double flops = 0, memory_bytes = 0, cache_bytes = 0, weights_cold = 0;
  Fp8Tile tile;
  Bound bound = Bound::Compute;
};
Fp8Parts fp8_gemm_law(const Fp8Product& product, const Fp8Device& device, const Fp8Constants& constants);

}  // namespace orrery::cost
