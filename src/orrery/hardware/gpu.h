// What is known of a GPU: data-sheet figures, published achievable figures, and which family of kernels its
// libraries run. All are facts from data/gpus/*.yaml, each with a source there.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "orrery/base/data_type.h"
#include "orrery/base/units.h"

namespace orrery::hardware {

enum class Architecture : uint8_t {
  Pascal,
  Volta,
  Turing,
  Ampere,
  Ada,
  Hopper,
  Blackwell /* sm_100 */,
  BlackwellConsumer /* sm_120 */,
  CDNA,
  CDNA2,
  CDNA3,
  CDNA4,
};
inline constexpr size_t kArchitectures = 12;
std::string_view name(Architecture);
std::optional<Architecture> parse_architecture(std::string_view);

// A link between devices of one node. Per device and per direction.
struct PeerLink {
  std::string name;
  BytesPerSecond per_direction;
  int peers = 1;  // devices that are reached at this speed, this one included
  Seconds latency;
};

struct Gpu {
  Architecture architecture = Architecture::Hopper;
  double compute_capability = 0;  // 9.0; 0 = not NVIDIA
  int multiprocessors = 0;        // SMs, or compute units
  int lanes = 0;                  // FP32 lanes per multiprocessor
  Hertz boost_clock;              // at which the FP32 peak is quoted
  Hertz tensor_clock;  // at which the matrix units' peaks are quoted: less than the boost clock on Hopper; 0
                       // = the same
  Bytes l2;            // AMD: the last-level cache that all dies share, where there is one
  Bytes shared_memory, registers;                        // per multiprocessor
  std::array<FlopsPerSecond, kDataTypes> peak{};         // dense; 0 = not supported by the matrix units
  FlopsPerSecond matrix_fp32;                            // AMD: FP32 by the matrix units; 0 elsewhere
  struct Achievable {                                    // published microbenchmarks; 0 = none known
    BytesPerSecond memory_bandwidth;                     // copy or triad: reads and writes mixed
    BytesPerSecond memory_read_bandwidth, l2_bandwidth;  // reads alone
    BytesPerSecond link_bandwidth;  // what a peer copy or a large all-reduce reaches, per direction
    std::array<FlopsPerSecond, kDataTypes> rate{};
  } achievable;
  struct Kernels {
    std::string gemm, attention, fp8;  // "hopper-wgmma", "flash-attention-3", "cutlass-sm90"
  } kernels;
  std::optional<PeerLink> link;
  BytesPerSecond pcie;
  double process_nm = 0;

  FlopsPerSecond peak_rate(DataType type) const { return peak[static_cast<size_t>(type)]; }
  // Dense FLOP per clock and multiprocessor: a power of two on nearly every part; catches sparse figures.
  double flops_per_clock(DataType type) const {
    bool by_lanes = type == DataType::FP32 || !(tensor_clock.value() > 0);
    Hertz clock = by_lanes ? boost_clock : tensor_clock;
    return peak_rate(type).value() / (clock.value() * multiprocessors);
  }
};

}  // namespace orrery::hardware
