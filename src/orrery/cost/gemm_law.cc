#include "orrery/cost/gemm_law.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

namespace orrery::cost {

using enum GemmConstant;
using hardware::Architecture;

namespace {

struct TileShape {
  double n, m;
};
// cuBLAS multiplies transposed: the rows of a tile lie along n, the weights' columns.
constexpr std::array<TileShape, 15> kMmaTiles = {{{128, 256},
                                                  {256, 128},
                                                  {128, 128},
                                                  {64, 256},
                                                  {256, 64},
                                                  {128, 64},
                                                  {64, 128},
                                                  {64, 64},
                                                  {32, 64},
                                                  {64, 32},
                                                  {32, 32},
                                                  {128, 32},
                                                  {128, 16},
                                                  {64, 16},
                                                  {32, 16}}};
constexpr std::array<TileShape, 11> kWgmmaTiles = {{{128, 256},
                                                    {256, 128},
                                                    {128, 192},
                                                    {128, 128},
                                                    {128, 64},
                                                    {64, 256},
                                                    {64, 128},
                                                    {64, 64},
                                                    {64, 32},
                                                    {64, 16},
                                                    {128, 32}}};
constexpr std::array<double, 10> kSplits = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32};
constexpr double kReferenceSide = 128.0 * 256 / (128 + 256);  // x of the largest tile
constexpr double kReferenceRate = 2048;                       // FLOP per clock to which TileHalf refers
constexpr double kLeastSplitDepth = 64;
constexpr double kMostWavesSplit = 2.1;
constexpr double kPairedReuse = 4.0 / 3;       // (a + b) / (a + b / 2) at a = b
constexpr double kMegabinary = 1048576 / 1e6;  // cache sizes are written in MB and meant in MiB

// Where nothing was published: the middle of the published figures of NVIDIA's parts.
constexpr double kUsualRate = .8, kUsualBandwidth = .91, kUsualCacheBytes = 36, kUsualCacheBytesGddr = 15;
// Products that widen their weights run on mma instructions, which reach 62 % of the wgmma rate on Hopper
// (Luo et al. 2024, arXiv:2402.13499) and are no faster per multiprocessor on Blackwell.
constexpr double kMmaRateHopper = .62, kMmaRateBlackwell = .31, kWideningRate = .9;

bool data_center_cache(Architecture architecture, const hardware::Gpu& gpu) {
  switch (architecture) {
    case Architecture::Ampere:
      return gpu.compute_capability == 8.0;
    case Architecture::Hopper:
    case Architecture::Blackwell:
      return true;
    default:
      return false;
  }
}

double cube(double x) {
  return x * x * x;
}

// Powers of positive numbers to about 1e-8, several times faster than the library's: a product's price takes
// dozens. The same bits on every machine.
double fast_log2(double x) {
  const auto bits = std::bit_cast<uint64_t>(x);
  auto exponent = static_cast<double>(static_cast<int64_t>(bits >> 52) - 1023);
  double mantissa = std::bit_cast<double>((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);
  if (mantissa > 1.4142135623730951) {
    mantissa *= .5;
    exponent += 1;
  }
  const double z = (mantissa - 1) / (mantissa + 1), zz = z * z;
  const double series = 1 + zz * (1.0 / 3 + zz * (1.0 / 5 + zz * (1.0 / 7 + zz * (1.0 / 9))));
  return exponent + 2 * 1.4426950408889634 * z * series;
}

double fast_exp2(double x) {
  x = std::clamp(x, -1000.0, 1000.0);
  const double whole = std::floor(x + .5);
  const double y = (x - whole) * 0.6931471805599453;
  const double series =
      1 +
      y * (1 + y * (1.0 / 2 + y * (1.0 / 6 + y * (1.0 / 24 + y * (1.0 / 120 + y * (1.0 / 720 + y / 5040))))));
  return series * std::bit_cast<double>(static_cast<uint64_t>(static_cast<int64_t>(whole) + 1023) << 52);
}

double power(double x, double p) {
  return fast_exp2(p * fast_log2(x));
}

double cube_root(double x) {
  return power(x, 1.0 / 3);
}

}  // namespace

GemmDevice gemm_device(const hardware::Device& device, DataType type, DataType weights) {
  const hardware::Gpu* gpu = device.gpu();
  if (gpu == nullptr) throw InputError("'" + device.name + "' is no GPU; the matrix-product law prices GPUs");
  GemmDevice d;
  const bool asynchronous =
      gpu->architecture == Architecture::Hopper || gpu->architecture == Architecture::Blackwell;
  d.kernels = asynchronous ? GemmKernels::Wgmma : GemmKernels::Mma;
  d.paired = gpu->architecture == Architecture::Blackwell;
  d.split_cache = data_center_cache(gpu->architecture, *gpu);
  d.multiprocessors = std::max(1, gpu->multiprocessors);
  d.clock = std::max(gpu->boost_clock.value(), gpu->tensor_clock.value());
  if (!(d.clock > 0))
    throw InputError("'" + device.name + "' has no clock; the matrix-product law needs one");

  // The type that the units multiply: weights of fewer bits are widened in the kernel unless the units take
  // both.
  DataType runs = weights == DataType::NVFP4 || weights == DataType::MXFP4 ? weights : type;
  const auto supported = [&](DataType t) { return gpu->peak_rate(t).value() > 0; };
  if (!supported(runs)) runs = type;
  if (!supported(runs) && runs == DataType::BF16) runs = DataType::FP16;  // Volta, Turing: the same bytes
  if (!supported(runs)) runs = DataType::FP32;
  if (!supported(runs)) throw InputError("'" + device.name + "' has no rate for " + std::string(name(type)));
  const bool widened = bytes_per_element(weights) < bytes_per_element(runs);

  const double peak = gpu->peak_rate(runs).value();
  d.flops_per_clock =
      runs == DataType::FP32 ? peak / (d.clock * d.multiprocessors) : gpu->flops_per_clock(runs);
  const double full = d.flops_per_clock * d.multiprocessors * d.clock;
  double reached = gpu->achievable.rate[static_cast<size_t>(runs)].value();
  if (!(reached > 0) && (runs == DataType::BF16 || runs == DataType::FP16)) {
    const DataType other = runs == DataType::BF16 ? DataType::FP16 : DataType::BF16;
    reached = gpu->achievable.rate[static_cast<size_t>(other)].value();
  }
  d.measured_rate = reached > 0;
  d.sustained = std::min(reached > 0 ? reached / full : kUsualRate * peak / full, 1.0);
  if (widened) {
    d.weight_rate = kWideningRate;
    if (gpu->architecture == Architecture::Hopper) d.weight_rate *= kMmaRateHopper;
    if (gpu->architecture == Architecture::Blackwell) d.weight_rate *= kMmaRateBlackwell;
    d.kernels = GemmKernels::Mma;
    d.paired = false;
  }

  d.memory_peak = device.memory_bandwidth.value();
  const double read = gpu->achievable.memory_read_bandwidth.value();
  d.measured_bandwidth = read > 0 || gpu->achievable.memory_bandwidth.value() > 0;
  d.memory_bandwidth = read > 0 ? read
                       : gpu->achievable.memory_bandwidth.value() > 0
                           ? std::min(1.04 * gpu->achievable.memory_bandwidth.value(), d.memory_peak)
                           : kUsualBandwidth * d.memory_peak;
  d.cache = std::max(gpu->l2.value() * kMegabinary, 1e6);
  const bool stacked = device.memory_type.starts_with("HBM");
  const double cache = gpu->achievable.l2_bandwidth.value();
  d.measured_cache = cache > 0;
  d.cache_bandwidth = cache > 0 ? cache / (d.multiprocessors * d.clock)
                                : (d.split_cache || stacked ? kUsualCacheBytes : kUsualCacheBytesGddr);
  return d;
}

// Sizes of one product, in the forms that every candidate needs.
struct GemmLaw::Work {
  double m, n, k;                       // of one matrix of the batch or one expert
  double matrices;                      // that fill waves together
  double weights, activations, result;  // bytes over all
  double cold_weights, cold_rest, cold_both;
  double flops;
};

GemmLaw::GemmLaw(const GemmDevice& device, const GemmConstants& constants, const GemmEffects& effects)
    : device_(device), constants_(constants), effects_(effects) {
  const bool mma = device_.kernels == GemmKernels::Mma;
  // A pair has a tile of twice the size for twice the rate.
  const double rate_of_one = device_.flops_per_clock / (device_.paired ? 2 : 1);
  const double half = constants_[TileHalf] * std::sqrt(rate_of_one / kReferenceRate);
  const double rate = device_.flops_per_clock * effects_.rate * device_.weight_rate;
  const double latency = constants_[mma ? StepLatencyMma : StepLatencyWgmma];
  const auto add = [&](const TileShape& shape) {
    const double x = shape.n * shape.m / (shape.n + shape.m);
    const double efficiency = x / (x + half) * (kReferenceSide + half) / kReferenceSide;
    tiles_[tile_count_++] = {shape.n, shape.m, 2 * shape.n * shape.m / (rate * efficiency), latency,
                             shape.n * shape.m * constants_[mma ? EpilogueMma : EpilogueWgmma]};
  };
  if (mma) {
    for (const TileShape& shape : kMmaTiles) add(shape);
  } else {
    for (const TileShape& shape : kWgmmaTiles) add(shape);
  }
  const double scale = 1.8e9 / device_.clock;
  launch_ =
      (constants_[Launch] * power(scale, constants_[LaunchClock]) + (mma ? 0 : constants_[LaunchCluster])) *
      1e-6 * effects_.launch;
  split_latency_ = constants_[SplitLatency] * std::sqrt(scale) * 1e-6;
  cache_per_clock_ = constants_[CacheShare] * device_.cache_bandwidth * (mma ? 1 : constants_[Multicast]) *
                     (device_.paired ? kPairedReuse : 1);
  memory_rate_ = device_.memory_bandwidth * constants_[MemoryShare] * effects_.bandwidth;
}

double GemmLaw::cold_share(double working_set) const {
  const double hold = constants_[device_.split_cache ? CacheHoldSplit : CacheHold] * device_.cache;
  const double edge = constants_[device_.split_cache ? CacheEdgeSplit : CacheEdge];
  return 1 / (1 + power(working_set / hold, -edge));
}

// DRAM serves a few multiprocessors only as fast as they ask.
double GemmLaw::memory_rate(double busy) const {
  const double reach = busy * constants_[MemoryReach] * device_.clock;
  return memory_rate_ / cube_root(1 + cube(memory_rate_ / reach));
}

void GemmLaw::matrix_vector(const Work& w, GemmParts& best) const {
  const double blocks = w.matrices * std::ceil(w.n / 4) * std::ceil(w.k / 4096);
  const double busy = std::min(blocks, device_.multiprocessors);
  best.memory_bytes = w.cold_weights * w.weights + w.cold_rest * (w.activations + w.result);
  best.memory = best.memory_bytes / memory_rate(busy);
  best.cache_bytes = w.weights;
  best.cache = w.weights / std::max(busy * device_.clock * constants_[VectorCache] * device_.cache_bandwidth,
                                    memory_rate(busy));
  best.multiprocessors = (std::min(w.k, 4096.0) * constants_[VectorStep] + 500) / device_.clock;
  best.tile_n = best.tile_m = best.split = 1;
  best.waves = blocks / device_.multiprocessors;
  best.launch = launch_;
  best.time = launch_ + cube_root(cube(best.multiprocessors) + cube(best.cache) + cube(best.memory));
}

void GemmLaw::consider(const Work& w, const Tile& tile, double columns, double rows, double split,
                       GemmParts& best) const {
  const double blocks = w.matrices * columns * rows * split;
  const double sms = device_.multiprocessors;
  const double waves = blocks / sms;
  const double extra = split > 1 ? split_latency_ : 0;
  const double depth = w.k / split;

  const double limit = best.time - launch_ - extra;
  if (limit <= 0) return;

  // First what costs no powers, each part at most what it will be: a candidate that cannot win ends here.
  const double whole = std::floor(waves);
  const double share = constants_[RateShare];
  const double boost = (1 - device_.sustained) * constants_[BoostShare];
  const double step = std::max(tile.latency, tile.products / (share * (device_.sustained + boost)));
  const double least = std::max(1.0, waves) * (depth * step + tile.epilogue) / device_.clock;
  const double busy = std::min(blocks, sms);
  const double cache_bytes =
      rows * w.weights + columns * w.activations + w.result * (split > 1 ? 2 * split : 1);
  const double cache = cache_bytes / (busy * device_.clock * cache_per_clock_);
  const double memory_once =
      w.cold_weights * w.weights + w.cold_rest * (w.activations + constants_[WriteCost] * w.result);
  const double memory_least = memory_once / memory_rate_;
  if (cube(least) + cube(cache) + cube(memory_least) >= cube(limit)) return;

  double rounds = 1;
  if (waves > 1) {
    const double partial = waves - whole;
    rounds = whole + (partial > 0 ? power(partial, constants_[PartialWave]) : 0);
  }
  const double steps = rounds * depth / device_.clock;
  const double at_full_rate = steps * tile.products;
  const double early = 1 / (1 + power(at_full_rate * 1e6 / constants_[BoostTime], constants_[BoostOrder]));
  const double products =
      std::max(at_full_rate / (share * (device_.sustained + boost * early)), steps * tile.latency);
  const double fixed = rounds * tile.epilogue + std::sqrt(std::max(waves, 1.0)) * constants_[Prologue];
  const double multiprocessors = products + fixed / device_.clock;
  if (multiprocessors >= limit) return;

  // A wave of r × c tiles reads its strips once; what both operands exceed of L2 is read again in the next
  // wave.
  const double in_wave = std::min(columns * rows, std::max(1.0, sms / split));
  const double side = std::sqrt(in_wave);
  const double wave_columns = std::min(columns, std::max(side, in_wave / rows));
  const double wave_rows = std::min(rows, in_wave / wave_columns);
  const double strips =
      columns * rows / in_wave * w.k *
      (w.weights / (w.n * w.k) * wave_columns * tile.n + w.activations / (w.m * w.k) * wave_rows * tile.m);
  const double again = std::max(0.0, strips - (w.weights + w.activations)) * w.cold_both * constants_[Reread];
  const double memory_bytes = memory_once + again;
  // Tiles in one column ask for the same weights, those in one row for the same activations: DRAM sees one
  // reader for a strip.
  const double strips_read = std::max(columns, rows * std::min(1.0, w.activations / w.weights));
  const double readers = std::min(busy, w.matrices * split * strips_read);
  const double memory = memory_bytes / memory_rate(readers);
  const double cubes = cube(multiprocessors) + cube(cache) + cube(memory);
  if (cubes >= cube(limit)) return;
  best.time = launch_ + extra + cube_root(cubes);
  best.launch = launch_;
  best.multiprocessors = multiprocessors;
  best.cache = cache;
  best.memory = memory;
  best.split_time = extra;
  best.cache_bytes = cache_bytes;
  best.memory_bytes = memory_bytes;
  best.tile_n = tile.n;
  best.tile_m = tile.m;
  best.split = split;
  best.waves = waves;
}

GemmParts GemmLaw::operator()(const GemmProduct& product) const {
  Work w{};
  // Fewer rows than experts leave experts without work.
  const double active = std::min(product.experts, product.m);
  w.matrices = product.batch * active;
  w.m = product.m / active;
  w.n = product.n;
  w.k = product.k;
  w.weights = product.weight_bytes * w.n * w.k * w.matrices;
  w.activations = product.activation_bytes * w.m * w.k * w.matrices;
  w.result = product.output_bytes * w.m * w.n * w.matrices;
  w.flops = 2 * w.matrices * w.m * w.n * w.k;
  const double once = w.weights + w.activations + w.result;
  w.cold_weights = product.copies > 0 ? cold_share(product.copies * w.weights + w.activations + w.result) : 1;
  w.cold_rest = cold_share(once);
  w.cold_both = cold_share(w.weights + w.activations);

  GemmParts best;
  best.time = std::numeric_limits<double>::infinity();
  if (device_.kernels == GemmKernels::Mma && w.m <= 1) {
    matrix_vector(w, best);
  } else {
    for (size_t i = 0; i < tile_count_; ++i) {
      const Tile& tile = tiles_[i];
      const double columns = std::ceil(w.n / tile.n), rows = std::ceil(w.m / tile.m);
      const double most_splits = std::min(
          kMostWavesSplit * device_.multiprocessors / (w.matrices * columns * rows), w.k / kLeastSplitDepth);
      for (double split : kSplits) {
        if (split > 1 && split > most_splits) break;
        consider(w, tile, columns, rows, split, best);
      }
    }
  }
  best.flops = w.flops;
  best.weights_cold = w.cold_weights;
  best.floor = std::max(w.flops / (device_.flops_per_clock * device_.multiprocessors * device_.clock),
                        product.copies > 0 ? 0 : w.weights / device_.memory_peak);
  best.time = std::max(best.time, best.floor);
  const double rest = best.launch + best.split_time;
  if (rest >= std::max({best.multiprocessors, best.cache, best.memory}))
    best.bound = Bound::Launch;
  else if (best.memory >= std::max(best.multiprocessors, best.cache))
    best.bound = Bound::Memory;
  else
    best.bound = best.cache > best.multiprocessors ? Bound::Cache : Bound::Compute;
  return best;
}

}  // namespace orrery::cost
