// How often each memory of a hierarchy is read and written under a given mapping of a convolution: a nest of
// loops in time and over instances, cut into levels that keep some of the three tensors. The counting rules
// are Timeloop's (Parashar et al., ISPASS 2019), so that its per-access energies can be applied to our
// counts.
//
//   A level's tile of a tensor is what the loops below it index. It is loaded anew for every trip of the
//   loops above that lie outside the innermost one that indexes the tensor. What several instances below read
//   at once is read once (multicast); what they produce for one element is added on the way up. Innermost:
//   every multiplication reads its operands, and reads and writes its sum; a sum's first write needs no read,
//   and the last one leaves without another.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace orrery::cost {

enum class LoopDim : uint8_t { C, M, P, Q, R, S };
inline constexpr size_t kLoopDims = 6;
enum class LoopTensor : uint8_t { Weights, Inputs, Outputs };
inline constexpr size_t kLoopTensors = 3;

struct Loop {
  LoopDim dim = LoopDim::C;
  int64_t trips = 1;
  bool spatial = false;
};

// From the outside in: loops of a level run below it and above the next one.
struct LoopLevel {
  std::string name;
  std::array<bool, kLoopTensors> keeps{};
  std::vector<Loop> loops;
};

struct LoopNest {
  std::vector<LoopLevel> levels;
  int64_t stride = 1;  // of both image axes
};

// Words over all instances of a level.
struct LevelAccesses {
  std::string name;
  std::array<double, kLoopTensors> reads{}, writes{};  // writes: fills of operands, updates of sums
  double instances = 1;
};

struct LoopCounts {
  std::vector<LevelAccesses> levels;
  double multiply_accumulates = 0;
  double cycles = 0;     // trips in time: every instance multiplies once a cycle
  double instances = 0;  // that multiply
};

// Throws std::invalid_argument where the outermost level does not keep every tensor, or trips are below 1.
LoopCounts count_accesses(const LoopNest& nest);

}  // namespace orrery::cost
