#include "orrery/cost/fold_model.h"

#include <algorithm>

#include "orrery/cost/roofline_model.h"

namespace orrery::cost {
namespace {

using graph::GemmSize;
using graph::OperatorKind;
using graph::OperatorShape;

double folds(int64_t size, int tile) {
  return static_cast<double>((size + tile - 1) / tile);
}

double stationary_cycles(double f, double moving, int rows, int columns) {
  return 2.0 * rows + columns - 2 + (f - 1) * std::max(moving, static_cast<double>(rows)) + moving;
}

// The matrix products that an operator runs as on an array; vector work inside attention (softmax) is left to
// the vector cores.
std::vector<GemmSize> products(const OperatorShape& shape) {
  switch (shape.kind) {
    case OperatorKind::Gemm:
      return {graph::gemm_size(shape)};
    case OperatorKind::GroupedGemm: {
      graph::GroupedGemmSize g = graph::grouped_gemm_size(shape);
      return {GemmSize{g.experts, (g.m + g.experts - 1) / std::max<int64_t>(1, g.experts), g.n, g.k}};
    }
    case OperatorKind::Convolution: {  // im2col
      graph::ConvolutionSize c = graph::convolution_size(shape);
      return {GemmSize{c.groups, c.batch * c.out_height() * c.out_width(), c.out_channels / c.groups,
                       c.in_channels / c.groups * c.kernel_h * c.kernel_w}};
    }
    case OperatorKind::Attention: {
      graph::AttentionSize a = graph::attention_size(shape);
      int64_t keys = a.cached + a.query;
      return {GemmSize{a.batch * a.heads, a.query, keys, a.head_dim},
              GemmSize{a.batch * a.heads, a.query, a.value_dim, keys}};
    }
    default:
      return {};
  }
}

// The slowest of `cores` shares, cut along M or N.
double gang_cycles(GemmSize size, int cores, const hardware::Accelerator& chip, Dataflow dataflow) {
  double whole = static_cast<double>(size.batch);
  int64_t over_batch = std::min<int64_t>(cores, size.batch);
  double batches = static_cast<double>((size.batch + over_batch - 1) / over_batch);
  int within = std::max<int>(1, cores / static_cast<int>(over_batch));
  if (whole > 1 && within == 1)
    return batches * pipelined_cycles(size, chip.rows, chip.columns, dataflow).value();
  GemmSize by_m = size, by_n = size;
  by_m.m = (size.m + within - 1) / within;
  by_n.n = (size.n + within - 1) / within;
  return batches * std::min(pipelined_cycles(by_m, chip.rows, chip.columns, dataflow).value(),
                            pipelined_cycles(by_n, chip.rows, chip.columns, dataflow).value());
}

OperatorCost price_one(const graph::Kernel& kernel, const hardware::Device& device,
                       const hardware::Accelerator& chip, Allotment allotment, Dataflow dataflow) {
  int matrix_cores =
      allotment.matrix_cores > 0 ? std::min(allotment.matrix_cores, chip.matrix_cores) : chip.matrix_cores;
  int vector_cores =
      allotment.vector_cores > 0 ? std::min(allotment.vector_cores, chip.vector_cores) : chip.vector_cores;
  OperatorCost cost =
      RooflineModel().price(kernel, device, allotment);  // traffic, FLOPs, engines, the memory bound
  double matrix = 0, vector = 0;
  for (const OperatorShape& part : kernel.parts) {
    for (const GemmSize& size : products(part)) matrix += gang_cycles(size, matrix_cores, chip, dataflow);
    if (graph::traits(part.kind).engine == graph::Engine::Vector) {
      vector += graph::flops(part).value() / (1.0 * chip.lanes * vector_cores);
    }
  }
  double compute = std::max(matrix, vector) / chip.clock.value();
  double memory = cost.traffic[kDram].value() / device.memory_bandwidth.value();
  cost.compute = Seconds(compute);
  cost.time = Seconds(std::max(compute, memory));
  cost.cycles = cost.time * chip.clock;
  cost.bound_by = memory > compute ? Bound::Memory : Bound::Compute;
  return cost;
}

}  // namespace

Cycles pipelined_cycles(const GemmSize& s, int rows, int columns, Dataflow dataflow) {
  switch (dataflow) {
    case Dataflow::WeightStationary:
      return Cycles(
          stationary_cycles(folds(s.k, rows) * folds(s.n, columns), static_cast<double>(s.m), rows, columns));
    case Dataflow::InputStationary:
      return Cycles(
          stationary_cycles(folds(s.k, rows) * folds(s.m, columns), static_cast<double>(s.n), rows, columns));
    case Dataflow::OutputStationary:
      return Cycles(folds(s.m, rows) * folds(s.n, columns) *
                        std::max(static_cast<double>(s.k), static_cast<double>(rows)) +
                    2.0 * rows + columns - 2);
    case Dataflow::Best:
      break;
  }
  return std::min({pipelined_cycles(s, rows, columns, Dataflow::WeightStationary),
                   pipelined_cycles(s, rows, columns, Dataflow::OutputStationary),
                   pipelined_cycles(s, rows, columns, Dataflow::InputStationary)});
}

void FoldModel::price(std::span<const graph::Kernel> kernels, const hardware::Device& device,
                      Allotment allotment, std::span<OperatorCost> out) const {
  const hardware::Accelerator* chip = device.accelerator();
  if (!chip) throw InputError("the fold model prices accelerators; '" + device.name + "' is a GPU");
  for (size_t i = 0; i < kernels.size(); ++i)
    out[i] = price_one(kernels[i], device, *chip, allotment, dataflow_);
}

}  // namespace orrery::cost
