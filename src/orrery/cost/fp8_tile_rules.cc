#include "orrery/cost/fp8_tile_rules.h"

#include <array>

namespace orrery::cost {
namespace {

// The dispatch compares powers of two: `limit` holds for n up to the next power of two.
bool within(double size, double limit) {
  return size <= limit;
}

Fp8Tile ada(double m, double n) {
  const auto tile = [](int rows, int columns, int depth) {
    const int warps = rows * columns <= 1024 ? 2 : rows * columns > 128 * 128 ? 8 : 4;
    return Fp8Tile{.rows = rows,
                   .columns = columns,
                   .depth = depth,
                   .threads = 32 * warps,
                   .matrix_share = warps >= 4 ? 1 : warps / 4.0};
  };
  if (within(m, 16))
    return within(n, 8192) ? tile(16, 64, 128) : within(n, 16384) ? tile(16, 128, 64) : tile(32, 64, 128);
  if (within(m, 32)) return !within(n, 8192) && within(n, 16384) ? tile(32, 128, 128) : tile(32, 64, 128);
  if (within(m, 64)) return !within(n, 8192) && within(n, 16384) ? tile(64, 128, 128) : tile(64, 64, 128);
  if (within(m, 128))
    return within(n, 8192) ? tile(64, 128, 128) : within(n, 16384) ? tile(128, 128, 64) : tile(128, 64, 128);
  if (within(m, 256)) return within(n, 4096) ? tile(64, 128, 128) : tile(128, 128, 64);
  return !within(n, 4096) && within(n, 8192) ? tile(256, 128, 64) : tile(128, 128, 64);
}

Fp8Tile hopper(double m, double n) {
  const bool narrow = n <= 1280;
  if (m <= 16)
    return {.rows = 16, .columns = 64, .depth = 256, .cluster_rows = narrow ? 2 : 1, .bulk_copies = true};
  if (m <= 64) {
    return {.rows = narrow ? 16 : 64,
            .columns = 64,
            .depth = 256,
            .cluster_rows = narrow ? 4 : 1,
            .bulk_copies = true};
  }
  return {.rows = m <= 128 ? 64 : 128,
          .columns = 128,
          .depth = 128,
          .cluster_rows = 2,
          .overlapped = true,
          .bulk_copies = true};
}

// Tiles of a pair of multiprocessors, divided over the two; each loads its half of the operand that both
// need.
Fp8Tile blackwell(double m, double k) {
  Fp8Tile tile{.overlapped = true, .bulk_copies = true};
  if (m <= 64) {
    tile.columns = 64;
    tile.rows = m <= 16 ? 32 : 64;
    if (m == 64 && k < 4096) return tile;
    tile.cluster_columns = 4;
    tile.depth = m <= 16 ? 128 : 256;
    return tile;
  }
  tile.cluster_rows = 2;
  if (m <= 256) return tile.rows = 64, tile;
  return tile.cluster_columns = 2, tile;
}

Fp8Tile workstation(double m) {
  if (m <= 16) return {.rows = 16, .columns = 64, .depth = 128, .overlapped = true, .bulk_copies = true};
  if (m <= 32) return {.rows = 32, .columns = 64, .depth = 128, .overlapped = true, .bulk_copies = true};
  if (m <= 256) return {.rows = 64, .columns = 64, .depth = 128, .overlapped = true, .bulk_copies = true};
  return {.rows = 128, .columns = 128, .depth = 128, .threads = 256, .bulk_copies = true};
}

// Rows of all experts decide; the tiles of few rows are of the transposed product.
Fp8Tile hopper_experts(double m, double n, double k) {
  Fp8Tile tile{.overlapped = true, .bulk_copies = true};
  if (m <= 64) return tile.rows = 16, tile.columns = 128, tile.depth = m <= 4 ? 128 : 256, tile;
  if (n >= 8192) return tile.rows = 64, tile.columns = 128, tile.depth = 256, tile;
  if (k >= 8192) return tile;
  return tile.rows = 64, tile.columns = 256, tile;
}

Fp8Tile blackwell_experts(double m, double n) {
  Fp8Tile tile{.overlapped = true, .bulk_copies = true};
  if (m <= 64) return tile.rows = 16, tile.columns = 128, tile;
  return tile.rows = n >= 8192 ? 64 : 128, tile.columns = 256, tile;
}

Fp8Tile nvfp4(Fp8Kernels kernels, double m) {
  if (kernels == Fp8Kernels::Sm120) return {.threads = 256, .bulk_copies = true};
  Fp8Tile tile{.depth = 256, .overlapped = true, .bulk_copies = true};
  if (m <= 16) return tile;
  tile.cluster_rows = 2;
  if (m > 256) tile.columns = 256;
  return tile;
}

}  // namespace

std::string_view name(Fp8Kernels kernels) {
  static constexpr std::array<std::string_view, 5> kNames = {"cutlass-sm89", "cutlass-sm90", "cutlass-sm100",
                                                             "cutlass-sm120", "unknown"};
  return kNames[static_cast<size_t>(kernels)];
}

Fp8Kernels fp8_kernels(const hardware::Gpu& gpu) {
  for (const Fp8Kernels kernels :
       {Fp8Kernels::Sm89, Fp8Kernels::Sm90, Fp8Kernels::Sm100, Fp8Kernels::Sm120}) {
    if (gpu.kernels.fp8 == name(kernels)) return kernels;
  }
  if (!gpu.kernels.fp8.empty()) return Fp8Kernels::Unknown;
  using enum hardware::Architecture;
  switch (gpu.architecture) {
    case Ada:
      return Fp8Kernels::Sm89;
    case Hopper:
      return Fp8Kernels::Sm90;
    case Blackwell:
      return Fp8Kernels::Sm100;
    case BlackwellConsumer:
      return Fp8Kernels::Sm120;
    default:
      return Fp8Kernels::Unknown;
  }
}

Fp8Tile fp8_tile(Fp8Kernels kernels, Fp8Use use, double m, double n, double k, int choice) {
  if (use == Fp8Use::Nvfp4 && kernels != Fp8Kernels::Unknown) return nvfp4(kernels, m);
  if (use == Fp8Use::Grouped && kernels == Fp8Kernels::Sm90) return hopper_experts(m, n, k);
  if (use == Fp8Use::Grouped && kernels == Fp8Kernels::Sm100) return blackwell_experts(m, n);
  switch (kernels) {
    case Fp8Kernels::Sm89:
      return ada(m, n);
    case Fp8Kernels::Sm90:
      return hopper(m, n);
    case Fp8Kernels::Sm100:
      return blackwell(m, k);
    case Fp8Kernels::Sm120:
      return workstation(m);
    case Fp8Kernels::Unknown:
      break;
  }
  static constexpr std::array<std::array<int, 2>, kUnknownTiles> kCandidates = {
      {{128, 128}, {64, 128}, {64, 64}, {16, 64}}};
  const auto [rows, columns] = kCandidates[static_cast<size_t>(choice)];
  return {.rows = rows, .columns = columns, .depth = 128};
}

}  // namespace orrery::cost
