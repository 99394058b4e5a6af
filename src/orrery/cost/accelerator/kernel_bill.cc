#include "orrery/cost/accelerator/kernel_bill.h"

#include <algorithm>

#include "orrery/cost/accelerator/matrix_work.h"
#include "orrery/cost/accelerator/vector_costs.h"

namespace orrery::cost {
namespace {

using graph::Engine;
using graph::GemmSize;
using graph::OperatorKind;
using graph::OperatorShape;

ArrayRun run_product(GemmSize size, bool groups, Array array, const AcceleratorOptions& options) {
  if (groups && options.pack_groups) size = packed(size, array);
  return options.exchange ? run_either_way(size, array, options.array, options.dataflow)
                          : run_on_array(size, array, options.array, options.dataflow);
}

// One of `cores` equal shares, and what all of them read: cut over the batch first, then along M or N,
// whichever is faster. The operand that is not cut is broadcast.
struct Share {
  ArrayRun run;
  double lhs_reads = 0, rhs_reads = 0, out_writes = 0;  // words of all shares together
};

Share run_share(const MatrixWork& work, Array array, int cores, const AcceleratorOptions& options) {
  GemmSize share = work.size;
  int64_t over_batch = std::min<int64_t>(cores, share.batch);
  share.batch = (share.batch + over_batch - 1) / over_batch;
  int64_t within = std::max<int64_t>(1, cores / over_batch);
  GemmSize by_m = share, by_n = share;
  by_m.m = (share.m + within - 1) / within;
  by_n.n = (share.n + within - 1) / within;
  ArrayRun along_m = run_product(by_m, work.groups, array, options),
           along_n = within > 1 ? run_product(by_n, work.groups, array, options) : along_m;
  const bool cut_n = along_n.cycles < along_m.cycles;
  const ArrayRun& run = cut_n ? along_n : along_m;
  const double copies = static_cast<double>(over_batch), all = copies * static_cast<double>(within);
  return {run, run.lhs_reads * (cut_n ? copies : all), run.rhs_reads * (cut_n ? all : copies),
          run.out_writes * all};
}

bool is_matrix(const OperatorShape& part) {
  return graph::traits(part.kind).engine == Engine::Matrix;
}
bool is_vector(const OperatorShape& part) {
  return graph::traits(part.kind).engine == Engine::Vector;
}
bool has_matrix(const graph::Kernel& kernel) {
  return std::any_of(kernel.parts.begin(), kernel.parts.end(), is_matrix);
}

}  // namespace

ArrayBill array_bill(const graph::Kernel& kernel, Array array, int cores, double word_bytes,
                     const AcceleratorOptions& options) {
  ArrayBill bill;
  for (const OperatorShape& part : kernel.parts) {
    for (const MatrixWork& work : matrix_work(part)) {
      Share share = run_share(work, array, cores, options);
      bill.cycles += share.run.cycles;
      double results = multiply_accumulates(work.size) / static_cast<double>(work.size.k);
      double sums = std::max(share.out_writes, 2 * share.out_writes - results);  // partial ones come back
      bill.global_bytes += word_bytes * (share.lhs_reads + share.rhs_reads + sums);
    }
  }
  return bill;
}

TrafficBill traffic_bill(const graph::Kernel& kernel, Array array, TileMemory memory) {
  TrafficBill bill;
  for (const OperatorShape& part : kernel.parts) {
    for (const MatrixWork& work : matrix_work(part)) {
      TiledTraffic traffic = tiled_traffic(work, array, memory);
      bill.dram_bytes += traffic.bytes;
      if (bill.first_tile <= 0) bill.first_tile = std::min(traffic.first_tile, traffic.bytes);
    }
  }
  return bill;
}

VectorBill vector_bill(const graph::Kernel& kernel, double lanes, const AcceleratorOptions& options) {
  const bool fused = has_matrix(kernel);
  VectorBill bill;
  for (const OperatorShape& part : kernel.parts) {
    if (part.kind == OperatorKind::Attention)
      bill.cycles += attention_softmax_cycles(graph::attention_size(part), part.pass, lanes, options.vector);
    if (!is_vector(part)) continue;
    if (!fused || options.epilogue_whole) bill.cycles += vector_cycles(part, lanes, options.vector);
    if (fused) bill.epilogue += cycles_per_element(part, options.vector);
    graph::Traffic traffic = graph::traffic(part);
    bill.bytes += (traffic.read + traffic.written).value();
  }
  bill.cycles *= options.vector_factor;
  bill.epilogue *= options.vector_factor;
  return bill;
}

OperationBill operation_bill(const graph::Kernel& kernel, const AcceleratorOptions& options) {
  OperationBill bill;
  for (const OperatorShape& part : kernel.parts) {
    for (const MatrixWork& work : matrix_work(part))
      bill.multiply_accumulates += multiply_accumulates(work.size);
    if (is_vector(part))
      bill.lane_operations += vector_elements(part) * cycles_per_element(part, options.vector);
  }
  return bill;
}

CycleRates cycle_rates(const hardware::Accelerator& chip, BytesPerSecond dram, int matrix_cores,
                       int vector_cores) {
  auto global = [&](int side, int cores) {
    return std::min(chip.global_bytes_per_cycle, hardware::core_bytes_per_cycle(chip, side) * cores);
  };
  return {global(std::max(chip.rows, chip.columns), matrix_cores), global(chip.lanes, vector_cores),
          dram.value() / chip.clock.value()};
}

Joules kernel_energy(const OperationBill& operations, double global_bytes, double dram_bytes,
                     const hardware::Accelerator& chip) {
  const hardware::EnergyTable& e = chip.energy;
  if (e.name.empty()) return Joules(0);
  const double width = static_cast<double>(chip.word_bits) / e.word_bits, word = e.word_bits / 8.0;
  const double count = operations.multiply_accumulates + operations.lane_operations;
  return (e.multiply_accumulate + e.registers * e.register_accesses) * (count * width) +
         e.global_buffer(chip.global_buffer) * (global_bytes / word) + e.dram * (dram_bytes / word);
}

bool on_a_link(const graph::Kernel& kernel) {
  return std::any_of(kernel.parts.begin(), kernel.parts.end(), [](const OperatorShape& part) {
    return graph::traits(part.kind).engine == Engine::Link;
  });
}

double matrix_cycles(const graph::Kernel& kernel, Array array, int cores, const AcceleratorOptions& options) {
  return array_bill(kernel, array, cores, 1, options).cycles;
}

double vector_cycles(const graph::Kernel& kernel, double lanes, const AcceleratorOptions& options) {
  return vector_bill(kernel, lanes, options).cycles;
}

double epilogue_cycles(const graph::Kernel& kernel, const AcceleratorOptions& options) {
  return vector_bill(kernel, 1, options).epilogue;
}

}  // namespace orrery::cost
