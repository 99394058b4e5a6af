// How long FP32 kernels of PyTorch's eager mode (TF32 off) take on a GPU: the analytic law, before anything
// is learned.
//
// Matrix products, on the FP32 lanes (AMD: the matrix units). For a tile of a columns × b rows and the
// contraction cut into s parts:
//   waves    = tiles·s / multiprocessors; the last, partial wave counts with an exponent below one
//   compute  = waves · (2ab(k/s) / (rate·η·x/(x+h)) + prologue), x = ab/(a+b): what a tile reloads
//   cache    = tile traffic / (multiprocessors · clock · bytes a clock)
//   memory   = bytes that L2 does not hold / achievable DRAM bandwidth
//   t        = join_p(compute, cache, memory) + reduction of the cut
// The library searches tiles, but for batched products on Pascal (128×64) and on Ampere and Ada (128×128),
// where every measured call ran one kernel whatever the width: 64 columns then cost what 128 do.
//
// Power. A sustained product reaches at most share·TDP/e, e in joules per FLOP by process. Power is averaged
// over milliseconds, so that short calls run faster: cap·(1 + burst·(τ/t)(1 − exp(−t/τ))).
//
// Memory-bound kernels: t = join_p(memory, cache, issue). A broadcast operand is read from DRAM again for
// each of its uses where a sweep over it and over what it meets leaves nothing of it in L2; the place of each
// of its elements is computed, which bounds how fast elements are issued. Row reductions (layer norm; softmax
// wider than 1,024) read their rows again; what the rows in flight leave of L2 decides how much of that goes
// to DRAM.
//
// Start. A call timed between two events from the host: the first event passes at once, the kernel starts
// after `lead` of the host's time for the call, and the host's rest, up to the second event, passes while the
// kernel runs: t = max(host, lead·host + kernel), not their sum.
//
// Efficiency of each GPU that was measured lies in four factors near 1 (Fp32Effects).
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <string_view>

#include "orrery/cost/operator_model.h"

namespace orrery::cost {

enum class Fp32Class : size_t { Linear, Batched, Convolution, Elementwise, Softmax, LayerNorm };
inline constexpr size_t kFp32Classes = 6;
std::string_view name(Fp32Class);
constexpr bool is_product(Fp32Class c) {
  return c <= Fp32Class::Convolution;
}

// One kernel as the law sees it. Products: batch × (m×k)(k×n). Others: rows × columns of the main tensor.
struct Fp32Call {
  Fp32Class kernel = Fp32Class::Elementwise;
  double batch = 1, m = 1, n = 1, k = 1;
  double window = 1, stride = 1, image = 1;  // convolutions: kernel width, stride, output width
  double rows = 1, columns = 1;
  double read = 0, written = 0;  // bytes, each tensor once
  double shared = 0;             // bytes of the operand that is read again for others: broadcast
  double heavy = 0;              // operations an element beyond a handful: 1 a transcendental, 2 a power
  bool placed = false, random = false;  // computes the place of each element; draws a random number for it
};
// False for kinds that are no FP32 kernel of this law (attention, collectives, views).
bool fp32_call(const graph::OperatorShape&, Fp32Call& call);

// Whose library kernels run: they tell GPUs apart that share no figure.
enum class Fp32Family : uint8_t { Maxwell, Volta, Ampere, Hopper, Cdna };

struct Fp32Device {
  Fp32Family family = Fp32Family::Ampere;
  bool pascal = false, wide_lanes = false, stacked = false, split_cache = false;
  double multiprocessors = 1, clock = 1e9, lane_rate = 1e12, matrix_rate = 1e12;  // FLOP/s
  double bandwidth = 1e11, published_bandwidth = 0;                               // B/s; 0: none
  double published_rate = 0;                                                      // FLOP/s sustained; 0: none
  double cache = 1e6, threads = 2048, tdp = 0, joules = 0;  // bytes; resident a multiprocessor; W; J/FLOP
};
Fp32Device fp32_device(const hardware::Device&);  // throws InputError for what is no GPU

struct Fp32Constants {
  double host_product, host_batched, host_convolution, host_vector, host_norm;  // s, the host's for a call
  double kernel;                                                                // s, of a kernel in a stream
  double lead, lead_cdna;  // of the host's time that passes before the kernel starts
  double bracketed;        // of the host's time, for an operator within a model
  double efficiency_64, efficiency_128, efficiency_matrix;  // of peak, by lanes a multiprocessor
  double reload, prologue, order, order_vector, partial_wave, cache_bytes, split;
  double unaligned;                      // share more for widths that are no multiple of 4
  double stride_knee;                    // contraction beyond which Pascal's transposed reads slow down
  double stacked_share, graphics_share;  // of nominal bandwidth that copies reach: HBM, GDDR
  double published_share;                // of a published copy rate
  double power_share, burst_host, burst_model, burst_time;
  double published_power;       // sustained rate here over a published one
  double hold_split, hold_one;  // of L2 that holds a repeated call's tensors
  double reread_hold;           // of L2 that holds rows in flight
  double idle_tile;             // of the power that a tile's empty part draws: an exponent, at most 1
  double issue, issue_power, issue_power_cdna, issue_softmax,
      issue_norm;                                         // elements a clock and multiprocessor
  double issue_random;                                    // the same, where each draws a number
  double issue_shared;                                    // the same, where an operand's place is computed
  double row_softmax, step_softmax, row_norm, step_norm;  // cycles of a row's block, and of each step over it
  double softmax_rereads;
};
struct Fp32Parameter {
  std::string_view name;
  double Fp32Constants::*field;
  double centre, spread;  // of the logarithm, from general knowledge: the prior of the fit
  double most = std::numeric_limits<double>::infinity();
};
std::span<const Fp32Parameter> fp32_parameters();
Fp32Constants central_fp32_constants();

struct Fp32Effects {  // logarithms
  double rate = 0, power = 0, memory = 0, launch = 0;
};

enum class Fp32Setting : uint8_t {
  FromHost,   // repeated and timed from the host
  InModel,    // one of many in a stream, power averaged over milliseconds
  Bracketed,  // the same, each between two events of the stream, as labels of a model's operators are
};

struct Fp32Parts {
  double host = 0, start = 0;  // s: that the host takes, the least time; around the body
  double compute = 0, cache = 0, memory = 0, power = 0;  // s; power: the compute time that it forces
  double uncapped = 0;                                   // s, without start and without what power forces
  double capped = 0;                                     // s, at the rate that power sustains
  double body = 0;                                       // s, all joined and held by power
  double time = 0;                                       // s, max(host, start + body)
  double waves = 1, fill = 1, tile = 1, cut = 1;         // fill: work asked / work of whole tiles
  double flops = 0, bytes = 0, held = 0;  // bytes that DRAM moves; share of the call that L2 holds
};
Fp32Parts fp32_law(const Fp32Call&, const Fp32Device&, const Fp32Constants&, const Fp32Effects&, Fp32Setting);

inline constexpr size_t kFp32Features = 19;
using Fp32Features = std::array<float, kFp32Features>;
Fp32Features fp32_features(const Fp32Call&, const Fp32Parts&, const Fp32Device&);

}  // namespace orrery::cost
