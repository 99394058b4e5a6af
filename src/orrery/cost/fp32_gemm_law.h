// FP32 matrix products on a GPU's vector lanes (SGEMM, TF32 off), for PyTorch's eager kernels.
//
// For a tile of a×b results and the contraction cut into s parts, `waves` of tiles per multiprocessor, each
// 2ab·(k/s) FLOP at η of peak times x/(x + h) with x = ab/(a + b) (what a tile of registers must reload), a
// prologue in cycles; joined by a p-norm with the tiles' L2 traffic and compulsory DRAM traffic; at least the
// work divided by what power sustains, share·TDP/e with e = 12.5 pJ/FLOP at 16 and 12 nm, 10 at 7 nm, 6.5 at
// 4N. The least over tiles and cuts, as the library picks. A wave that is not full runs faster than a full
// one: its fraction counts with an exponent below one. Sizes that are all multiples of 32 run without edge
// checks.
#pragma once

#include <string>
#include <string_view>

#include "orrery/graph/operator_shape.h"
#include "orrery/hardware/device.h"

namespace orrery::cost {

struct Fp32Constants {
  double host_call = 32e-6;         // s, of a call that is launched and timed from the host
  double host_vector_call = 20e-6;  // s, the same of a vector operator, on top of its kernel
  double row_reduction =
      1.35;                // of PyTorch's FP32 softmax and layer norm, over what FP16 kernels of engines take
  double kernel = 2.5e-6;  // s, of a launch on the device
  double efficiency_64 = 1, efficiency_128 = 0.987;  // of peak, for 64 and 128 lanes a multiprocessor
  double reload = 12, prologue = 2410;               // h; cycles
  double dram = 0.67, order = 2.4, partial_wave = 0.2;
  double cache_bytes_per_clock = 13.4;  // a multiprocessor
  double power_share = 0.66, aligned_gain = 0.11;
  double split = 3e-6;  // s, of the reduction after a cut contraction
};
Fp32Constants read_fp32_constants(std::string_view json, const std::string& file);

struct Fp32Cost {
  double time = 0, compute = 0;  // s, on the device, launch included
  bool power_bound = false, memory_bound = false;
};
Fp32Cost fp32_gemm(const graph::GemmSize&, const hardware::Device&, const Fp32Constants&);

// Joules that one FP32 operation takes, everything included, by process; 0 where it is not known.
double fp32_joules_per_flop(const hardware::Gpu&);

}  // namespace orrery::cost
