#include "orrery/cost/attention_law.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "orrery/base/error.h"

namespace orrery::cost {

using enum AttentionConstant;

namespace {

constexpr double kMicro = 1e-6, kNano = 1e-9;
constexpr int kMaxSplits = 128;
constexpr double kSortedSequences =
    992;  // up to here one block of the scheduler sorts a batch and splits its keys
constexpr double kMostOrder = 8;
constexpr double kUsualRateShare =
    .8;  // sustained over peak 16-bit rate: the middle of the published figures

double ceil_div(double a, double b) {
  return std::ceil(a / b);
}

// (a^p + b^p)^(1/p): near the larger of two overlapping times, up to 2^(1/p) times it where they are equal.
double joined(double a, double b, double order) {
  double large = std::max(a, b), small = std::min(a, b);
  if (large <= 0) return 0;
  double ratio = small / large;
  if (ratio < 1e-3) return large;
  return large * std::pow(1 + std::pow(ratio, order), 1 / order);
}

// FlashAttention-2: the fewest splits within 85 % of the best fill of the last wave, among those that change
// the tiles per split.
double splits_flash2(double blocks, double slots, double key_tiles) {
  if (blocks >= .8 * slots) return 1;
  int most = static_cast<int>(std::min({double{kMaxSplits}, slots, key_tiles}));
  std::array<double, kMaxSplits + 1> fill{};
  double best = 0;
  for (int s = 1; s <= most; ++s) {
    if (s > 1 && ceil_div(key_tiles, s) == ceil_div(key_tiles, s - 1)) continue;
    double waves = blocks * s / slots;
    fill[static_cast<size_t>(s)] = waves / std::ceil(waves);
    best = std::max(best, fill[static_cast<size_t>(s)]);
  }
  for (int s = 1; s <= most; ++s) {
    double f = fill[static_cast<size_t>(s)];
    if (f > 0 && f >= .85 * best) return s;
  }
  return 1;
}

// Kernels whose rule is not known here: as many splits as fill the device, none of fewer than four tiles.
double splits_even(double blocks, double slots, double key_tiles) {
  return std::clamp(std::floor(std::min({slots / blocks, key_tiles / 4, double{kMaxSplits}})), 1.,
                    double{kMaxSplits});
}

// FlashAttention-3: an upper bound for the longest sequence alone; the scheduler then spreads tiles evenly.
double split_bound_flash3(double blocks, double slots, double key_tiles) {
  if (blocks >= .8 * slots || key_tiles <= 4 || (key_tiles <= 8 && blocks >= 32)) return 1;
  int most = static_cast<int>(std::min({double{kMaxSplits}, slots, key_tiles}));
  std::array<double, kMaxSplits + 1> fill{};
  double best = 0;
  for (int s = 1; s <= most; ++s) {
    double waves = blocks * s / slots;
    double f = waves / std::ceil(waves);
    if (std::floor(key_tiles / s) < 4) f *= .85;
    fill[static_cast<size_t>(s)] = f;
    best = std::max(best, f);
  }
  for (int s = 1; s <= most; ++s)
    if (fill[static_cast<size_t>(s)] >= .95 * best) return s;
  return 1;
}

struct Tile {
  double rows, keys;
  double resident;  // thread blocks on one multiprocessor
};

Tile choose_tile(const AttentionLayer& layer, const AttentionDevice& device, bool decode, double rows) {
  double width = std::max(layer.head_dim, layer.value_dim > 0 ? layer.value_dim : layer.head_dim);
  if (device.kernel == AttentionDevice::Kernel::Flash2) {
    Tile tile{64, width <= 64 ? 256. : width <= 128 ? 128. : 64., 1};
    if (!layer.paged) tile = {128, width <= 64 ? 128. : 64., 1};
    double bytes = (tile.rows + 2 * tile.keys) * width * bytes_per_element(layer.type) + 1024;
    tile.resident = std::clamp(std::floor(device.shared_memory / bytes), 1., 2.);
    return tile;
  }
  bool small = width <= 128 && rows <= 64;
  if (width <= 64) return {small ? 64. : 192., small ? 192. : decode ? 160. : 128., 1};
  if (width <= 128) return {small ? 64. : 128., 128, 1};
  if (width <= 192) return {128, 96, 1};
  return {width <= 256 ? 128. : 64., width <= 256 ? 80. : 64., 1};
}

// Key tiles over all query tiles of one head (or group) and of the last one. `tokens_per_row_tile` query
// tokens stand in a tile.
struct KeyTiles {
  double sum, longest;
};

KeyTiles count_key_tiles(const AttentionLayer& layer, const AttentionSpan& span, double keys,
                         double row_tiles, double tokens_per_row_tile, double tile_keys, bool causal) {
  double visible = layer.window > 0 ? std::min(keys, layer.window + tokens_per_row_tile) : keys;
  double full = ceil_div(visible, tile_keys);
  if (!causal) return {full * row_tiles, full};
  double sum = 0;
  if (row_tiles <= 64) {
    for (int i = 0; i < static_cast<int>(row_tiles); ++i) {
      double seen = span.cached + std::min(span.query, std::ceil((i + 1) * tokens_per_row_tile));
      sum += std::min(full, ceil_div(seen, tile_keys));
    }
  } else {
    // Σ ceil(x / keys) ≈ Σ x / keys + half a tile, over an arithmetic sequence, until the window caps it.
    double step = tokens_per_row_tile, most = full * tile_keys;
    double rising = std::clamp((most - span.cached) / step, 0., row_tiles);
    sum = (rising * span.cached + step * rising * (rising + 1) / 2) / tile_keys +
          rising * .5 * std::max(0., 1 - step / tile_keys) + (row_tiles - rising) * full;
    sum = std::min(sum, row_tiles * full);
  }
  return {sum, full};
}

}  // namespace

AttentionDevice attention_device(const hardware::Device& device) {
  const hardware::Gpu* gpu = device.gpu();
  if (gpu == nullptr) throw InputError(device.name + ": attention is priced on GPUs only");
  AttentionDevice d;
  const std::string& kernel = gpu->kernels.attention;
  if (kernel == "flash-attention-3")
    d.kernel = AttentionDevice::Kernel::Flash3;
  else if (kernel == "flash-attention-2" || kernel == "flash-attention-1" || kernel == "none")
    d.kernel = AttentionDevice::Kernel::Flash2;
  else
    d.kernel = AttentionDevice::Kernel::Other;
  d.measured_kernel = kernel == "flash-attention-2" || kernel == "flash-attention-3";
  constexpr double kFlash4Softmax = .61;
  if (kernel == "flash-attention-4") d.softmax_share = kFlash4Softmax;
  d.multiprocessors = std::max(1, gpu->multiprocessors);
  d.clock = gpu->boost_clock.value();
  d.lanes = gpu->lanes > 0 ? gpu->lanes : 128;
  d.shared_memory = gpu->shared_memory.value() > 0 ? gpu->shared_memory.value() : 100 * 1024.;
  double cc = gpu->compute_capability;
  bool datacenter = gpu->architecture != hardware::Architecture::Ada &&
                    gpu->architecture != hardware::Architecture::BlackwellConsumer && cc != 8.6;
  d.exponents = cc == 10.3 ? 32 : 16;
  d.threads = datacenter ? 2048 : 1536;
  d.split_cache = gpu->architecture == hardware::Architecture::Hopper ||
                  gpu->architecture == hardware::Architecture::Blackwell ||
                  (gpu->architecture == hardware::Architecture::Ampere && cc != 8.6);
  d.peak = gpu->peak_rate(DataType::BF16).value();
  if (d.peak <= 0) d.peak = gpu->peak_rate(DataType::FP16).value();
  if (d.peak <= 0) d.peak = std::max(gpu->peak_rate(DataType::FP32).value(), 1e9);
  d.peak_fp8 = std::max(d.peak, gpu->peak_rate(DataType::FP8).value());
  double sustained = gpu->achievable.rate[static_cast<size_t>(DataType::BF16)].value();
  d.rate_share = sustained > 0 ? std::clamp(sustained / d.peak, .3, 1.) : kUsualRateShare;
  d.memory_peak = device.memory_bandwidth.value();
  const auto& achieved = gpu->achievable;
  constexpr double kReadOverTriad = 1.04, kUsualShare = .92;  // medians of the devices whose files give both
  if (achieved.memory_read_bandwidth.value() > 0)
    d.memory_bandwidth = achieved.memory_read_bandwidth.value();
  else if (achieved.memory_bandwidth.value() > 0)
    d.memory_bandwidth = kReadOverTriad * achieved.memory_bandwidth.value();
  else
    d.memory_bandwidth = kUsualShare * d.memory_peak;
  d.memory_bandwidth = std::min(d.memory_bandwidth, d.memory_peak);
  d.cache = std::max(gpu->l2.value(), 1.);
  // Bytes per clock and multiprocessor: 35 to 37 measured on A100 and H100, 15 on Ada.
  d.cache_bandwidth = achieved.l2_bandwidth.value() > 0
                          ? achieved.l2_bandwidth.value()
                          : d.multiprocessors * d.clock * (datacenter ? 36 : 14.5);
  d.cache_bandwidth = std::max(d.cache_bandwidth, d.memory_bandwidth);
  return d;
}

AttentionParts attention_law(const AttentionLayer& layer, std::span<const AttentionSpan> spans,
                             const AttentionDevice& device, const AttentionConstants& c) {
  AttentionParts parts;
  const bool pipelined = device.kernel != AttentionDevice::Kernel::Flash2;
  const double group = std::max(1., layer.heads / layer.kv_heads);
  const double value_dim = layer.value_dim > 0 ? layer.value_dim : layer.head_dim;
  const double element = bytes_per_element(layer.type), stored = bytes_per_element(layer.cache);
  double longest_query = 1, sequences = 0, longest_keys = 0;
  for (const AttentionSpan& s : spans) {
    longest_query = std::max(longest_query, s.query);
    longest_keys = std::max(longest_keys, s.cached + s.query);
    sequences += s.sequences;
  }
  if (sequences <= 0) return parts;
  const bool decode = longest_query <= 1;
  const bool turned = !pipelined && decode && group > 1;
  const bool packed = pipelined && layer.paged;
  const double rows_per_token = packed || turned ? group : 1;
  const double row_heads = packed || turned ? layer.kv_heads : layer.heads;
  const Tile tile = choose_tile(layer, device, decode, longest_query * rows_per_token);

  // Launches.
  const double clock_factor = std::pow(2e9 / device.clock, c[LaunchClock]);
  double launches = (layer.repeated ? c[LaunchBase] : 0) + (layer.paged ? 2 : 1) * c[LaunchKernel];
  if (layer.backward) launches += 2 * c[LaunchKernel];
  double copies = 0;
  if (turned) {
    bool plain = sequences == 1 || layer.kv_heads == 1;
    copies = plain ? 1 : 2;
    launches += (plain ? .9 : 3.) * c[CopyKernel];
  }
  if (pipelined && layer.paged) launches += c[SmallKernel];

  // Splits of the keys.
  double splits_of_longest = 1, tiles_per_multiprocessor = 0;
  double visible_longest = layer.window > 0 ? std::min(longest_keys, layer.window + tile.rows) : longest_keys;
  const double longest_tiles = ceil_div(visible_longest, tile.keys);
  const double longest_row_tiles = ceil_div(longest_query * rows_per_token, tile.rows);
  if (turned && layer.paged) {
    splits_of_longest =
        splits_flash2(sequences * row_heads * longest_row_tiles, 2 * device.multiprocessors, longest_tiles);
    if (splits_of_longest > 1) launches += c[SmallKernel];
  } else if (pipelined && layer.paged) {
    if (device.kernel == AttentionDevice::Kernel::Other)
      splits_of_longest =
          splits_even(sequences * row_heads * longest_row_tiles, device.multiprocessors, longest_tiles);
    else if (sequences <= kSortedSequences)
      splits_of_longest =
          split_bound_flash3(row_heads * longest_row_tiles, device.multiprocessors, longest_tiles);
    if (splits_of_longest > 1) launches += c[CombineOverlapped];
    if (splits_of_longest > 1 && device.kernel == AttentionDevice::Kernel::Flash3) {
      double tiles = 0;
      for (const AttentionSpan& s : spans)
        tiles += s.sequences * ceil_div(s.query * rows_per_token, tile.rows) *
                 ceil_div(std::min(s.cached + s.query, visible_longest), tile.keys);
      tiles_per_multiprocessor = std::ceil(tiles * 1.1 * row_heads / device.multiprocessors);
    }
  }

  // What one key tile takes.
  const double products = layer.backward ? 2.5 : 1, softmax_work = layer.backward ? 1.6 : 1;
  const double peak = layer.type == DataType::FP8 ? device.peak_fp8 : device.peak;
  const double tile_flops = 2 * tile.rows * tile.keys * (layer.head_dim + value_dim) * products;
  const double tile_matrix = tile_flops * device.multiprocessors / peak;
  const double tile_exponent = tile.rows * tile.keys / (device.exponents * device.clock);
  const double softmax = device.softmax_share * softmax_work *
                         (c[ExponentCost] * tile_exponent +
                          c[ElementCost] * tile.rows * tile.keys / (device.lanes * device.clock));

  // Thread blocks over all spans: first their number, then their work.
  double blocks = 0, row_tiles_per_sequence = 0, max_splits = 1;
  for (const AttentionSpan& s : spans) {
    double row_tiles = ceil_div(s.query * rows_per_token, tile.rows);
    double keys = std::min(s.cached + s.query, visible_longest);
    double splits = splits_of_longest;
    if (tiles_per_multiprocessor > 0)
      splits =
          std::clamp(ceil_div(ceil_div(keys, tile.keys), tiles_per_multiprocessor), 1., splits_of_longest);
    blocks += s.sequences * row_heads * row_tiles * splits;
    row_tiles_per_sequence = std::max(row_tiles_per_sequence, row_heads * row_tiles);
    max_splits = std::max(max_splits, splits);
  }
  const double busy = std::min(1., blocks / device.multiprocessors);
  // A GPU that sustains less than the usual share of its peak slows down as it fills; one that sustains more
  // is always faster.
  const double sustained = std::pow(device.rate_share / kUsualRateShare,
                                    -c[RateWeight] * (device.rate_share < kUsualRateShare ? busy : 1));
  double alone, shared;
  if (!pipelined) {
    alone = tile_matrix * sustained / c[MatrixEfficiency2] + softmax + c[BlockLatency] * kNano;
    shared = alone * c[CoResident];
  } else {
    shared = joined(tile_matrix * sustained / c[MatrixEfficiency3], softmax, c[OverlapOrder]);
    alone = shared + c[BlockLatency] * kNano;
  }
  const double together = std::min(tile.resident, std::max(1., std::ceil(blocks / device.multiprocessors)));
  const double tile_time = together > 1 ? std::max(alone, together * shared) : alone;
  const double prologue =
      c[PrologueTime] * kNano + c[PrologueCycles] / device.clock + (pipelined ? c[SchedulerTime] * kNano : 0);

  double work = 0, longest = 0, tiles_total = 0, first_bytes = 0;
  double query_bytes = 0, key_bytes = 0, cold_bytes = 0, new_bytes = 0, new_tokens = 0, partial_bytes = 0;
  const double key_width =
      layer.shared_latent ? std::max(layer.head_dim, value_dim) : layer.head_dim + value_dim;
  for (const AttentionSpan& s : spans) {
    double keys = s.cached + s.query, rows = s.query * rows_per_token;
    double row_tiles = ceil_div(rows, tile.rows);
    double visible = std::min(keys, visible_longest);
    double splits = splits_of_longest;
    if (tiles_per_multiprocessor > 0)
      splits =
          std::clamp(ceil_div(ceil_div(visible, tile.keys), tiles_per_multiprocessor), 1., splits_of_longest);
    double tokens_per_tile = tile.rows / (packed ? group : 1);
    KeyTiles count =
        count_key_tiles(layer, s, keys, row_tiles, tokens_per_tile, tile.keys, layer.causal && s.query > 1);
    double one = prologue + std::min(rows, tile.rows) * (layer.head_dim + value_dim) * element /
                                (c[TileBytesPerClock] * device.clock);
    double span_blocks = s.sequences * row_heads * row_tiles * splits;
    double last = std::ceil(count.longest / splits);
    double mean = layer.causal && s.query > 1 ? count.sum / row_tiles / splits : last;
    work += span_blocks * (one + mean * tile_time);
    longest = std::max(longest, one + last * tile_time);
    parts.longest = std::max(parts.longest, last);
    tiles_total += s.sequences * row_heads * count.sum;
    double span_query = s.sequences * s.query * layer.heads * (layer.head_dim + value_dim) * element;
    double span_keys = s.sequences * visible * layer.kv_heads * key_width * stored;
    query_bytes += span_query;
    key_bytes += span_keys;
    if (!layer.repeated) cold_bytes += span_keys * std::min(s.cached, visible) / std::max(visible, 1.);
    first_bytes += std::min(span_keys, span_blocks * std::min(tile.keys, visible) * key_width * stored);
    if (layer.paged)
      new_bytes += s.sequences * s.query * layer.kv_heads * key_width * .5 * (element + stored);
    new_tokens += s.sequences * s.query;
    if (splits > 1) partial_bytes += splits * s.sequences * s.query * layer.heads * value_dim * 4;
    double pairs = layer.causal ? s.query * s.cached + s.query * (s.query + 1) / 2 : s.query * keys;
    if (layer.window > 0) pairs = std::min(pairs, s.query * layer.window);
    parts.flops += 2 * products * s.sequences * layer.heads * pairs * (layer.head_dim + value_dim);
    parts.exponent +=
        s.sequences * layer.heads * pairs / (device.exponents * device.clock * device.multiprocessors);
  }
  const double slots = device.multiprocessors * tile.resident, waves = blocks / slots,
               mean_block = work / blocks;
  // Full waves, then what is left over, which runs on a part of the device and overlaps nothing.
  double chain = longest, rest = 0, rest_share = 0;
  if (waves > 1) {
    const double full = std::floor(waves);
    chain = mean_block * full;
    rest = (waves > full ? mean_block * std::pow(waves - full, c[PartialWave]) : 0) +
           c[pipelined ? TailSorted : TailUnsorted] * (longest - mean_block);
    rest = std::max(rest, longest - chain);
    rest_share = (waves - full) / waves;
  }
  if (device.kernel == AttentionDevice::Kernel::Flash3 && layer.paged && sequences <= kSortedSequences)
    chain += sequences / 31 * std::min(1., row_tiles_per_sequence) * c[BatchScan] * kNano;

  // Caches and memory. The first K and V tile of a block cannot be overlapped with its own arithmetic.
  const double memory_bandwidth = std::min(device.memory_peak, device.memory_bandwidth * c[MemoryEfficiency] *
                                                                   (pipelined ? c[MemoryPipelined] : 1));
  const double cache_bandwidth = device.cache_bandwidth * c[CacheEfficiency];
  const double reach =
      std::min(cache_bandwidth, std::min(device.multiprocessors, blocks) * device.clock * c[CacheReach]);
  parts.working_set = query_bytes + key_bytes - cold_bytes + new_bytes;
  if (layer.backward) parts.working_set *= 2;
  const double capacity = device.cache * c[device.split_cache ? CacheCapacitySplit : CacheCapacity];
  const double sharpness = c[device.split_cache ? CacheSharpnessSplit : CacheSharpness];
  const double miss = 1 / (1 + std::pow(std::max(parts.working_set, 1.) / capacity, -sharpness));
  const double traffic_factor = layer.backward ? 2 : 1;
  parts.compulsory_bytes = traffic_factor * (query_bytes + key_bytes) + 2 * new_bytes;
  parts.memory_bytes = cold_bytes + (parts.compulsory_bytes - cold_bytes) * miss;
  parts.cache_bytes = traffic_factor * (tiles_total * tile.keys * key_width * stored + query_bytes);
  parts.memory =
      (cold_bytes + traffic_factor * (query_bytes + key_bytes - cold_bytes) * miss) / memory_bandwidth;
  parts.cache = parts.cache_bytes / reach;
  const double exposed = c[FirstTile] * first_bytes / reach / together;
  parts.multiprocessors = chain + rest;
  const double steps = std::max(1., tiles_total / device.multiprocessors);
  const double order = decode
                           ? std::min(kMostOrder, 1 + c[pipelined ? OverlapRate3 : OverlapRate2] *
                                                          tile.resident * std::pow(steps, c[OverlapGrowth]))
                           : c[pipelined ? MemoryOrderPrefill3 : MemoryOrderPrefill];
  auto overlapped = [&](double chained, double share) {
    return joined(joined(chained + share * exposed, share * parts.cache, c[CacheOrder]), share * parts.memory,
                  order);
  };
  double attention = overlapped(chain, 1 - rest_share);
  if (rest > 0) attention += overlapped(rest, rest_share);

  if (layer.paged) {
    double stream = 2 * new_bytes * (miss / memory_bandwidth + 1 / cache_bandwidth);
    double width = std::min(512., layer.kv_heads * layer.head_dim);
    double resident = std::clamp(std::floor(device.threads / width), 1., 32.);
    double turns = new_tokens / (device.multiprocessors * resident) * c[WriteLatency] / device.clock;
    parts.cache_write = joined(stream, turns, c[WriteOrder]);
  }
  if (max_splits > 1)
    parts.combine =
        2 * partial_bytes / cache_bandwidth + max_splits * c[pipelined ? SplitReadStaged : SplitRead] * kNano;
  if (copies > 0) parts.combine += copies * query_bytes * (1 / cache_bandwidth + miss / memory_bandwidth);

  parts.fixed = launches * clock_factor * kMicro;
  parts.splits = max_splits;
  parts.blocks = blocks;
  parts.waves = waves;
  parts.matrix = parts.flops / peak;
  double body = attention + parts.cache_write + parts.combine;
  constexpr double kSustainedOnset = 3e-3;  // longer calls run at a lower clock
  body *= 1 + c[SustainedLoss] * std::log1p(body / kSustainedOnset);
  // No kernel beats its products at peak, its exponentials, or the compulsory traffic that no cache could
  // hold.
  double floor = std::max({parts.matrix, parts.exponent,
                           std::max(0., parts.compulsory_bytes - device.cache) / device.memory_peak});
  parts.time = parts.fixed + std::max(body, floor);
  return parts;
}

}  // namespace orrery::cost
