// Prices kernels on an accelerator of systolic arrays and vector cores: matrix work by *folds* of the array,
// pipelined so that the next fold's operands load while this one computes; vector work by elements over
// lanes; memory as a bound beside both.
//
// Array of R rows and C columns, M×N×K with K the contraction (SCALE-Sim's arithmetic, Samajdar et al., arXiv
// 1811.02883, with double buffering):
//   weight-stationary  f = ⌈K/R⌉⌈N/C⌉ folds: 2R + C − 2 + (f − 1)·max(M, R) + M cycles
//   input-stationary   the same with M and N exchanged
//   output-stationary  f = ⌈M/R⌉⌈N/C⌉ folds: f·max(K, R) + 2R + C − 2 cycles, drain included
// Over g cores the product is cut along M, or along N where that is faster. A vector core does `lanes`
// elements per `flops_per_element` cycles.
#pragma once

#include "orrery/cost/operator_model.h"

namespace orrery::cost {

enum class Dataflow : uint8_t { WeightStationary, OutputStationary, InputStationary, Best };

// Cycles of one GEMM on one R×C core.
Cycles pipelined_cycles(const graph::GemmSize&, int rows, int columns, Dataflow);

class FoldModel final : public OperatorModel {
 public:
  explicit FoldModel(Dataflow dataflow = Dataflow::Best) : dataflow_(dataflow) {}
  // Throws InputError when the device is no accelerator.
  void price(std::span<const graph::Kernel>, const hardware::Device&, Allotment,
             std::span<OperatorCost> out) const override;
  uint64_t fingerprint() const override { return 0x666f6c64u + static_cast<uint64_t>(dataflow_); }
  std::string title() const override { return "fold"; }

 private:
  Dataflow dataflow_;
};

}  // namespace orrery::cost
