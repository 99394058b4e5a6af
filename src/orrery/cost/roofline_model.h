// The roofline: a kernel takes the longer of its arithmetic at the peak rate and its traffic at the peak
// bandwidth. It prices every operator kind on GPUs and on accelerators, and is the baseline that any other
// model has to beat.
//
// With `efficiency` at 1 and no floor it is a bound: data-sheet peaks, each tensor moved once. Source:
// Williams, Waterman, Patterson, "Roofline", CACM 2009. Collectives move what a ring moves (Patarasu and
// Yuan, 2009): 2(n−1)/n of the bytes for an all-reduce, half of that for an all-gather or a reduce-scatter.
#pragma once

#include "orrery/cost/operator_model.h"

namespace orrery::cost {

// The type that the matrix units really run: formats that they lack fall back to the next wider one they have
// (weights in INT4 are unpacked to the activations' type, FP8 without FP8 units runs as 16 bit). Returns FP32
// when all else is missing.
DataType executed_type(const hardware::Gpu&, DataType);
// Peak dense rate of the matrix units at executed_type.
FlopsPerSecond matrix_rate(const hardware::Gpu&, DataType);
// Peak FP32 rate of the vector lanes: a multiply-add a lane and clock.
FlopsPerSecond vector_rate(const hardware::Gpu&);

// The shares of the data sheet's figures that hold, and the least that a kernel takes.
struct RooflineEfficiency {
  double matrix = 1, vector = 1, memory = 1, link = 1;
  Seconds floor;
};

class RooflineModel final : public OperatorModel {
 public:
  explicit RooflineModel(RooflineEfficiency efficiency = {}, float low = 1, float high = 1)
      : efficiency_(efficiency), low_(low), high_(high) {}
  void price(std::span<const graph::Kernel>, const hardware::Device&, Allotment,
             std::span<OperatorCost> out) const override;
  OperatorCost price(const graph::Kernel&, const hardware::Device&, Allotment) const;
  uint64_t fingerprint() const override;
  std::string title() const override { return "roofline"; }

 private:
  RooflineEfficiency efficiency_;
  float low_, high_;
};

// Bytes that one device sends for a collective.
Bytes link_bytes(const graph::OperatorShape&);
// Hops of a ring: how often the link's latency counts.
int link_steps(const graph::OperatorShape&);

}  // namespace orrery::cost
