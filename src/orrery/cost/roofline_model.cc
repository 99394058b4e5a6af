#include "orrery/cost/roofline_model.h"

#include <algorithm>

#include "orrery/base/storage.h"

namespace orrery::cost {

using graph::OperatorKind;
using graph::OperatorShape;

DataType executed_type(const hardware::Gpu& gpu, DataType type) {
  auto wider = [](DataType t) {
    switch (t) {
      case DataType::NVFP4:
      case DataType::MXFP4:
      case DataType::FP8Block:
        return DataType::FP8;
      case DataType::FP8:
      case DataType::INT4:
        return DataType::BF16;
      case DataType::INT8:
        return DataType::FP16;
      case DataType::BF16:
        return DataType::FP16;
      default:
        return DataType::FP32;
    }
  };
  while (gpu.peak_rate(type).value() <= 0 && type != DataType::FP32) type = wider(type);
  return type;
}

FlopsPerSecond vector_rate(const hardware::Gpu& gpu) {
  return FlopsPerSecond(2.0 * gpu.lanes * gpu.multiprocessors * gpu.boost_clock.value());
}

FlopsPerSecond matrix_rate(const hardware::Gpu& gpu, DataType type) {
  FlopsPerSecond peak = gpu.peak_rate(executed_type(gpu, type));
  return peak.value() > 0 ? peak : vector_rate(gpu);
}

Bytes link_bytes(const OperatorShape& shape) {
  graph::CollectiveSize size = graph::collective_size(shape);
  if (size.participants <= 1) return Bytes(0);
  double n = static_cast<double>(size.participants), share = (n - 1) / n;
  switch (shape.kind) {
    case OperatorKind::AllReduce:
      return Bytes(2 * share * static_cast<double>(size.bytes));
    case OperatorKind::SendReceive:
      return Bytes(static_cast<double>(size.bytes));
    default:
      return Bytes(share * static_cast<double>(size.bytes));
  }
}

int link_steps(const OperatorShape& shape) {
  int n = static_cast<int>(graph::collective_size(shape).participants);
  if (n <= 1) return 0;
  if (shape.kind == OperatorKind::AllReduce) return 2 * (n - 1);
  return shape.kind == OperatorKind::SendReceive ? 1 : n - 1;
}

OperatorCost RooflineModel::price(const graph::Kernel& kernel, const hardware::Device& device,
                                  Allotment allotment) const {
  OperatorCost cost;
  const hardware::Gpu* gpu = device.gpu();
  const hardware::Accelerator* chip = device.accelerator();
  double link_seconds = 0, matrix_seconds = 0, vector_seconds = 0;
  for (const OperatorShape& part : kernel.parts) {
    graph::Engine engine = graph::traits(part.kind).engine;
    double work = graph::flops(part).value();
    cost.flops += Flops(work);
    if (engine == graph::Engine::Link) {
      double bandwidth = gpu && gpu->link ? gpu->link->per_direction.value() : gpu ? gpu->pcie.value() : 0;
      double latency = gpu && gpu->link ? gpu->link->latency.value() : 0;
      double bytes = link_bytes(part).value();
      if (bytes <= 0) continue;
      if (bandwidth <= 0) {
        cost.priced = false;
        continue;
      }
      link_seconds += bytes / (bandwidth * efficiency_.link) + latency * link_steps(part);
    } else if (engine == graph::Engine::Matrix) {
      cost.engines |= 1;
      double rate = gpu ? matrix_rate(*gpu, part.type).value() : 0;
      if (chip) {
        int cores = allotment.matrix_cores > 0 ? std::min(allotment.matrix_cores, chip->matrix_cores)
                                               : chip->matrix_cores;
        rate = 2.0 * cores * chip->columns * chip->rows * chip->clock.value();
      }
      matrix_seconds += work / (rate * efficiency_.matrix);
    } else if (engine == graph::Engine::Vector) {
      cost.engines |= 2;
      double rate = gpu ? vector_rate(*gpu).value() : 0;
      if (chip) {
        int cores = allotment.vector_cores > 0 ? std::min(allotment.vector_cores, chip->vector_cores)
                                               : chip->vector_cores;
        rate = 1.0 * cores * chip->lanes * chip->clock.value();
      }
      vector_seconds += work / (rate * efficiency_.vector);
    }
  }
  graph::Traffic traffic = graph::traffic(kernel);
  Bytes bytes = link_seconds > 0 ? Bytes(0) : traffic.read + traffic.written;
  double memory_seconds = bytes.value() / (device.memory_bandwidth.value() * efficiency_.memory);
  cost.traffic[kDram] = bytes;
  cost.compute = Seconds(std::max(matrix_seconds, vector_seconds));
  double time = std::max({cost.compute.value(), memory_seconds, link_seconds});
  cost.bound_by = link_seconds > 0                         ? Bound::Link
                  : memory_seconds >= cost.compute.value() ? Bound::Memory
                                                           : Bound::Compute;
  bool free = time <= 0;
  if (!free && time < efficiency_.floor.value()) {
    time = efficiency_.floor.value();
    cost.bound_by = Bound::Launch;
  }
  cost.time = Seconds(time);
  if (chip) cost.cycles = cost.time * chip->clock;
  cost.low = low_;
  cost.high = high_;
  return cost;
}

void RooflineModel::price(std::span<const graph::Kernel> kernels, const hardware::Device& device,
                          Allotment allotment, std::span<OperatorCost> out) const {
  for (size_t i = 0; i < kernels.size(); ++i) out[i] = price(kernels[i], device, allotment);
}

uint64_t RooflineModel::fingerprint() const {
  const double values[] = {efficiency_.matrix,
                           efficiency_.vector,
                           efficiency_.memory,
                           efficiency_.link,
                           efficiency_.floor.value(),
                           low_,
                           high_};
  return hash_bytes({reinterpret_cast<const char*>(values), sizeof values}, 1);
}

}  // namespace orrery::cost
