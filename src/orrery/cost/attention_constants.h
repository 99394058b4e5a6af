// The constants of the attention law (attention_model.h): one table with name, centre, spread and unit, so
// that the law, the fit and the weight file speak of the same thing. Centres are what is known of the
// hardware and of the kernels' source without any row of the measured tables; spreads are standard deviations
// of the logarithm.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace orrery::cost {

enum class AttentionConstant : size_t {
  LaunchBase,
  LaunchKernel,
  LaunchClock,
  SmallKernel,
  CopyKernel,
  CombineOverlapped,
  PrologueTime,
  PrologueCycles,
  SchedulerTime,
  BatchScan,
  MatrixEfficiency2,
  MatrixEfficiency3,
  ExponentCost,
  ElementCost,
  BlockLatency,
  OverlapOrder,
  CoResident,
  RateWeight,
  MemoryEfficiency,
  MemoryPipelined,
  CacheCapacity,
  CacheCapacitySplit,
  CacheSharpness,
  CacheSharpnessSplit,
  CacheEfficiency,
  CacheReach,
  FirstTile,
  CacheOrder,
  OverlapRate2,
  OverlapRate3,
  OverlapGrowth,
  MemoryOrderPrefill,
  MemoryOrderPrefill3,
  TileBytesPerClock,
  WriteLatency,
  WriteOrder,
  PartialWave,
  TailUnsorted,
  TailSorted,
  SustainedLoss,
  SplitRead,
  SplitReadStaged,
  Count,
};
inline constexpr size_t kAttentionConstants = static_cast<size_t>(AttentionConstant::Count);

struct AttentionConstantTraits {
  AttentionConstant constant;
  std::string_view name;
  double centre, spread;
  std::string_view unit;
};
const std::array<AttentionConstantTraits, kAttentionConstants>& attention_constant_table();

struct AttentionConstants {
  std::array<double, kAttentionConstants> value{};
  double operator[](AttentionConstant c) const { return value[static_cast<size_t>(c)]; }
  double& operator[](AttentionConstant c) { return value[static_cast<size_t>(c)]; }
};
AttentionConstants central_attention_constants();

}  // namespace orrery::cost
