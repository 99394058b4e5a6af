#include "orrery/cost/accelerator/accelerator_model.h"

#include <algorithm>

#include "orrery/base/storage.h"
#include "orrery/cost/accelerator/kernel_bill.h"
#include "orrery/cost/roofline_model.h"
#include "orrery/hardware/accelerator.h"

namespace orrery::cost {
namespace {

struct Grant {
  const hardware::Accelerator& chip;
  Array array;
  int matrix_cores, vector_cores;
  TileMemory memory;
  CycleRates rates;
};

OperatorCost cost_of(const graph::Kernel& kernel, const Grant& grant, const AcceleratorOptions& options) {
  const hardware::Accelerator& chip = grant.chip;
  const ArrayBill array = array_bill(kernel, grant.array, grant.matrix_cores, chip.word_bytes(), options);
  const TrafficBill traffic = traffic_bill(kernel, grant.array, grant.memory);
  const VectorBill vector = vector_bill(kernel, 1.0 * chip.lanes * grant.vector_cores, options);
  const KernelCycles cycles = kernel_cycles(array, traffic, vector, grant.rates, options.memory);
  const double dram_bytes = traffic.dram_bytes + vector.bytes,
               global_bytes = array.global_bytes + vector.bytes;
  OperatorCost cost;
  cost.bound_by = cycles.bound_by;
  cost.compute = Seconds(cycles.working / chip.clock.value());
  cost.cycles = Cycles(cycles.cycles);
  cost.time = Seconds(cycles.cycles / chip.clock.value());
  for (const graph::OperatorShape& part : kernel.parts) cost.flops += graph::flops(part);
  cost.traffic[kDram] = Bytes(dram_bytes);
  cost.traffic[kCache] = Bytes(global_bytes);
  cost.energy = kernel_energy(operation_bill(kernel, options), global_bytes, dram_bytes, chip);
  cost.engines = engines_of(array, vector);
  return cost;
}

int granted(int asked, int there) {
  return asked > 0 ? std::min(asked, there) : there;
}

}  // namespace

AcceleratorOptions scalesim_options(Dataflow dataflow) {
  AcceleratorOptions options;
  options.array = ArrayMode::ScaleSim;
  options.dataflow = dataflow;
  options.exchange = options.memory = false;
  return options;
}

void AcceleratorModel::price(std::span<const graph::Kernel> kernels, const hardware::Device& device,
                             Allotment allotment, std::span<OperatorCost> out) const {
  const hardware::Accelerator* chip = device.accelerator();
  if (!chip) throw InputError("the fold model prices accelerators; '" + device.name + "' is a GPU");
  const int matrix_cores = granted(allotment.matrix_cores, chip->matrix_cores),
            vector_cores = granted(allotment.vector_cores, chip->vector_cores);
  const Grant grant{*chip,
                    {chip->rows, chip->columns},
                    matrix_cores,
                    vector_cores,
                    {chip->global_buffer.value() * allotment.buffer_share, chip->word_bytes(),
                     chip->accumulator_bits / 8.0},
                    cycle_rates(*chip, device.memory_bandwidth, matrix_cores, vector_cores)};
  for (size_t i = 0; i < kernels.size(); ++i) {
    out[i] = on_a_link(kernels[i]) ? RooflineModel().price(kernels[i], device, allotment)
                                   : cost_of(kernels[i], grant, options_);
  }
}

uint64_t AcceleratorModel::fingerprint() const {
  const uint8_t values[] = {static_cast<uint8_t>(options_.array),
                            static_cast<uint8_t>(options_.dataflow),
                            static_cast<uint8_t>(options_.vector),
                            options_.exchange,
                            options_.pack_groups,
                            options_.memory,
                            options_.epilogue_whole};
  const uint64_t choices = hash_bytes({reinterpret_cast<const char*>(values), sizeof values}, 0x666f6c64u);
  return hash_bytes({reinterpret_cast<const char*>(&options_.vector_factor), sizeof options_.vector_factor},
                    choices);
}

}  // namespace orrery::cost
