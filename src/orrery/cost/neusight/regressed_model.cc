#include "orrery/cost/neusight/regressed_model.h"

#include <algorithm>

#include "orrery/cost/roofline_model.h"

namespace orrery::cost {

RegressedModel::RegressedModel(std::shared_ptr<const Weights> weights, uint64_t salt)
    : weights_(std::move(weights)), salt_(salt) {
  options_ = read_neusight_options(
      parse_json(std::string(weights_->parameters("options")), weights_->file_of("options")));
}

double RegressedModel::memory_seconds(double bytes, const NeuSightDevice& device) const {
  const double giga = options_.gigabyte == NeuSightOptions::Gigabyte::Binary ? 1024. * 1024 * 1024 : 1e9;
  return bytes / (device.bandwidth_gb_s * giga * options_.memory_share);
}

double RegressedModel::link_seconds(const graph::OperatorShape& shape, const hardware::Gpu& gpu) const {
  const double giga = options_.gigabyte == NeuSightOptions::Gigabyte::Binary ? 1024. * 1024 * 1024 : 1e9;
  const double bandwidth = gpu.link ? gpu.link->per_direction.value() : gpu.pcie.value();
  const graph::CollectiveSize size = graph::collective_size(shape);
  if (bandwidth <= 0 || size.participants <= 1) return 0;
  const bool four =
      shape.kind == graph::OperatorKind::AllReduce && options_.all_reduce == NeuSightOptions::AllReduce::Four;
  const double bytes = four ? 3 * static_cast<double>(size.bytes) : link_bytes(shape).value();
  return bytes / (options_.link_share * bandwidth / 1e9 * giga);
}

OperatorCost RegressedModel::price_kernel(const graph::Kernel& kernel, const hardware::Device& device,
                                          const NeuSightDevice& figures) const {
  OperatorCost cost = RooflineModel().price(kernel, device, {});
  if (kernel.parts.size() == 1 && graph::traits(kernel.parts[0].kind).engine == graph::Engine::Link) {
    cost.time = Seconds(link_seconds(kernel.parts[0], *device.gpu()));
    return cost;
  }
  const NeuSightWork work = neusight_work(kernel);
  if (!work.known) {
    cost.priced = false;
    return cost;
  }
  double seconds = memory_seconds(work.memory_bytes, figures), low = seconds, high = seconds, compute = 0;
  for (const NeuSightOperator& op : work.operators) {
    const RegressedPrice price = this->price(op, figures);
    seconds += price.seconds;
    low += price.seconds * price.low;
    high += price.seconds * price.high;
    if (price.compute_bound) compute += price.seconds;
  }
  cost.time = Seconds(seconds);
  cost.compute = Seconds(std::min(seconds, std::max(compute, cost.compute.value())));
  cost.bound_by = 2 * compute > seconds ? Bound::Compute : Bound::Memory;
  if (seconds > 0) {
    cost.low = static_cast<float>(low / seconds);
    cost.high = static_cast<float>(high / seconds);
  }
  return cost;
}

void RegressedModel::price(std::span<const graph::Kernel> kernels, const hardware::Device& device, Allotment,
                           std::span<OperatorCost> out) const {
  const NeuSightDevice figures = neusight_device(device, options_);
  for (size_t i = 0; i < kernels.size(); ++i) out[i] = price_kernel(kernels[i], device, figures);
}

}  // namespace orrery::cost
