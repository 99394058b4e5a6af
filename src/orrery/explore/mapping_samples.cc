#include "orrery/explore/mapping_samples.h"

#include <algorithm>

#include "orrery/cost/accelerator/kernel_bill.h"
#include "orrery/cost/accelerator/matrix_work.h"

namespace orrery::explore {
namespace {

// A tile side: the size cut into a random power of two of parts.
int64_t side(int64_t size, Random& random) {
  int64_t parts = 1;
  while (parts < size && random.index(3) != 0) parts *= 2;
  return (size + parts - 1) / parts;
}

double product_cycles(const cost::MatrixWork& work, cost::Array array, cost::TileMemory memory,
                      const cost::AcceleratorOptions& options, double dram, int samples, Random& random) {
  double best = -1;
  for (int i = 0; i < samples || best < 0; ++i) {
    graph::GemmSize size = work.size;
    if (random.index(2)) std::swap(size.m, size.n);
    const auto dataflow = static_cast<cost::Dataflow>(random.index(3));
    const double cycles = cost::run_on_array(size, array, options.array, dataflow).cycles;
    std::optional<cost::TiledTraffic> traffic = cost::traffic_of_tile(
        work, side(work.size.m, random), side(work.size.n, random), side(work.size.k, random), memory);
    if (!traffic && i < 100 * samples) continue;
    if (!traffic) traffic = cost::tiled_traffic(work, array, memory);  // hardly any tile fits
    const double taken = std::max(cycles, traffic->bytes / dram);
    if (best < 0 || taken < best) best = taken;
  }
  return best;
}

}  // namespace

double sampled_seconds(const AcceleratorStudy& study, size_t w, const DesignPoint& design, int samples,
                       Random& random) {
  const hardware::Accelerator chip = accelerator(design, *study.base.accelerator());
  const graph::Graph& graph = study.workloads[w].graph;
  const cost::CycleRates rates = cost::cycle_rates(chip, study.base.memory_bandwidth, 1, 1);
  const cost::TileMemory memory{chip.global_buffer.value(), chip.word_bytes(), chip.accumulator_bits / 8.0};
  std::vector<double> cycles;
  for (const graph::Kernel& kernel : graph.kernels) {
    const cost::VectorBill vector = cost::vector_bill(kernel, design.lanes, study.options);
    double array = 0;
    for (const graph::OperatorShape& part : kernel.parts) {
      for (const cost::MatrixWork& work : cost::matrix_work(part))
        array += product_cycles(work, {design.rows, design.columns}, memory, study.options, rates.dram,
                                samples, random);
    }
    cycles.push_back(std::max({array, vector.cycles, vector.bytes / rates.dram}) + vector.epilogue);
  }
  double sum = 0;
  for (const graph::Operator& op : graph.operators) sum += cycles[op.kernel];
  return sum / chip.clock.value();
}

}  // namespace orrery::explore
