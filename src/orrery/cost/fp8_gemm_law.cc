#include "orrery/cost/fp8_gemm_law.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace orrery::cost {

using enum Fp8Constant;

namespace {

constexpr double kChunk = 2048;         // values of a row that one thread block quantizes at once
constexpr double kQuantizeOrder = 2.5;  // latency, issue and traffic of the quantization overlap partly
constexpr double kComputeOrder = 4;     // issue limits of one multiprocessor and the power limit of all
constexpr double kActivationBytes = 2;  // before quantization
constexpr double kResultBytes = 2;
constexpr double kQueuedStage = .4;

// Published L2 read rates in bytes per clock and multiprocessor, for GPUs without a figure of their own: A100
// 35 and H100 37 (gpu-benches, as in their device files), L40 14.5 (the same), GB202 17.8 (8.7 TB/s on 188
// multiprocessors: Chips and Cheese, "Blackwell: Nvidia's Massive GPU", 2025). For B200 none is known:
// between H100's and the 64 that a multiprocessor's port can take.
double usual_cache_rate(const hardware::Gpu& gpu, bool hbm) {
  if (gpu.architecture == hardware::Architecture::Blackwell) return 48;
  if (gpu.architecture == hardware::Architecture::BlackwellConsumer) return 17.8;
  return hbm ? 36 : 14.5;
}
constexpr double kUsualMemoryShare = .92;  // published read rate over nominal: H100 .95, L40 .92, A100 .87
constexpr double kUsualRateShare = .7;     // published FP8 rate over peak: H100 .70, B200 .76

double join(double a, double b, double order) {
  const double most = std::max(a, b);
  if (most <= 0) return 0;
  return most * std::pow(std::pow(a / most, order) + std::pow(b / most, order), 1 / order);
}

// The share of `bytes` that a cache of `capacity` does not serve on the next use.
double cold_share(double bytes, double capacity, double sharpness) {
  return 1 / (1 + std::pow(capacity / std::max(bytes, 1.0), sharpness));
}

Fp8Parts price(const Fp8Product& p, const Fp8Device& g, const Fp8Constants& c, const Fp8Tile& tile) {
  Fp8Parts out;
  out.tile = tile;
  // Experts that random routing gives a row; the others' weights are not read.
  const double experts = p.experts > 1 ? std::max(1.0, p.experts * -std::expm1(-p.m / p.experts)) : 1;
  const double rows = std::max(1.0, p.m / experts);  // of one expert that has any
  const double activation_bytes = g.quantized_activations ? p.activation_bytes : kActivationBytes;
  const double weights = experts * p.n * p.k * p.weight_bytes;
  const double activations = p.m * p.k * activation_bytes;
  const double results = p.m * p.n * kResultBytes;
  const double bandwidth = g.memory_bandwidth * c[MemoryEfficiency];

  out.fixed = c[LaunchTime] * 1e-6 + c[LaunchCycles] / g.clock;

  if (g.quantized_activations) {
    const double chunks = std::ceil(p.k / kChunk);
    const double first = (c[QuantizeFirst] + c[QuantizeFirstChunk] * chunks) / g.clock;
    const double issue =
        p.m / g.multiprocessors * (2048 / g.threads) * (c[QuantizeRow] + c[QuantizeChunk] * chunks) / g.clock;
    const double moved = p.m * p.k * (kActivationBytes + p.activation_bytes);
    const double memory =
        moved * cold_share(moved, c[QuantizeCache] * g.cache, c[Sharpness]) / (bandwidth * c[QuantizeMemory]);
    out.quantization = join(join(first, issue, kQuantizeOrder), memory, kQuantizeOrder);
  }

  // Tiles; a cluster's thread blocks come together.
  const double per_expert = std::ceil(std::ceil(rows / tile.rows) / tile.cluster_rows) * tile.cluster_rows;
  const double tile_rows = experts * per_expert;
  const double tile_columns =
      std::ceil(std::ceil(p.n / tile.columns) / tile.cluster_columns) * tile.cluster_columns;
  out.tiles = tile_rows * tile_columns;
  out.waves = out.tiles / g.multiprocessors;
  const double whole = std::floor(out.waves);
  const double partial = out.waves - whole;
  const double rounds = out.waves <= 1 ? 1 : whole + (partial > 0 ? std::pow(partial, c[PartialWave]) : 0);
  const double depth = std::ceil(p.k / tile.depth) * tile.depth;

  const double flops_per_clock = g.peak / (g.matrix_clock * g.multiprocessors);
  const double area = static_cast<double>(tile.rows) * tile.columns;
  const double products =
      depth * 2 * area / (flops_per_clock * tile.matrix_share * c[MatrixEfficiency]) / g.clock;
  // Blackwell's products of successive stages queue up in the matrix unit; elsewhere warps wait for each.
  const double wait = g.kernels == Fp8Kernels::Sm100 ? kQueuedStage : 1;
  const double latency = depth / tile.depth * wait * c[StageLatency] / g.clock;
  out.matrix = join(products, latency, c[StageOrder]);
  const double stores = area / (8.0 * tile.threads);
  out.epilogue = ((tile.overlapped ? c[TileResident] : c[TileFresh]) +
                  (tile.bulk_copies ? c[EpilogueBulk] : c[EpilogueStore]) * stores) /
                 g.clock;
  // Two groups of warps take turns, each with every second tile; the last epilogue stands alone.
  out.multiprocessors =
      tile.overlapped ? join(rounds * out.matrix, rounds / 2 * out.epilogue, kComputeOrder) + out.epilogue
                      : rounds * (out.matrix + out.epilogue);
  out.flops = 2 * p.m * p.n * p.k;
  out.sustained = 2 * out.tiles * area * depth / (g.sustained * c[SustainedRate]);
  double compute = join(out.multiprocessors, out.sustained, kComputeOrder);

  // L2.
  const bool shared = tile.cluster_rows > 1 && tile.rows >= 64;
  const double outside = tile.bulk_copies && tile.rows >= 128 ? tile_rows * tile.rows - p.m : 0;
  const double row_reads = tile_rows * tile.rows - outside + c[OutsideRow] * outside;
  out.cache_bytes = depth * (activation_bytes * tile_columns * row_reads / tile.cluster_columns +
                             p.weight_bytes * out.tiles * tile.columns / (shared ? tile.cluster_rows : 1)) +
                    results;
  const double busy = std::min(out.tiles, g.multiprocessors);
  out.cache =
      out.cache_bytes / std::min(g.cache_bandwidth * c[CacheEfficiency], c[CacheReach] * g.clock * busy);
  compute = join(compute, out.cache, c[CacheOrder]);
  if (g.kernels == Fp8Kernels::Sm89) {
    const double spill = area > 16384                                               ? c[SpillLargest]
                         : area == 16384                                            ? c[SpillLarge]
                         : tile.columns == 64 && tile.rows >= 32 && tile.rows <= 64 ? c[SpillSliced]
                                                                                    : c[SpillSmall];
    compute += out.tiles * tile.threads * spill / g.memory_bandwidth;
  }

  // DRAM.
  out.weights_cold =
      p.weights == WeightState::Cold ? 1 : cold_share(weights, c[WeightCache] * g.cache, c[WeightSharpness]);
  const double part = c[ActivationCache] * g.cache;
  const double sweeps = std::min({tile_rows, tile_columns, out.waves});
  const double smaller = std::min(activations, weights);
  const double wave_rows = std::min(
      tile_columns >= tile_rows ? tile_rows : std::max(1.0, std::floor(g.multiprocessors / tile_columns)),
      g.multiprocessors);
  const double wave_columns = std::min(tile_columns, std::max(1.0, g.multiprocessors / wave_rows));
  const double strips =
      (wave_rows * tile.rows * activation_bytes + wave_columns * tile.columns * p.weight_bytes) * depth;
  out.memory_bytes =
      weights * out.weights_cold + activations * cold_share(activations, part, c[Sharpness]) +
      results * cold_share(results + weights, part, c[Sharpness]) +
      c[RereadShare] * std::max(sweeps - 1, 0.0) * smaller *
          cold_share(smaller, c[RereadCache] * g.cache, c[Sharpness]) +
      c[DriftShare] * out.cache_bytes * cold_share(strips, c[DriftCache] * g.cache, c[Sharpness]);
  out.memory = out.memory_bytes / std::min(bandwidth, c[MemoryReach] * g.clock * busy) +
               c[MemoryLatency] * 1e-6 * out.weights_cold;

  out.floor = out.flops / g.peak;
  if (p.weights == WeightState::Cold) out.floor = std::max(out.floor, weights / g.memory_peak);
  const double product = join(compute, out.memory, c[MemoryOrder]);
  out.time = std::max(out.floor, out.fixed + out.quantization + product);

  const double fixed = out.fixed + out.epilogue;
  const double most = std::max(
      {fixed, out.multiprocessors - out.epilogue, out.sustained, out.cache, out.memory, out.quantization});
  out.bound = most == fixed                                    ? Bound::Launch
              : most == out.memory || most == out.quantization ? Bound::Memory
              : most == out.cache                              ? Bound::Cache
              : most == out.sustained                          ? Bound::Power
                                                               : Bound::Compute;
  return out;
}

}  // namespace

Fp8Device fp8_device(const hardware::Device& device, DataType type) {
  const hardware::Gpu* gpu = device.gpu();
  if (gpu == nullptr) throw InputError(device.name + " is no GPU: the FP8 law knows only GPUs");
  Fp8Device g;
  g.kernels = fp8_kernels(*gpu);
  g.multiprocessors = std::max(1, gpu->multiprocessors);
  g.clock = gpu->boost_clock.value();
  g.matrix_clock = gpu->tensor_clock.value() > 0 ? gpu->tensor_clock.value() : g.clock;
  using enum hardware::Architecture;
  const bool fewer = gpu->architecture == Ada || gpu->architecture == BlackwellConsumer ||
                     (gpu->compute_capability > 8.05 && gpu->compute_capability < 8.95);
  g.threads = fewer ? 1536 : 2048;
  const auto figure = [&](const auto& table, DataType t) { return table[static_cast<size_t>(t)].value(); };
  DataType arithmetic = type == DataType::NVFP4 ? type : DataType::FP8;
  if (figure(gpu->peak, arithmetic) <= 0) {
    // Weights are widened and multiplied in 16 bits, by a library of which no row was measured.
    g.quantized_activations = false;
    g.kernels = Fp8Kernels::Unknown;
    arithmetic = figure(gpu->peak, DataType::BF16) > 0   ? DataType::BF16
                 : figure(gpu->peak, DataType::FP16) > 0 ? DataType::FP16
                                                         : DataType::FP32;
  }
  g.peak = figure(gpu->peak, arithmetic);
  const double wide = figure(gpu->achievable.rate, DataType::BF16);
  g.sustained = figure(gpu->achievable.rate, arithmetic) > 0 ? figure(gpu->achievable.rate, arithmetic)
                : wide > 0 && figure(gpu->peak, DataType::BF16) > 0
                    ? g.peak * wide / figure(gpu->peak, DataType::BF16)
                    : g.peak * kUsualRateShare;
  g.memory_peak = device.memory_bandwidth.value();
  g.memory_bandwidth =
      gpu->achievable.memory_read_bandwidth.value() > 0 ? gpu->achievable.memory_read_bandwidth.value()
      : gpu->achievable.memory_bandwidth.value() > 0    ? gpu->achievable.memory_bandwidth.value()
                                                        : kUsualMemoryShare * g.memory_peak;
  g.cache = std::max(1.0, gpu->l2.value());
  const bool hbm = device.memory_type.find("HBM") != std::string::npos;
  g.cache_bandwidth = gpu->achievable.l2_bandwidth.value() > 0
                          ? gpu->achievable.l2_bandwidth.value()
                          : usual_cache_rate(*gpu, hbm) * g.clock * g.multiprocessors;
  return g;
}

Fp8Parts fp8_gemm_law(const Fp8Product& product, const Fp8Device& device, const Fp8Constants& constants) {
  const Fp8Use use = product.experts > 1        ? Fp8Use::Grouped
                     : product.weight_bytes < 1 ? Fp8Use::Nvfp4
                                                : Fp8Use::Dense;
  if (device.kernels != Fp8Kernels::Unknown) {
    return price(product, device, constants, fp8_tile(device.kernels, use, product.m, product.n, product.k));
  }
  Fp8Parts best;
  for (int choice = 0; choice < kUnknownTiles; ++choice) {
    const Fp8Parts parts = price(product, device, constants,
                                 fp8_tile(device.kernels, use, product.m, product.n, product.k, choice));
    if (choice == 0 || parts.time < best.time) best = parts;
  }
  return best;
}

}  // namespace orrery::cost
