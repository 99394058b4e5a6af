#include "orrery/cost/attention_constants.h"

namespace orrery::cost {

using enum AttentionConstant;

const std::array<AttentionConstantTraits, kAttentionConstants>& attention_constant_table() {
  static constexpr std::array<AttentionConstantTraits, kAttentionConstants> kTable = {{
      // A captured graph's start and each further kernel in it, at a 2 GHz clock; both shrink with
      // clock^LaunchClock.
      {LaunchBase, "launch_base", 3.6, .25, "us"},
      {LaunchKernel, "launch_kernel", 2.0, .25, "us"},
      {LaunchClock, "launch_clock", .7, .15, "exponent"},
      // A dependent kernel of few blocks (combine, scheduler metadata), a copy, and a combine launched ahead
      // of its inputs.
      {SmallKernel, "small_kernel", 1.5, .4, "us"},
      {CopyKernel, "copy_kernel", 1.0, .4, "us"},
      {CombineOverlapped, "combine_overlapped", .6, .5, "us"},
      // Before a thread block's first matrix product: page table, Q and the first K must arrive, each a trip
      // to memory.
      {PrologueTime, "prologue_time", 400, .3, "ns"},
      {PrologueCycles, "prologue_cycles", 1500, .3, "cycles"},
      {SchedulerTime, "scheduler_time", 800, .3,
       "ns"},  // persistent kernels fetch each tile by an atomic in global memory
      {BatchScan, "batch_scan", 500, .3, "ns"},  // and read lengths 31 sequences at a time
      // A block of scores: matrix products, exponentials at 16 a clock, and other arithmetic on the FP32
      // lanes.
      {MatrixEfficiency2, "matrix_efficiency_2", .85, .06, "ratio"},
      {MatrixEfficiency3, "matrix_efficiency_3", .85, .06, "ratio"},
      {ExponentCost, "exponent_cost", 1.1, .1, "ratio"},
      {ElementCost, "element_cost", 7, .2, "operations"},
      {BlockLatency, "block_latency", 100, .4, "ns"},
      {OverlapOrder, "overlap_order", 3, .2, "order"},  // FlashAttention-3 overlaps products with softmax
      {CoResident, "co_resident", .87, .1, "ratio"},    // what a second block on the multiprocessor hides
      {RateWeight, "rate_weight", .7, .3, "exponent"},  // of the published sustained rate over .8 of peak
      // DRAM and L2.
      {MemoryEfficiency, "memory_efficiency", .92, .04, "ratio"},
      {MemoryPipelined, "memory_pipelined", 1.03, .03, "ratio"},
      {CacheCapacity, "cache_capacity", 1.15, .07,
       "ratio"},  // a cyclic working set up to the capacity still hits
      {CacheCapacitySplit, "cache_capacity_split", .6, .2,
       "ratio"},  // two partitions hold copies of what both read
      {CacheSharpness, "cache_sharpness", 15, .2, "order"},
      {CacheSharpnessSplit, "cache_sharpness_split", 12, .3, "order"},
      {CacheEfficiency, "cache_efficiency", .8, .15, "ratio"},
      {CacheReach, "cache_reach", 40, .3, "bytes per clock of one multiprocessor"},
      {FirstTile, "first_tile", .7, .3, "share exposed"},
      {CacheOrder, "cache_order", 5, .2, "order"},
      // Blocks start in step, all in their prologue at once; the more tiles a multiprocessor works through,
      // the better its
      // arithmetic and the memory's transfers overlap: order 1 + rate * resident blocks * tiles^growth.
      {OverlapRate2, "overlap_rate_2", .2, .4, "order"},
      {OverlapRate3, "overlap_rate_3", .12, .4, "order"},
      {OverlapGrowth, "overlap_growth", .6, .15, "exponent"},
      {MemoryOrderPrefill, "memory_order_prefill", 4, .2, "order"},
      {MemoryOrderPrefill3, "memory_order_prefill_3", 3, .2, "order"},
      {TileBytesPerClock, "tile_bytes_per_clock", 20, .3, "bytes per clock"},
      {WriteLatency, "write_latency", 3000, .3, "cycles"},  // of a block that copies one token into the cache
      {WriteOrder, "write_order", 3, .2, "order"},
      // Waves of blocks.
      {PartialWave, "partial_wave", .5, .3, "exponent"},
      {TailUnsorted, "tail_unsorted", .8, .2, "ratio"},
      {TailSorted, "tail_sorted", .15, .5, "ratio"},
      {SustainedLoss, "sustained_loss", .03, .5, "ratio"},
      {SplitRead, "split_read", 165, .3, "ns"},
      {SplitReadStaged, "split_read_staged", 60, .4, "ns"},
  }};
  return kTable;
}

AttentionConstants central_attention_constants() {
  AttentionConstants constants;
  for (const auto& row : attention_constant_table()) constants[row.constant] = row.centre;
  return constants;
}

}  // namespace orrery::cost
