// The analytic law of a dense matrix product on tensor cores, as cuBLAS runs it: the cheapest of a table of
// tiles and splits of k, each priced by
//
//   time = launch + join(multiprocessors, L2, DRAM) [+ reduction of a split]
//
//   multiprocessors  waves of tiles; each k at the tile's share of the matrix rate, or at the latency of the
//                    loop when a tile is small; prologue and epilogue
//   L2               strips of both operands for every tile; clusters read shared strips once
//   DRAM             what L2 does not hold from the call before, the strips of a wave once more where both
//                    operands exceed L2, and the result
//   join             (Σ x³)^(1/3): parts overlap, but not fully where they are alike
//
// A batch or the experts of a grouped product are one launch whose tiles fill waves together. One row on the
// mma family is a matrix-vector product with a kernel of its own. Plain doubles in SI units, cycles at the
// boost clock; nothing is allocated.
#pragma once

#include <array>
#include <cstddef>

#include "orrery/cost/gemm_constants.h"
#include "orrery/cost/operator_model.h"
#include "orrery/hardware/device.h"

namespace orrery::cost {

enum class GemmKernels : uint8_t {
  Mma,    // warps multiply from registers: Ampere, Ada, consumer Blackwell, AMD
  Wgmma,  // asynchronous products from shared memory, clusters: Hopper, Blackwell
};

// What the law needs of a GPU for one data type; made once per device.
struct GemmDevice {
  GemmKernels kernels = GemmKernels::Mma;
  bool paired = false;       // two multiprocessors work on one tile and each loads half of an operand: sm_100
  bool split_cache = false;  // L2 of two partitions, each holding what its half of the chip reads
  double multiprocessors = 1, clock = 1;
  double flops_per_clock = 1;   // dense, of one multiprocessor
  double sustained = .8;        // published rate over flops_per_clock · multiprocessors · clock
  double memory_bandwidth = 1;  // achievable, reads
  double memory_peak = 1;       // data sheet
  double cache = 1;             // bytes
  double cache_bandwidth = 1;   // achievable, bytes per clock and multiprocessor
  double weight_rate = 1;       // share of the rate left where weights are widened in the kernel
  bool measured_rate = true, measured_bandwidth = true,
       measured_cache = true;  // false: a family's usual share
};
// Throws InputError for what is no GPU or does not support `type` in any form.
GemmDevice gemm_device(const hardware::Device& device, DataType type, DataType weights);

struct GemmProduct {
  double batch = 1, m = 1, n = 1, k = 1;
  double experts = 1;  // grouped: m rows over all experts, each with weights of its own
  double weight_bytes = 2, activation_bytes = 2, output_bytes = 2;  // per element
  double copies = 0;  // of the weights that a benchmark cycles over; 0: every call finds them in DRAM
};

// How a device departs from the law's centre, as factors.
struct GemmEffects {
  double rate = 1, launch = 1, bandwidth = 1;
};

// Seconds; `time` is their joint value.
struct GemmParts {
  double time = 0, launch = 0, multiprocessors = 0, cache = 0, memory = 0, split_time = 0;
  double floor =
      0;  // no product is faster: arithmetic at the full clock's peak, cold weights at peak bandwidth
  double flops = 0, memory_bytes = 0, cache_bytes = 0, weights_cold = 0;
  double tile_n = 0, tile_m = 0, split = 1, waves = 0;
  Bound bound = Bound::Compute;
};

class GemmLaw {
 public:
  GemmLaw(const GemmDevice& device, const GemmConstants& constants, const GemmEffects& effects = {});
  GemmParts operator()(const GemmProduct& product) const;
  const GemmDevice& device() const { return device_; }

 private:
  struct Tile {
    double n, m;
    double products;  // cycles per element of k, at the boost clock's full rate
    double latency;   // cycles per element of k, that the loop takes at least
    double epilogue;  // cycles
  };
  struct Work;
  void matrix_vector(const Work& work, GemmParts& best) const;
  void consider(const Work& work, const Tile& tile, double columns, double rows, double split,
                GemmParts& best) const;
  double cold_share(double working_set) const;
  double memory_rate(double busy) const;

  GemmDevice device_;
  GemmConstants constants_;
  GemmEffects effects_;
  static constexpr size_t kMostTiles = 16;
  std::array<Tile, kMostTiles> tiles_{};
  size_t tile_count_ = 0;
  double launch_ = 0, cache_per_clock_ = 1, split_latency_ = 0, memory_rate_ = 1;
};

}  // namespace orrery::cost
