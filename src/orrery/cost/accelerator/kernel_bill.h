// What a kernel takes on an accelerator, in parts that depend on different sizes of a design, so that a
// search over designs computes each part once: the array (rows, columns), DRAM traffic (the longer side of
// the array and the global buffer), the lanes. AcceleratorModel puts the same parts together.
#pragma once

#include "orrery/cost/accelerator/accelerator_model.h"
#include "orrery/cost/accelerator/memory_tiles.h"
#include "orrery/cost/operator_model.h"
#include "orrery/hardware/accelerator.h"

namespace orrery::cost {

// Of the products of a kernel on one array each of `cores`: by rows, columns, cores.
struct ArrayBill {
  double cycles = 0, global_bytes = 0;
};
ArrayBill array_bill(const graph::Kernel&, Array, int cores, double word_bytes, const AcceleratorOptions&);

// Of the products: by the longer side of the array and the global buffer.
struct TrafficBill {
  double dram_bytes = 0, first_tile = 0;
};
TrafficBill traffic_bill(const graph::Kernel&, Array, TileMemory);

// Of the vector parts, by lanes of all vector cores together: issue cycles, and cycles an element of an
// epilogue, which fill its pipeline once. Bytes pass the global buffer and DRAM.
struct VectorBill {
  double cycles = 0, epilogue = 0, bytes = 0;
};
VectorBill vector_bill(const graph::Kernel&, double lanes, const AcceleratorOptions&);

// Of arithmetic, whatever the design.
struct OperationBill {
  double multiply_accumulates = 0, lane_operations = 0;
};
OperationBill operation_bill(const graph::Kernel&, const AcceleratorOptions&);

// Bytes a cycle that one kernel is given.
struct CycleRates {
  double matrix_global = 0, vector_global = 0, dram = 0;
};
// On the given number of cores of each kind.
CycleRates cycle_rates(const hardware::Accelerator&, BytesPerSecond dram, int matrix_cores, int vector_cores);

struct KernelCycles {
  double working = 0;  // of the cores
  double cycles = 0;   // with memory
  Bound bound_by = Bound::Compute;
};
inline KernelCycles kernel_cycles(const ArrayBill& array, const TrafficBill& traffic,
                                  const VectorBill& vector, const CycleRates& rates, bool memory) {
  const double working = (array.cycles > vector.cycles ? array.cycles : vector.cycles) + vector.epilogue;
  KernelCycles result{working, working, Bound::Compute};
  if (!memory) return result;
  const double global =
      (array.global_bytes + vector.bytes) / (array.cycles > 0 ? rates.matrix_global : rates.vector_global);
  const double dram = (traffic.dram_bytes + vector.bytes) / rates.dram;
  double longest = working;
  if (dram > longest) longest = dram, result.bound_by = Bound::Memory;
  if (global > longest) longest = global, result.bound_by = Bound::Cache;
  result.cycles = longest + traffic.first_tile / rates.dram;
  return result;
}

// Cores that a kernel holds, as OperatorCost::engines.
inline uint8_t engines_of(const ArrayBill& array, const VectorBill& vector) {
  return static_cast<uint8_t>((array.cycles > 0 ? 1 : 0) | (vector.cycles + vector.epilogue > 0 ? 2 : 0));
}

// Dynamic energy; 0 where the chip has no energy table.
Joules kernel_energy(const OperationBill&, double global_bytes, double dram_bytes,
                     const hardware::Accelerator&);

// Collectives wait for a link that the template does not have: the roofline prices them.
bool on_a_link(const graph::Kernel&);

}  // namespace orrery::cost
