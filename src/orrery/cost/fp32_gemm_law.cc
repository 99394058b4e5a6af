#include "orrery/cost/fp32_gemm_law.h"

#include <algorithm>
#include <cmath>

#include "orrery/base/document.h"

namespace orrery::cost {
namespace {

struct Tile {
  double m, n;
};
constexpr Tile kTiles[] = {{128, 128}, {64, 128}, {128, 64}, {64, 64},
                           {32, 128},  {128, 32}, {32, 32},  {256, 64}};
constexpr double kCuts[] = {1, 2, 4, 8, 16};

struct Field {
  std::string_view name;
  double Fp32Constants::*value;
};
constexpr Field kFields[] = {
    {"host_call_s", &Fp32Constants::host_call},
    {"host_vector_call_s", &Fp32Constants::host_vector_call},
    {"row_reduction", &Fp32Constants::row_reduction},
    {"kernel_s", &Fp32Constants::kernel},
    {"efficiency_64_lanes", &Fp32Constants::efficiency_64},
    {"efficiency_128_lanes", &Fp32Constants::efficiency_128},
    {"reload", &Fp32Constants::reload},
    {"prologue_cycles", &Fp32Constants::prologue},
    {"dram_share", &Fp32Constants::dram},
    {"order", &Fp32Constants::order},
    {"partial_wave", &Fp32Constants::partial_wave},
    {"cache_bytes_per_clock", &Fp32Constants::cache_bytes_per_clock},
    {"power_share", &Fp32Constants::power_share},
    {"aligned_gain", &Fp32Constants::aligned_gain},
    {"split_s", &Fp32Constants::split},
};

double tiles(int64_t size, double tile) {
  return std::ceil(static_cast<double>(size) / tile);
}

}  // namespace

Fp32Constants read_fp32_constants(std::string_view json, const std::string& file) {
  Fp32Constants constants;
  Node node = parse_json(std::string(json), file);
  for (const Field& field : kFields) constants.*field.value = node.at(field.name).as_number(0, 1e9);
  return constants;
}

double fp32_joules_per_flop(const hardware::Gpu& gpu) {
  if (gpu.process_nm <= 0) return 0;
  if (gpu.process_nm >= 12) return 12.5e-12;
  if (gpu.process_nm >= 7) return 10e-12;
  return gpu.process_nm >= 6 ? 9e-12 : 6.5e-12;
}

Fp32Cost fp32_gemm(const graph::GemmSize& s, const hardware::Device& device, const Fp32Constants& c) {
  const hardware::Gpu& gpu = *device.gpu();
  const double sms = gpu.multiprocessors, clock = gpu.boost_clock.value(),
               batch = static_cast<double>(s.batch);
  const double m = static_cast<double>(s.m), n = static_cast<double>(s.n), k = static_cast<double>(s.k);

  // CDNA multiplies FP32 in matrix units: so much faster than its lanes, at so much less energy.
  const double units =
      gpu.matrix_fp32.value() > 0 ? gpu.matrix_fp32.value() / (2.0 * gpu.lanes * clock * sms) : 1;
  const double joules = fp32_joules_per_flop(gpu) / units;
  const double lane_rate =
      2.0 * gpu.lanes * clock * units * (gpu.lanes > 64 ? c.efficiency_128 : c.efficiency_64);
  const double sustained =
      device.tdp.value() > 0 && joules > 0 ? c.power_share * device.tdp.value() / joules : 1e300;
  const bool aligned = s.m % 32 == 0 && s.n % 32 == 0 && s.k % 32 == 0;
  const double gain = aligned ? 1 - c.aligned_gain : 1;
  const double memory = 4 * batch * (m * k + k * n + m * n) / (device.memory_bandwidth.value() * c.dram);
  Fp32Cost best;
  best.time = 1e300;
  for (const Tile& tile : kTiles) {
    const double count = batch * tiles(s.m, tile.m) * tiles(s.n, tile.n),
                 x = tile.m * tile.n / (tile.m + tile.n);
    const double power = 2 * count * tile.m * tile.n * k / sustained;
    for (double cut : kCuts) {
      if (cut > 1 && cut * 16 > k) break;
      const double wave = count * cut / sms, full = std::floor(wave);
      const double waves = wave <= 1 ? 1 : full + (wave > full ? std::pow(wave - full, c.partial_wave) : 0);
      const double one = 2 * tile.m * tile.n * std::ceil(k / cut) / (lane_rate * x / (x + c.reload)) * gain +
                         c.prologue / clock;
      const double compute = std::max(waves * one, power);
      const double traffic = 4 * count * (tile.m + tile.n) * k + 4 * batch * m * n * (cut > 1 ? 2 * cut : 1);
      const double cache = traffic / (sms * std::min(1.0, wave) * clock * c.cache_bytes_per_clock);
      const double extra = cut > 1 ? c.split : 0;
      if (std::max({compute, cache, memory}) + extra >= best.time) continue;
      const double largest = std::max({compute, cache, memory});
      const double joined =
          largest * std::pow(std::pow(compute / largest, c.order) + std::pow(cache / largest, c.order) +
                                 std::pow(memory / largest, c.order),
                             1 / c.order) +
          extra;
      if (joined < best.time) best = {joined, compute, power >= waves * one, memory >= largest};
    }
  }
  best.time += c.kernel;
  return best;
}

}  // namespace orrery::cost
