#include "orrery/cost/accelerator/accelerator_model.h"

#include <algorithm>

#include "orrery/base/storage.h"
#include "orrery/cost/accelerator/matrix_work.h"
#include "orrery/cost/accelerator/memory_tiles.h"
#include "orrery/cost/roofline_model.h"
#include "orrery/hardware/accelerator.h"

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

struct Device {
  const hardware::Accelerator& chip;
  Array array;
  double dram_bytes_per_cycle;
  int matrix_cores, vector_cores;
  double buffer;  // bytes of the global buffer
};

// What a kernel takes, in cycles, bytes and joules.
struct Bill {
  double matrix = 0, vector = 0, epilogue = 0;  // cycles
  double global_bytes = 0, dram_bytes = 0, first_tile = 0;
  double multiply_accumulates = 0, lane_operations = 0;
};

class Pricer {
 public:
  Pricer(const Device& device, const AcceleratorOptions& options) : device_(device), options_(options) {}

  void add_matrix(const OperatorShape& part) {
    const double bytes = device_.chip.word_bytes();
    for (const MatrixWork& work : matrix_work(part)) {
      Share share = run_share(work, device_.array, device_.matrix_cores, options_);
      bill_.matrix += share.run.cycles;
      double results = multiply_accumulates(work.size) / static_cast<double>(work.size.k);
      double sums = std::max(share.out_writes, 2 * share.out_writes - results);  // partial ones come back
      bill_.global_bytes += bytes * (share.lhs_reads + share.rhs_reads + sums);
      TiledTraffic traffic =
          tiled_traffic(work, device_.array, {device_.buffer, bytes, device_.chip.accumulator_bits / 8.0});
      bill_.dram_bytes += traffic.bytes;
      if (bill_.first_tile <= 0) bill_.first_tile = std::min(traffic.first_tile, traffic.bytes);
      bill_.multiply_accumulates += multiply_accumulates(work.size);
    }
    if (part.kind == OperatorKind::Attention) {
      graph::AttentionSize a = graph::attention_size(part);
      bill_.vector += attention_softmax_cycles(a, part.pass, lanes(), options_.vector);
    }
  }

  void add_vector(const OperatorShape& part, bool epilogue) {
    double each = cycles_per_element(part, options_.vector);
    if (!epilogue || options_.epilogue_whole) bill_.vector += vector_cycles(part, lanes(), options_.vector);
    if (epilogue) bill_.epilogue += each;
    graph::Traffic traffic = graph::traffic(part);
    double bytes = (traffic.read + traffic.written).value();
    bill_.dram_bytes += bytes;
    bill_.global_bytes += bytes;
    bill_.lane_operations += vector_elements(part) * each;
  }

  const Bill& bill() const { return bill_; }

 private:
  double lanes() const { return 1.0 * device_.chip.lanes * device_.vector_cores; }
  const Device& device_;
  const AcceleratorOptions& options_;
  Bill bill_;
};

bool is_matrix(const OperatorShape& part) {
  return graph::traits(part.kind).engine == Engine::Matrix;
}
bool is_vector(const OperatorShape& part) {
  return graph::traits(part.kind).engine == Engine::Vector;
}
bool has_matrix(const graph::Kernel& kernel) {
  return std::any_of(kernel.parts.begin(), kernel.parts.end(), is_matrix);
}

Bill bill_of(const graph::Kernel& kernel, const Device& device, const AcceleratorOptions& options) {
  Pricer pricer(device, options);
  bool fused = has_matrix(kernel);
  for (const OperatorShape& part : kernel.parts) {
    if (is_matrix(part)) pricer.add_matrix(part);
    if (is_vector(part)) pricer.add_vector(part, fused);
  }
  return pricer.bill();
}

Joules energy_of(const Bill& bill, const Device& device) {
  const hardware::EnergyTable& e = device.chip.energy;
  if (e.name.empty()) return Joules(0);
  double width = static_cast<double>(device.chip.word_bits) / e.word_bits, word = e.word_bits / 8.0;
  double operations = bill.multiply_accumulates + bill.lane_operations;
  return (e.multiply_accumulate + e.registers * e.register_accesses) * (operations * width) +
         e.global_buffer(device.chip.global_buffer) * (bill.global_bytes / word) +
         e.dram * (bill.dram_bytes / word);
}

OperatorCost cost_of(const graph::Kernel& kernel, const Device& device, const AcceleratorOptions& options) {
  const Bill bill = bill_of(kernel, device, options);
  const hardware::Accelerator& chip = device.chip;
  double working = std::max(bill.matrix, bill.vector) + bill.epilogue, cycles = working;
  OperatorCost cost;
  if (options.memory) {
    double side = bill.matrix > 0 ? std::max(chip.rows, chip.columns) : chip.lanes;
    double one = hardware::core_bytes_per_cycle(chip, static_cast<int>(side));
    double per_cycle = std::min(chip.global_bytes_per_cycle,
                                one * (bill.matrix > 0 ? device.matrix_cores : device.vector_cores));
    double global = bill.global_bytes / per_cycle, dram = bill.dram_bytes / device.dram_bytes_per_cycle;
    cycles = std::max({working, global, dram}) + bill.first_tile / device.dram_bytes_per_cycle;
    if (dram > working && dram >= global) cost.bound_by = Bound::Memory;
    if (global > working && global > dram) cost.bound_by = Bound::Cache;
  }
  cost.compute = Seconds(working / chip.clock.value());
  cost.cycles = Cycles(cycles);
  cost.time = Seconds(cycles / chip.clock.value());
  for (const OperatorShape& part : kernel.parts) cost.flops += graph::flops(part);
  cost.traffic[kDram] = Bytes(bill.dram_bytes);
  cost.traffic[kCache] = Bytes(bill.global_bytes);
  cost.energy = energy_of(bill, device);
  cost.engines = static_cast<uint8_t>((bill.matrix > 0 ? 1 : 0) | (bill.vector + bill.epilogue > 0 ? 2 : 0));
  return cost;
}

int granted(int asked, int there) {
  return asked > 0 ? std::min(asked, there) : there;
}

// Collectives wait for a link that the template does not have: the roofline says so.
bool on_a_link(const graph::Kernel& kernel) {
  return std::any_of(kernel.parts.begin(), kernel.parts.end(), [](const OperatorShape& part) {
    return graph::traits(part.kind).engine == Engine::Link;
  });
}

}  // namespace

AcceleratorOptions scalesim_options(Dataflow dataflow) {
  AcceleratorOptions options;
  options.array = ArrayMode::ScaleSim;
  options.dataflow = dataflow;
  options.exchange = options.memory = false;
  return options;
}

double matrix_cycles(const graph::Kernel& kernel, Array array, int cores, const AcceleratorOptions& options) {
  double cycles = 0;
  for (const OperatorShape& part : kernel.parts) {
    for (const MatrixWork& work : matrix_work(part))
      cycles += run_share(work, array, cores, options).run.cycles;
  }
  return cycles;
}

double vector_cycles(const graph::Kernel& kernel, double lanes, const AcceleratorOptions& options) {
  double cycles = 0;
  bool fused = has_matrix(kernel);
  for (const OperatorShape& part : kernel.parts) {
    if (part.kind == OperatorKind::Attention)
      cycles += attention_softmax_cycles(graph::attention_size(part), part.pass, lanes, options.vector);
    if (is_vector(part) && (!fused || options.epilogue_whole))
      cycles += vector_cycles(part, lanes, options.vector);
  }
  return cycles;
}

double epilogue_cycles(const graph::Kernel& kernel, const AcceleratorOptions& options) {
  if (!has_matrix(kernel)) return 0;
  double cycles = 0;
  for (const OperatorShape& part : kernel.parts) {
    if (is_vector(part)) cycles += cycles_per_element(part, options.vector);
  }
  return cycles;
}

void AcceleratorModel::price(std::span<const graph::Kernel> kernels, const hardware::Device& device,
                             Allotment allotment, std::span<OperatorCost> out) const {
  const hardware::Accelerator* chip = device.accelerator();
  if (!chip) throw InputError("the fold model prices accelerators; '" + device.name + "' is a GPU");
  Device context{*chip,
                 {chip->rows, chip->columns},
                 device.memory_bandwidth.value() / chip->clock.value(),
                 granted(allotment.matrix_cores, chip->matrix_cores),
                 granted(allotment.vector_cores, chip->vector_cores),
                 chip->global_buffer.value() * allotment.buffer_share};
  for (size_t i = 0; i < kernels.size(); ++i) {
    out[i] = on_a_link(kernels[i]) ? RooflineModel().price(kernels[i], device, allotment)
                                   : cost_of(kernels[i], context, options_);
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
  return hash_bytes({reinterpret_cast<const char*>(values), sizeof values}, 0x666f6c64u);
}

}  // namespace orrery::cost
