// The first of three levels of cost: an operator model prices a kernel on a device, given a share of its
// cores. It is pure and thread-safe; whatever needs a clock or a history is a forecast (schedule) or an
// iteration model (serve).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "orrery/base/units.h"
#include "orrery/graph/graph.h"
#include "orrery/hardware/device.h"

namespace orrery::cost {

// {}: all cores (GPUs, CATransformers, PHAZE's split form). {1, 1}: one core of each kind that the kernel
// needs (WHAM, PHAZE's unsplit form). {k, k}: a gang. buffer_share: of the global buffer.
struct Allotment {
  int matrix_cores = 0, vector_cores = 0;
  double buffer_share = 1;
};

enum class Bound : uint8_t { Compute, Memory, Cache, Launch, Power, Link };
const char* name(Bound);

enum Boundary : size_t {
  kDram,
  kCache,
  kLocal,
  kRegister,
  kBoundaries
};  // DRAM, L2 or global buffer, shared memory or core buffer, registers

struct OperatorCost {
  Seconds time;  // of the whole kernel, alone on the device
  Seconds
      compute;  // of its arithmetic alone; compute and traffic apart, so that a scheduler can share bandwidth
  Seconds sustained;  // of the whole kernel within seconds of like load, when power has pulled the clock
                      // down; 0: as `time`
  Cycles cycles;      // 0 where the model knows none
  Flops flops;
  std::array<Bytes, kBoundaries> traffic{};
  Joules energy;  // dynamic
  Bound bound_by = Bound::Compute;
  uint8_t engines = 0;  // bit 0: matrix cores held, bit 1: vector cores held
  bool priced =
      true;  // false: nothing here models this operator; time is then a bandwidth bound, and it is said
  float low = 1, high = 1;  // the 90 % band as factors on `time`
};

class OperatorModel {
 public:
  virtual ~OperatorModel() = default;
  // Prices kernels.size() kernels into out (same size). Throws InputError when the device is of a kind that
  // the model does not know.
  virtual void price(std::span<const graph::Kernel> kernels, const hardware::Device& device,
                     Allotment allotment, std::span<OperatorCost> out) const = 0;
  // Differs whenever prices can differ; part of every memo key.
  virtual uint64_t fingerprint() const = 0;
  virtual std::string title() const = 0;  // "default", "roofline", ...
};

}  // namespace orrery::cost
