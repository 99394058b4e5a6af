// Which tile an FP8 matrix product runs with: the dispatch rules of vLLM's CUTLASS kernels, restated as facts
// (vLLM project, csrc/quantization/w8a8/cutlass, files scaled_mm_c2x_sm89_fp8_dispatch,
// scaled_mm_sm90_fp8_dispatch, scaled_mm_sm100_fp8_dispatch, scaled_mm_sm120_fp8_dispatch, and of experts
// moe/grouped_mm_c3x_sm90 and _sm100; read in 2026). The rules depend on m, and on some parts on n or k; none
// splits k over thread blocks.
//
// Up to 64 rows the Hopper and Blackwell kernels compute the transposed product, so that the matrix unit's
// long side lies along n; tiles here are always given as rows (of m) × columns (of n).
#pragma once

#include <cstdint>
#include <string_view>

#include "orrery/hardware/gpu.h"

namespace orrery::cost {

enum class Fp8Kernels : uint8_t {
  Sm89,     // Ada: mma.sync, one tile a thread block, epilogue after the products
  Sm90,     // Hopper: wgmma, bulk copies; above 64 rows two consumer groups take turns
  Sm100,    // Blackwell: tcgen05 over pairs of multiprocessors, epilogue beside the next tile's products
  Sm120,    // Blackwell of workstations: mma.sync with bulk copies
  Unknown,  // another library: the best of several tiles
};
std::string_view name(Fp8Kernels);

// By the GPU's kernel family ("cutlass-sm90", ...), else by its architecture.
Fp8Kernels fp8_kernels(const hardware::Gpu& gpu);

struct Fp8Tile {
  int rows = 128, columns = 128, depth = 128;  // of m, of n; k of one pipeline stage
  int cluster_columns = 1;                     // thread blocks along n that share their rows' operand
  int cluster_rows = 1;                        // thread blocks along m that share their columns' operand
  int threads = 128;                           // that hold the accumulators of one tile
  bool overlapped = false;                     // the epilogue of one tile runs beside the products of another
  bool bulk_copies =
      false;  // operands arrive by the tensor memory accelerator, rows outside the matrix as zeros
  double matrix_share = 1;  // of the multiprocessor's matrix units that the tile's warps reach
};

// What is multiplied: one product; products of several experts in one launch; NVFP4 (csrc/quantization/fp4,
// nvfp4_scaled_mm_kernels and its sm120 sibling), which only Blackwell multiplies.
enum class Fp8Use : uint8_t { Dense, Grouped, Nvfp4 };

// m, n, k >= 1; grouped: m is the rows of all experts. For Unknown: the `choice`-th candidate, choice <
// kUnknownTiles.
Fp8Tile fp8_tile(Fp8Kernels kernels, Fp8Use use, double m, double n, double k, int choice = 0);
inline constexpr int kUnknownTiles = 4;

}  // namespace orrery::cost
