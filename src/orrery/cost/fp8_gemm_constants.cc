#include "orrery/cost/fp8_gemm_constants.h"

namespace orrery::cost {

using enum Fp8Constant;

const std::array<Fp8ConstantTraits, kFp8Constants>& fp8_constant_table() {
  static constexpr std::array<Fp8ConstantTraits, kFp8Constants> kTable = {{
      // Two dependent kernels of a captured graph.
      {LaunchTime, "launch_time", 1.1, .3, "us"},
      {LaunchCycles, "launch_cycles", 3300, .3, "cycles"},
      // Quantization, one thread block a row: of the first row (read, reduce, read again, write), and of each
      // further row on
      // the same multiprocessor with 2,048 resident threads; a chunk is 2,048 values, one 16-byte load of
      // each of 256 threads.
      {QuantizeFirst, "quantize_first", 1500, .5, "cycles"},
      {QuantizeFirstChunk, "quantize_first_chunk", 600, .6, "cycles"},
      {QuantizeRow, "quantize_row", 500, .5, "cycles"},
      {QuantizeChunk, "quantize_chunk", 950, .4, "cycles"},
      {QuantizeMemory, "quantize_memory", .9, .15, "ratio"},
      {QuantizeCache, "quantize_cache", .7, .3, "ratio"},
      // Products: share of the peak inside a tile's main loop, and the least cycles of one pipeline stage
      // (barriers, address
      // arithmetic, latency of the matrix unit); joined by a norm of this order.
      {MatrixEfficiency, "matrix_efficiency", .92, .05, "ratio"},
      {StageLatency, "stage_latency", 300, .3, "cycles"},
      {StageOrder, "stage_order", 3, .2, "order"},
      {SustainedRate, "sustained_rate", 1.0, .08, "ratio"},  // to the published one
      {PartialWave, "partial_wave", .4, .4, "exponent"},
      // Beside a tile's main loop: filling the pipeline where the thread block stays for several tiles, and
      // where each tile
      // is a fresh thread block; storing the result, per 8 values of a thread.
      {TileResident, "tile_resident", 1500, .4, "cycles"},
      {TileFresh, "tile_fresh", 2500, .4, "cycles"},
      {EpilogueStore, "epilogue_store", 450, .5, "cycles"},
      {EpilogueBulk, "epilogue_bulk", 450, .5, "cycles"},
      // Registers that the Ada kernels' compilation spills to memory, per thread and tile: in the narrow
      // tiles, in those whose
      // warps share k, in 128 × 128 and in 256 × 128.
      {SpillSmall, "spill_small", 16, 1.5, "bytes"},
      {SpillSliced, "spill_sliced", 16, 1.5, "bytes"},
      {SpillLarge, "spill_large", 16, 1.5, "bytes"},
      {SpillLargest, "spill_largest", 16, 1.5, "bytes"},
      // L2: share of the published read rate, what one multiprocessor can take, how it joins the products,
      // and what a tile row
      // outside the matrix costs of a row inside: bulk copies are slower there (deepseek-ai/DeepGEMM, issue
      // 35: boundary
      // checks; by how much is not said).
      {CacheEfficiency, "cache_efficiency", .85, .15, "ratio"},
      {CacheReach, "cache_reach", 64, .15, "bytes per clock of one multiprocessor"},
      {CacheOrder, "cache_order", 4, .2, "order"},
      {OutsideRow, "outside_row", 2.0, 1.0, "ratio"},
      // DRAM: share of the published read rate, what one multiprocessor can take, how it joins, the wait for
      // the first bytes;
      // weights are served by L2 as if so much of it were theirs, activations likewise, and how sharp the
      // change is.
      {MemoryEfficiency, "memory_efficiency", .95, .06, "ratio"},
      {MemoryReach, "memory_reach", 50, .2, "bytes per clock of one multiprocessor"},
      {MemoryOrder, "memory_order", 2.6, .2, "order"},
      {MemoryLatency, "memory_latency", .7, .5, "us"},
      {WeightCache, "weight_cache", .14, .4, "ratio"},
      {WeightSharpness, "weight_sharpness", 6, .4, "order"},
      {ActivationCache, "activation_cache", .5, .4, "ratio"},
      {Sharpness, "sharpness", 4, .3, "order"},
      // Reading again: the smaller operand, once per sweep over it, where it exceeds its part of L2; and all
      // operands, where
      // the strips of one wave do, since thread blocks drift apart.
      {RereadShare, "reread_share", .4, .5, "ratio"},
      {RereadCache, "reread_cache", .7, .4, "ratio"},
      {DriftShare, "drift_share", .08, .5, "ratio"},
      {DriftCache, "drift_cache", 1.0, .4, "ratio"},
  }};
  return kTable;
}

Fp8Constants central_fp8_constants() {
  Fp8Constants constants;
  for (const auto& row : fp8_constant_table()) constants[row.constant] = row.centre;
  return constants;
}

}  // namespace orrery::cost
