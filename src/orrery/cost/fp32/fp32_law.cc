#include "orrery/cost/fp32/fp32_law.h"

#include <algorithm>
#include <cmath>

#include "orrery/base/error.h"
#include "orrery/cost/gemm_model.h"
#include "orrery/graph/operator_shape.h"

namespace orrery::cost {
namespace {

using hardware::Architecture;
constexpr double kWord = 4;  // bytes

struct Tile {
  double columns, rows;
};
constexpr Tile kTiles[] = {{128, 128}, {128, 64}, {64, 128}, {64, 64},
                           {128, 32},  {32, 128}, {64, 32},  {32, 32}};
constexpr Tile kPascalBatched = {128, 64}, kAmpereBatched = {128, 128};
constexpr double kWarpSoftmax = 1024, kNormBlock = 128, kVector = 4;  // columns; threads; values a load
constexpr double kCuts[] = {1, 2, 4, 8, 16};
constexpr double kShortestCut = 64;  // of the contraction

constexpr Fp32Parameter kParameters[] = {
    {"host_product_s", &Fp32Constants::host_product, 50e-6, .2},
    {"host_batched_s", &Fp32Constants::host_batched, 30e-6, .2},
    {"host_convolution_s", &Fp32Constants::host_convolution, 50e-6, .2},
    {"host_vector_s", &Fp32Constants::host_vector, 30e-6, .2},
    {"host_norm_s", &Fp32Constants::host_norm, 42e-6, .2},
    {"kernel_s", &Fp32Constants::kernel, 3e-6, .05},
    {"lead", &Fp32Constants::lead, .5, .2},
    {"lead_cdna", &Fp32Constants::lead_cdna, .8, .2},
    {"bracketed", &Fp32Constants::bracketed, .75, .1},
    {"efficiency_64_lanes", &Fp32Constants::efficiency_64, .97, .03},
    {"efficiency_128_lanes", &Fp32Constants::efficiency_128, .80, .01},
    {"efficiency_matrix", &Fp32Constants::efficiency_matrix, .75, .15},
    {"reload", &Fp32Constants::reload, 2, .6},
    {"prologue_cycles", &Fp32Constants::prologue, 1500, .5},
    {"order", &Fp32Constants::order, 3, .25},
    {"order_vector", &Fp32Constants::order_vector, 5, .25},
    {"partial_wave", &Fp32Constants::partial_wave, .3, .5},
    {"cache_bytes_per_clock", &Fp32Constants::cache_bytes, 32, .4},
    {"split_s", &Fp32Constants::split, 4e-6, .4},
    {"unaligned", &Fp32Constants::unaligned, .1, .6},
    {"stride_knee", &Fp32Constants::stride_knee, 11000, .3},
    {"stacked_share", &Fp32Constants::stacked_share, .86, .06},
    {"graphics_share", &Fp32Constants::graphics_share, .765, .03},
    {"published_share", &Fp32Constants::published_share, .98, .01},
    {"power_share", &Fp32Constants::power_share, .7, .1},
    {"burst_host", &Fp32Constants::burst_host, .3, .5},
    {"burst_model", &Fp32Constants::burst_model, .6, .2},
    {"burst_s", &Fp32Constants::burst_time, .010, .4},
    {"published_power", &Fp32Constants::published_power, .94, .03},
    {"hold_split", &Fp32Constants::hold_split, .6, .1},
    {"hold_one", &Fp32Constants::hold_one, 1., .05},
    {"reread_hold", &Fp32Constants::reread_hold, .6, .15},
    {"idle_tile", &Fp32Constants::idle_tile, .8, .2, 1},  // beyond 1, more work in a tile would draw less
    {"issue", &Fp32Constants::issue, 16, .4},
    {"issue_power", &Fp32Constants::issue_power, 1.2, .4},
    {"issue_power_cdna", &Fp32Constants::issue_power_cdna, .35, .4},
    {"issue_shared", &Fp32Constants::issue_shared, 1.25, .1},  // 64 integer lanes, some 50 instructions
    {"issue_random", &Fp32Constants::issue_random, 1.1, .1},   // ten rounds of Philox an element
    {"issue_softmax", &Fp32Constants::issue_softmax, 6, .4},
    {"issue_norm", &Fp32Constants::issue_norm, 8, .4},
    {"row_softmax_cycles", &Fp32Constants::row_softmax, 2000, .4},
    {"step_softmax_cycles", &Fp32Constants::step_softmax, 1500, .15},
    {"row_norm_cycles", &Fp32Constants::row_norm, 1500, .25},
    {"step_norm_cycles", &Fp32Constants::step_norm, 600, .25},
    {"softmax_rereads", &Fp32Constants::softmax_rereads, 2, .1},
};

double join(std::initializer_list<double> parts, double order) {
  const double most = std::max(parts);
  if (!(most > 0)) return 0;
  double sum = 0;
  for (double part : parts) sum += std::pow(part / most, order);
  return most * std::pow(sum, 1 / order);
}

bool multiple(double size, double of) {
  return std::fmod(size, of) == 0;
}

double achievable(const Fp32Device& d, const Fp32Constants& c) {
  const double usual = (d.stacked ? c.stacked_share : c.graphics_share) * d.bandwidth;
  return d.published_bandwidth > 0 ? std::min(d.bandwidth, c.published_share * d.published_bandwidth) : usual;
}

// The rate that power sustains. A rule and a published measurement of the part, where there is one, are two
// estimates of like worth: their geometric mean.
double sustained(const Fp32Device& d, const Fp32Constants& c) {
  if (!(d.tdp > 0) || !(d.joules > 0)) return 1e300;
  const double rule = c.power_share * d.tdp / d.joules;
  if (!(d.published_rate > 0) || d.published_rate > .85 * d.matrix_rate) return rule;
  return std::sqrt(rule * c.published_power * d.published_rate);
}

// Seconds of `compute` seconds of arithmetic whose sustained pace would take `capped`: the first τ run on
// what the average allows.
double with_power(double compute, double capped, double burst, double tau) {
  if (capped <= compute) return compute;
  const double x = capped / tau;
  const double gain = 1 + burst * (x < 1e-3 ? 1 : (1 - std::exp(-x)) / x);
  return std::max(compute, capped / gain);
}

// Share of a repeated call's bytes that L2 still holds.
double held_share(double bytes, const Fp32Device& d, const Fp32Constants& c) {
  const double room = (d.split_cache ? c.hold_split : c.hold_one) * d.cache;
  return 1 / (1 + std::pow(std::max(bytes, 1.) / room, 6));
}

// Threads of a block of PyTorch's softmax: doubled up to half of what one vector load each would take.
double softmax_block(double columns) {
  const double most = std::min(columns / kVector, 1024.);
  double block = 32;
  while (block < most / 2) block *= 2;
  return block;
}

struct Pace {
  double rate, bandwidth, cache, cap, burst;
};

void product(const Fp32Call& s, const Fp32Device& d, const Fp32Constants& c, const Pace& pace,
             Fp32Parts* best) {
  const double bytes = kWord * s.batch * (s.m * s.k + s.k * s.n + s.m * s.n);
  const double work = 2 * s.batch * s.m * s.n * s.k;
  const double held = held_share(bytes, d, c);
  const double memory = bytes * (1 - held) / pace.bandwidth;
  double slower = 1;
  if (!multiple(s.n, 4) || !multiple(s.k, 4)) slower += c.unaligned;
  if (d.pascal && s.kernel == Fp32Class::Linear)
    slower += std::pow(s.k / c.stride_knee, 2) * std::min(1., s.k / c.stride_knee);
  slower = std::min(slower, 3.5);
  std::span<const Tile> tiles = kTiles;
  if (s.kernel == Fp32Class::Batched) {
    if (d.family == Fp32Family::Maxwell) tiles = {&kPascalBatched, 1};
    if (d.family == Fp32Family::Ampere) tiles = {&kAmpereBatched, 1};
  }
  best->time = 1e300;
  for (const Tile& tile : tiles) {
    const double count = s.batch * std::ceil(s.m / tile.rows) * std::ceil(s.n / tile.columns);
    const double area = tile.columns * tile.rows, x = area / (tile.columns + tile.rows);
    for (double cut : kCuts) {
      if (cut > 1 &&
          (s.kernel == Fp32Class::Batched || cut * kShortestCut > s.k || count * cut > 4 * d.multiprocessors))
        break;
      const double wave = count * cut / d.multiprocessors, full = std::floor(wave);
      const double waves = wave <= 1 ? 1 : full + (wave > full ? std::pow(wave - full, c.partial_wave) : 0);
      const double one =
          2 * area * std::ceil(s.k / cut) / (pace.rate / d.multiprocessors * x / (x + c.reload)) * slower +
          c.prologue / d.clock;
      const double traffic = kWord * count * (tile.columns + tile.rows) * s.k +
                             kWord * s.batch * s.m * s.n * (cut > 1 ? 2 * cut : 1);
      const double cache = traffic / (pace.cache * std::min(1., wave));
      const double compute = waves * one, extra = cut > 1 ? c.split : 0;
      if (std::max({compute, cache, memory}) + extra >= best->time) continue;
      const double joined = join({compute, cache, memory}, c.order) + extra;
      if (joined >= best->time) continue;
      best->time = joined;
      best->compute = compute;
      best->cache = cache;
      best->waves = wave;
      best->fill = work / (2 * count * area * s.k);
      best->tile = area;
      best->cut = cut;
    }
  }
  best->memory = memory;
  best->held = held;
  best->flops = work;
  best->bytes = bytes * (1 - held);
  best->capped = work / std::pow(best->fill, c.idle_tile) / pace.cap;
  best->power = with_power(0, best->capped, pace.burst, c.burst_time);
  best->uncapped = best->time;
  best->time = std::max(best->time, best->power);
}

void vector(const Fp32Call& s, const Fp32Device& d, const Fp32Constants& c, const Pace& pace,
            Fp32Parts* out) {
  const double bytes = s.read + s.written;
  double elements = s.rows * s.columns;
  const double held = held_share(bytes, d, c);
  const double power = d.family == Fp32Family::Cdna ? c.issue_power_cdna : c.issue_power;
  double again = 0, per_clock = s.heavy > 1 ? power : c.issue, rows_wait = 0;
  if (s.shared > 0) {
    // Between two uses of an element pass the operand itself, what it meets and the result.
    const double lost = 1 - held_share(3 * s.shared, d, c);
    again = lost * std::max(0., s.written - s.shared);
  }
  if (s.placed) per_clock = std::min(per_clock, c.issue_shared);
  if (s.random) per_clock = std::min(per_clock, c.issue_random);
  if (s.kernel != Fp32Class::Elementwise) {
    const bool norm = s.kernel == Fp32Class::LayerNorm, wide = norm || s.columns > kWarpSoftmax;
    if (wide) {
      const double block = norm ? kNormBlock : softmax_block(s.columns);
      const double blocks = std::max(1., std::floor(d.threads / block));
      const double steps = std::ceil(s.columns / (kVector * block));
      const double flight = d.multiprocessors * blocks * s.columns * kWord;
      const double lost = 1 / (1 + std::pow(flight / (c.reread_hold * d.cache), -4));
      again = (norm ? 1 : c.softmax_rereads) * lost * s.read;
      const double cycles = norm ? c.row_norm + c.step_norm * steps : c.row_softmax + c.step_softmax * steps;
      rows_wait = std::max(1., s.rows / (d.multiprocessors * blocks)) * cycles / d.clock;
      per_clock = norm ? c.issue_norm : c.issue_softmax;
    } else {  // a warp a row, padded to a power of two
      elements = s.rows * std::exp2(std::ceil(std::log2(std::max(2., s.columns))));
      per_clock = c.issue_softmax;
    }
  }
  out->memory = (bytes * (1 - held) + again * (1 - held)) / pace.bandwidth;
  out->cache = (bytes + again) / pace.cache;
  out->compute = std::max(elements / (d.multiprocessors * d.clock * per_clock), rows_wait);
  out->held = held;
  out->waves = s.rows / d.multiprocessors;
  out->fill = bytes / (bytes + again);
  out->bytes = bytes * (1 - held) + again * (1 - held);
  out->flops = elements;
  out->time = out->uncapped = join({out->memory, out->cache, out->compute}, c.order_vector);
}

double host_time(Fp32Class kernel, const Fp32Constants& c) {
  switch (kernel) {
    case Fp32Class::Linear:
      return c.host_product;
    case Fp32Class::Batched:
      return c.host_batched;
    case Fp32Class::Convolution:
      return c.host_convolution;
    case Fp32Class::LayerNorm:
      return c.host_norm;
    default:
      return c.host_vector;
  }
}

double log2_of(double x) {
  return std::log2(std::max(x, 1e-9));
}

// Largest power of two, at most 64, that divides the size.
double alignment(double size) {
  double power = 1;
  while (power < 64 && multiple(size, 2 * power)) power *= 2;
  return std::log2(power);
}

}  // namespace

std::string_view name(Fp32Class kernel) {
  constexpr std::string_view kNames[kFp32Classes] = {"linear",      "bmm",     "convolution",
                                                     "elementwise", "softmax", "layer_norm"};
  return kNames[static_cast<size_t>(kernel)];
}

std::span<const Fp32Parameter> fp32_parameters() {
  return kParameters;
}

Fp32Constants central_fp32_constants() {
  Fp32Constants c{};
  for (const Fp32Parameter& p : kParameters) c.*p.field = p.centre;
  return c;
}

bool fp32_call(const graph::OperatorShape& shape, Fp32Call& call) {
  using graph::OperatorKind;
  call = {};
  if (shape.kind == OperatorKind::Gemm) {
    const graph::GemmSize s = graph::gemm_size(shape);
    call.kernel = s.batch > 1 ? Fp32Class::Batched : Fp32Class::Linear;
    call.batch = static_cast<double>(s.batch);
    call.m = static_cast<double>(s.m);
    call.n = static_cast<double>(s.n);
    call.k = static_cast<double>(s.k);
    return true;
  }
  if (shape.kind == OperatorKind::Convolution) {
    const graph::ConvolutionSize s = graph::convolution_size(shape);
    call.kernel = Fp32Class::Convolution;
    call.batch = static_cast<double>(s.groups);
    call.m = static_cast<double>(s.batch * s.out_height() * s.out_width());
    call.n = static_cast<double>(s.out_channels / s.groups);
    call.k = static_cast<double>(s.in_channels / s.groups * s.kernel_h * s.kernel_w);
    if (shape.pass == graph::Pass::InputGradient) std::swap(call.n, call.k);
    if (shape.pass == graph::Pass::WeightGradient) std::swap(call.m, call.k);
    call.window = static_cast<double>(s.kernel_w);
    call.stride = static_cast<double>(s.stride_w);
    call.image = static_cast<double>(s.out_width());
    return true;
  }
  if (graph::traits(shape.kind).engine != graph::Engine::Vector) return false;
  const graph::Traffic traffic = graph::traffic(shape);
  call.read = traffic.read.value();
  call.written = traffic.written.value();
  call.rows = std::max(1., static_cast<double>(shape.dims[0]));
  call.columns = std::max(1., static_cast<double>(shape.dims[1]));
  switch (shape.kind) {
    case OperatorKind::Add:
    case OperatorKind::Multiply:
    case OperatorKind::Divide: {
      const graph::VectorSize size = graph::vector_size(shape);
      if (size.inputs > 0) call.shared = static_cast<double>(size.broadcast) * kWord;
      call.placed = call.shared > 0;
      break;
    }
    case OperatorKind::Mask:
      call.placed = graph::vector_size(shape).broadcast > 0;
      break;
    case OperatorKind::Softmax:
      call.kernel = Fp32Class::Softmax;
      break;
    case OperatorKind::LayerNorm:
      call.kernel = Fp32Class::LayerNorm;
      break;
    case OperatorKind::Power:
      call.heavy = 2;
      break;
    case OperatorKind::Tanh:
    case OperatorKind::Gelu:
    case OperatorKind::Sigmoid:
    case OperatorKind::Silu:
    case OperatorKind::Erf:
    case OperatorKind::Exp:
      call.heavy = 1;
      break;
    case OperatorKind::Dropout:
      call.heavy = 1;
      call.random = true;
      break;
    case OperatorKind::OptimizerStep:
    case OperatorKind::Pooling:
      call.rows = 1;
      call.columns = std::max(1., call.written / kWord);
      break;
    default:
      break;
  }
  return true;
}

Fp32Device fp32_device(const hardware::Device& device) {
  const hardware::Gpu* gpu = device.gpu();
  if (gpu == nullptr) throw InputError(device.name + ": FP32 kernels are priced on GPUs only");
  Fp32Device d;
  const bool amd = gpu->compute_capability <= 0;
  d.pascal = gpu->architecture == Architecture::Pascal;
  d.family = amd                           ? Fp32Family::Cdna
             : d.pascal                    ? Fp32Family::Maxwell
             : gpu->compute_capability < 8 ? Fp32Family::Volta
             : gpu->compute_capability < 9 ? Fp32Family::Ampere
                                           : Fp32Family::Hopper;
  d.multiprocessors = std::max(1, gpu->multiprocessors);
  d.clock = std::max(gpu->boost_clock.value(), 1e8);
  d.lane_rate = 2. * std::max(1, gpu->lanes) * d.clock * d.multiprocessors;
  d.matrix_rate = gpu->matrix_fp32.value() > 0 ? gpu->matrix_fp32.value() : d.lane_rate;
  d.wide_lanes = gpu->lanes > 64;
  // Only parts with stacked memory and a large cache split it in two halves that each hold copies.
  d.bandwidth = device.memory_bandwidth.value();
  d.stacked = stacked_memory(device);
  d.cache = std::max(gpu->l2.value(), 1e5);
  d.split_cache = !amd && d.stacked && gpu->compute_capability >= 8;
  d.published_bandwidth = gpu->achievable.memory_bandwidth.value();
  d.published_rate = gpu->achievable.rate[static_cast<size_t>(DataType::FP32)].value();
  const double cc = gpu->compute_capability;
  d.threads = amd ? 2048 : cc == 7.5 ? 1024 : (cc > 8 && cc < 9) || cc >= 12 ? 1536 : 2048;
  d.tdp = device.tdp.value();
  const double nm = gpu->process_nm;
  d.joules = nm <= 0 ? 0 : nm >= 12 ? 12.5e-12 : nm >= 7 ? 10e-12 : nm >= 6 ? 9e-12 : 7e-12;
  if (amd) d.joules = 0;  // no measured product of the matrix units was held by power
  return d;
}

Fp32Parts fp32_law(const Fp32Call& call, const Fp32Device& d, const Fp32Constants& c, const Fp32Effects& e,
                   Fp32Setting setting) {
  const bool host = setting == Fp32Setting::FromHost;
  const double share = d.family == Fp32Family::Cdna ? c.efficiency_matrix
                       : d.wide_lanes               ? c.efficiency_128
                                                    : c.efficiency_64;
  Pace pace;
  pace.rate = d.matrix_rate * std::min(1., share * std::exp(e.rate));
  pace.bandwidth = std::min(d.bandwidth, achievable(d, c) * std::exp(e.memory));
  pace.cache = std::max(2.5 * d.bandwidth, d.multiprocessors * d.clock * c.cache_bytes);
  pace.cap = sustained(d, c) * std::exp(e.power);
  pace.burst = host ? c.burst_host : c.burst_model;
  Fp32Parts parts;
  if (is_product(call.kernel))
    product(call, d, c, pace, &parts);
  else
    vector(call, d, c, pace, &parts);
  parts.start = c.kernel;
  if (setting != Fp32Setting::InModel) {
    parts.host = host_time(call.kernel, c) * (host ? 1 : c.bracketed) * std::exp(e.launch);
    parts.start = parts.host * (d.family == Fp32Family::Cdna ? c.lead_cdna : c.lead);
  }
  parts.body = parts.time;
  parts.time = std::max(parts.host, parts.start + parts.body);
  return parts;
}

Fp32Features fp32_features(const Fp32Call& s, const Fp32Parts& p, const Fp32Device& d) {
  const double body = std::max(p.body, 1e-9);
  Fp32Features f{};
  size_t i = 0;
  auto put = [&](double v) { f[i++] = static_cast<float>(v); };
  put(static_cast<double>(d.family));
  put(std::clamp(log2_of(p.memory / std::max({p.compute, p.memory, p.cache})), -8., 1.));
  put(std::clamp(log2_of(p.cache / std::max({p.compute, p.memory, p.cache})), -8., 1.));
  put(std::clamp(log2_of(p.compute / std::max({p.compute, p.memory, p.cache})), -8., 1.));
  // What power forces, and how long a call is, are the GPU's own: trees that see them learn one GPU's cap.
  const bool capped = p.power >= .97 * body;
  put(capped ? 1 : 0);
  put(std::clamp(log2_of(p.waves), -6., 8.));
  put(p.waves < 16 ? p.waves / std::max(1., std::ceil(p.waves)) : 1);
  put(std::clamp(log2_of(p.fill), -6., 0.));
  put(p.held);
  if (is_product(s.kernel)) {
    put(log2_of(s.batch));
    put(log2_of(s.m));
    put(log2_of(s.n));
    put(log2_of(s.k));
    put(alignment(s.n));
    put(alignment(s.k));
    put(log2_of(p.tile));
    if (s.kernel == Fp32Class::Convolution) {
      put(s.window);
      put(s.stride);
      put(s.image);
    } else {
      put(log2_of(p.cut));
    }
  } else {
    put(log2_of(s.rows));
    put(log2_of(s.columns));
    put(alignment(s.columns));
    put(s.read / std::max(1., s.written));
    put(s.heavy);
  }
  return f;
}

}  // namespace orrery::cost
