// The constants of the matrix-product law (gemm_law.h): one table with name, centre, spread and unit, so that
// the law, the fit and the weight file speak of the same thing. Centres are general knowledge of the hardware
// and the libraries; spreads are standard deviations of the logarithm (of the value itself where
// `logarithmic` is false).
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace orrery::cost {

enum class GemmConstant : size_t {
  Launch,
  LaunchClock,
  LaunchCluster,
  RateShare,
  TileHalf,
  BoostShare,
  BoostTime,
  BoostOrder,
  StepLatencyMma,
  StepLatencyWgmma,
  Prologue,
  EpilogueMma,
  EpilogueWgmma,
  PartialWave,
  CacheShare,
  Multicast,
  MemoryShare,
  MemoryReach,
  CacheHoldSplit,
  CacheHold,
  CacheEdgeSplit,
  CacheEdge,
  Reread,
  WriteCost,
  SplitLatency,
  VectorStep,
  VectorCache,
  Count,
};
inline constexpr size_t kGemmConstants = static_cast<size_t>(GemmConstant::Count);

struct GemmConstantTraits {
  GemmConstant constant;
  std::string_view name;
  double centre, spread;
  bool logarithmic;
  std::string_view unit;
};
const std::array<GemmConstantTraits, kGemmConstants>& gemm_constant_table();

struct GemmConstants {
  std::array<double, kGemmConstants> value{};
  double operator[](GemmConstant c) const { return value[static_cast<size_t>(c)]; }
  double& operator[](GemmConstant c) { return value[static_cast<size_t>(c)]; }
};
GemmConstants central_gemm_constants();

}  // namespace orrery::cost
