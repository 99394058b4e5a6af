#include "orrery/cost/gemm_constants.h"

namespace orrery::cost {

using enum GemmConstant;

const std::array<GemmConstantTraits, kGemmConstants>& gemm_constant_table() {
  static constexpr std::array<GemmConstantTraits, kGemmConstants> kTable = {{
      // A kernel in a captured graph at 1.8 GHz; it shrinks with clock^LaunchClock. Kernels with clusters and
      // tensor maps start later.
      {Launch, "launch", 2.2, .3, true, "us"},
      {LaunchClock, "launch_clock", .45, .1, false, "exponent"},
      {LaunchCluster, "launch_cluster", .35, .4, true, "us"},
      // Of the rate that a microbenchmark reached: with 128 × 256 tiles, before other bounds join.
      {RateShare, "rate_share", 1.05, .1, true, "ratio"},
      // Sides a, b of a tile run at x/(x+h), x = ab/(a+b), h scaled by the root of the matrix rate per clock.
      {TileHalf, "tile_half", 7, .2, true, "elements"},
      // Short products run nearer to the peak at the full clock than long ones, which power holds back.
      {BoostShare, "boost_share", .3, .15, true, "ratio"},
      {BoostTime, "boost_time", 1000, .8, true, "us"},
      {BoostOrder, "boost_order", 1, .3, true, "order"},
      // Latency of the loop over k when one tile stands alone on a multiprocessor, per element of k.
      {StepLatencyMma, "step_latency_mma", 9, .15, true, "cycles"},
      {StepLatencyWgmma, "step_latency_wgmma", 2.2, .4, true, "cycles"},
      {Prologue, "prologue", 600, .15, true, "cycles"},
      {EpilogueMma, "epilogue_mma", .2, .3, true, "cycles per element"},
      {EpilogueWgmma, "epilogue_wgmma", .1, .4, true, "cycles per element"},
      {PartialWave, "partial_wave", .35, .15, true, "exponent"},
      // L2 and DRAM, of published bandwidths.
      {CacheShare, "cache_share", .9, .1, true, "ratio"},
      {Multicast, "multicast", 1.8, .15, true, "ratio"},
      {MemoryShare, "memory_share", .89, .02, true, "ratio"},
      {MemoryReach, "memory_reach", 40, .4, true, "bytes per clock of one multiprocessor"},
      // A cyclic working set hits up to a share of the capacity: two partitions hold copies of what both
      // read.
      {CacheHoldSplit, "cache_hold_split", .6, .15, true, "ratio"},
      {CacheHold, "cache_hold", .97, .03, true, "ratio"},
      {CacheEdgeSplit, "cache_edge_split", 6, .4, true, "order"},
      {CacheEdge, "cache_edge", 14, .3, true, "order"},
      {Reread, "reread", .5, .4, true, "ratio"},
      {WriteCost, "write_cost", 1.2, .2, true, "ratio"},
      {SplitLatency, "split_latency", 1.8, .3, true, "us"},
      // m = 1 on kernels of the mma family: a matrix-vector product.
      {VectorStep, "vector_step", .7, .3, true, "cycles"},
      {VectorCache, "vector_cache", .35, .2, true, "ratio"},
  }};
  return kTable;
}

GemmConstants central_gemm_constants() {
  GemmConstants constants;
  for (const auto& row : gemm_constant_table()) constants[row.constant] = row.centre;
  return constants;
}

}  // namespace orrery::cost
