// Prices kernels on an accelerator of systolic arrays and vector cores: matrix work by folds of the array
// (array_cycles.h), vector work by cycles an element over lanes (vector_costs.h), the global buffer and DRAM
// as bounds beside them (memory_tiles.h), energy by counted accesses. Sources: WHAM, arXiv 2404.14632,
// section 4; Samajdar et al., SCALE-Sim, arXiv 1811.02883.
//
//   T = max(T_array, bytes_GLB/BW_GLB, bytes_DRAM/BW_DRAM) + first tile/BW_DRAM
//   vector operators  T = max(issue, bytes_DRAM/BW_DRAM)
//   fused             T = max(T_matrix, T_vector) + Σ cycles an element
//   E = MACs·(e_mac + a·e_reg) + words_GLB·e_GLB + words_DRAM·e_DRAM, dynamic; private buffers are bypassed
//
// An operator runs on one core of each kind that it needs under Allotment {1, 1}; on g cores a product is cut
// along its batch, then M or N, never K.
#pragma once

#include "orrery/cost/accelerator/array_cycles.h"
#include "orrery/cost/accelerator/vector_costs.h"
#include "orrery/cost/operator_model.h"

namespace orrery::cost {

struct AcceleratorOptions {
  ArrayMode array = ArrayMode::Pipelined;
  Dataflow dataflow = Dataflow::Best;
  bool exchange = true;  // also try products with M and N exchanged
  bool pack_groups = false;
  VectorCosts vector = VectorCosts::Revised;
  double vector_factor = 1;  // on the cycles of vector operators: how much an answer hangs on their table
  bool memory =
      true;  // bounds by the global buffer and DRAM, and the first tile's load; false: cycles of cores alone
  bool epilogue_whole =
      true;  // a fused epilogue takes its vector cycles; false: the sum of cycles an element, once
};
// What SCALE-Sim computes: one dataflow, folds one after another, no stalls.
AcceleratorOptions scalesim_options(Dataflow);

class AcceleratorModel final : public OperatorModel {
 public:
  explicit AcceleratorModel(AcceleratorOptions options = {}) : options_(options) {}
  // Throws InputError when the device is no accelerator. Energy is 0 where the chip has no energy table.
  void price(std::span<const graph::Kernel>, const hardware::Device&, Allotment,
             std::span<OperatorCost> out) const override;
  uint64_t fingerprint() const override;
  std::string title() const override { return "fold"; }
  const AcceleratorOptions& options() const { return options_; }

 private:
  AcceleratorOptions options_;
};

// Cycles that the cores of a kind work, without memory: what a scheduler or a bound needs for whole grids of
// designs.
double matrix_cycles(const graph::Kernel&, Array, int cores, const AcceleratorOptions&);
double vector_cycles(const graph::Kernel&, double lanes, const AcceleratorOptions&);
// Added once for the epilogue's pipeline: cycles an element of the vector parts of a kernel with a product.
double epilogue_cycles(const graph::Kernel&, const AcceleratorOptions&);

}  // namespace orrery::cost
