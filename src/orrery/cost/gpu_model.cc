#include "orrery/cost/gpu_model.h"

#include <algorithm>

#include <mutex>
#include <optional>

#include "orrery/cost/attention_model.h"
#include "orrery/cost/roofline_model.h"

namespace orrery::cost {
namespace {

using graph::Engine;
using graph::OperatorKind;
using graph::OperatorShape;

constexpr double kMatrixShare = 0.72, kVectorShare = 0.7, kMemoryShare = 0.85, kLinkShare = 0.75;
constexpr Seconds kKernelFloor = microseconds(2.5);
constexpr float kFallbackLow = 0.6f, kFallbackHigh = 1.5f;
constexpr double kArithmeticPower = 0.9, kMemoryPower = 0.5, kIdleShare = 0.1;

double achievable_bandwidth(const hardware::Device& device, const hardware::Gpu& gpu) {
  double known = gpu.achievable.memory_bandwidth.value();
  return known > 0 ? known : kMemoryShare * device.memory_bandwidth.value();
}

double sustained_rate(const hardware::Gpu& gpu, DataType type) {
  DataType runs = executed_type(gpu, type);
  double known = gpu.achievable.rate[static_cast<size_t>(runs)].value();
  return known > 0 ? known : kMatrixShare * matrix_rate(gpu, runs).value();
}

const OperatorShape* main_part(const graph::Kernel& kernel) {
  for (const OperatorShape& part : kernel.parts) {
    if (graph::traits(part.kind).engine == Engine::Matrix) return &part;
  }
  return nullptr;
}

OperatorCost fallback(const graph::Kernel& kernel, const hardware::Device& device, const hardware::Gpu& gpu) {
  RooflineEfficiency efficiency;
  efficiency.memory = achievable_bandwidth(device, gpu) / device.memory_bandwidth.value();
  efficiency.vector = kVectorShare;
  efficiency.link = kLinkShare;
  efficiency.floor = kKernelFloor;
  if (const OperatorShape* part = main_part(kernel)) {
    efficiency.matrix = sustained_rate(gpu, part->type) / matrix_rate(gpu, part->type).value();
  }
  return RooflineModel(efficiency, kFallbackLow, kFallbackHigh).price(kernel, device, {});
}

Joules dynamic_energy(const graph::Kernel& kernel, const OperatorCost& cost, const hardware::Device& device,
                      const hardware::Gpu& gpu) {
  double idle = device.idle.value() > 0 ? device.idle.value() : kIdleShare * device.tdp.value();
  double swing = std::max(0.0, device.tdp.value() - idle);
  double seconds = 0;  // at the sustained rate
  for (const OperatorShape& part : kernel.parts) {
    bool matrix = graph::traits(part.kind).engine == Engine::Matrix;
    seconds +=
        graph::flops(part).value() / (matrix ? sustained_rate(gpu, part.type) : vector_rate(gpu).value());
  }
  return Joules(swing * (kArithmeticPower * seconds +
                         kMemoryPower * cost.traffic[kDram].value() / device.memory_bandwidth.value()));
}

}  // namespace

// The fitted laws, each parsed when the first kernel asks for it; null where the weights hold no section for
// it.
struct GpuModel::Laws {
  explicit Laws(std::shared_ptr<const Weights> w) : weights(std::move(w)) {}

  const AttentionModel* attention() const {
    std::call_once(attention_once, [&] {
      if (!weights->has("attention")) return;
      attention_law = AttentionModel::from_json(std::string(weights->parameters("attention")),
                                                weights->file_of("attention"));
    });
    return attention_law ? &*attention_law : nullptr;
  }

  std::shared_ptr<const Weights> weights;
  mutable std::once_flag attention_once;
  mutable std::optional<AttentionModel> attention_law;
};

namespace {

// What the laws know of one device, made when first needed within a batch.
class Pricer {
 public:
  Pricer(const hardware::Device& device, const hardware::Gpu& gpu, const AttentionModel* attention,
         Measured measured)
      : device_(device), gpu_(gpu), attention_(attention), measured_(measured) {}

  OperatorCost price(const graph::Kernel& kernel) {
    OperatorCost cost = fallback(kernel, device_, gpu_);
    const OperatorShape* main = main_part(kernel);
    if (main && main->kind == OperatorKind::Attention && attention_) by_attention(*main, cost);
    cost.energy = dynamic_energy(kernel, cost, device_, gpu_);
    return cost;
  }

 private:
  void by_attention(const OperatorShape& shape, OperatorCost& cost) {
    if (!attention_target_) attention_target_ = attention_->target(device_);
    bool paged = shape.pass == graph::Pass::Forward;
    AttentionCost price =
        attention_->price(attention_layer(shape, paged), attention_span(shape), *attention_target_);
    cost.time = price.time;
    cost.compute = Seconds(price.parts.matrix);
    cost.low = static_cast<float>(price.low);
    cost.high = static_cast<float>(price.high);
    cost.bound_by = price.bound_by;
    cost.traffic[kDram] = Bytes(price.parts.memory_bytes);
    cost.traffic[kCache] = Bytes(price.parts.cache_bytes);
  }

  const hardware::Device& device_;
  const hardware::Gpu& gpu_;
  const AttentionModel* attention_;
  Measured measured_;
  std::optional<AttentionModel::Target> attention_target_;
};

}  // namespace

GpuModel::GpuModel(std::shared_ptr<const Weights> weights, Measured measured)
    : laws_(std::make_shared<Laws>(weights)), weights_(std::move(weights)), measured_(measured) {}
GpuModel::GpuModel(const GpuModel& other, Measured measured)
    : laws_(other.laws_), weights_(other.weights_), measured_(measured) {}
GpuModel::~GpuModel() = default;

void GpuModel::price(std::span<const graph::Kernel> kernels, const hardware::Device& device, Allotment,
                     std::span<OperatorCost> out) const {
  const hardware::Gpu* gpu = device.gpu();
  if (!gpu)
    throw InputError("the default predictor prices GPUs; '" + device.name +
                     "' is an accelerator (try --predictor fold)");
  Pricer pricer(device, *gpu, laws_->attention(), measured_);
  for (size_t i = 0; i < kernels.size(); ++i) out[i] = pricer.price(kernels[i]);
}

uint64_t GpuModel::fingerprint() const {
  return (0x677075u + static_cast<uint64_t>(measured_)) ^ weights_->fingerprint();
}

}  // namespace orrery::cost
