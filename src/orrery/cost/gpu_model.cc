#include "orrery/cost/gpu_model.h"

#include <algorithm>

#include <mutex>
#include <optional>
#include <vector>

#include "orrery/cost/attention_model.h"
#include "orrery/cost/collective_model.h"
#include "orrery/cost/fp32/fp32_model.h"
#include "orrery/cost/fp8_gemm_model.h"
#include "orrery/cost/gemm_model.h"
#include "orrery/cost/memory_bound_model.h"
#include "orrery/cost/roofline_model.h"
#include "orrery/hardware/cluster.h"

namespace orrery::cost {
namespace {

using graph::Engine;
using graph::OperatorKind;
using graph::OperatorShape;

constexpr double kMatrixShare = 0.72, kVectorShare = 0.7, kMemoryShare = 0.85, kLinkShare = 0.75;
constexpr Seconds kKernelFloor = microseconds(2.5);
constexpr float kFallbackLow = 0.6f, kFallbackHigh = 1.5f;
constexpr float kTf32Low = 0.5f, kTf32High = 2.0f;  // nothing here measured a product in TF32
// Libraries choose among implicit GEMM, Winograd and FFT by rules of their own: what measured FP32
// convolutions scatter by.
constexpr float kConvolutionLow = 0.4f, kConvolutionHigh = 2.5f;
constexpr double kCycledCopies =
    6;  // of the weights in the benchmark whose rows the products' law was fitted to
constexpr double kArithmeticPower = 0.9, kMemoryPower = 0.5, kIdleShare = 0.1;

constexpr uint8_t kMatrixEngine = 1, kVectorEngine = 2;  // bits of OperatorCost::engines

double d(int64_t v) {
  return static_cast<double>(v);
}

double achievable_bandwidth(const hardware::Device& device, const hardware::Gpu& gpu) {
  double known = gpu.achievable.memory_bandwidth.value();
  return known > 0 ? known : kMemoryShare * device.memory_bandwidth.value();
}

double sustained_rate(const hardware::Gpu& gpu, DataType type) {
  DataType runs = executed_type(gpu, type);
  double known = gpu.achievable.rate[static_cast<size_t>(runs)].value();
  if (known > 0) return known;
  const double matrix = runs == DataType::FP32 ? gpu.matrix_fp32.value() : 0;  // AMD multiplies FP32 there
  return kMatrixShare * std::max(matrix, matrix_rate(gpu, runs).value());
}

const OperatorShape* main_part(const graph::Kernel& kernel) {
  for (const OperatorShape& part : kernel.parts) {
    if (graph::traits(part.kind).engine == Engine::Matrix) return &part;
  }
  return nullptr;
}

// A convolution as the matrix product that a library's implicit GEMM computes.
graph::GemmSize implicit_gemm(const OperatorShape& shape) {
  graph::ConvolutionSize c = graph::convolution_size(shape);
  graph::GemmSize size;
  size.batch = c.groups;
  size.m = c.batch * c.out_height() * c.out_width();
  size.n = c.out_channels / c.groups;
  size.k = c.in_channels / c.groups * c.kernel_h * c.kernel_w;
  if (shape.pass == graph::Pass::InputGradient) std::swap(size.n, size.k);
  if (shape.pass == graph::Pass::WeightGradient) std::swap(size.m, size.k);
  return size;
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

  template <class Law, class Read>
  const Law* once(std::string_view name, std::once_flag& flag, std::optional<Law>& law, Read read) const {
    std::call_once(flag, [&] {
      if (weights->has(name)) law = read(std::string(weights->parameters(name)), weights->file_of(name));
    });
    return law ? &*law : nullptr;
  }
  const AttentionModel* attention() const {
    return once("attention", attention_once_, attention_, AttentionModel::from_json);
  }
  const Fp32Model* fp32() const { return once("fp32", fp32_once_, fp32_, Fp32Model::from_json); }

  const GemmModel* gemm() const { return once("gemm", gemm_once_, gemm_, GemmModel::from_json); }
  const Fp8GemmModel* fp8() const { return once("fp8_gemm", fp8_once_, fp8_, Fp8GemmModel::from_json); }
  const MemoryBoundModel* memory_bound() const {
    return once("memory_bound", memory_bound_once_, memory_bound_, MemoryBoundModel::from_json);
  }
  const CollectiveModel* collectives() const {
    return once("collectives", collectives_once_, collectives_, CollectiveModel::from_json);
  }

  std::shared_ptr<const Weights> weights;

 private:
  mutable std::once_flag attention_once_, gemm_once_, fp32_once_, fp8_once_, memory_bound_once_,
      collectives_once_;
  mutable std::optional<GemmModel> gemm_;
  mutable std::optional<Fp8GemmModel> fp8_;
  mutable std::optional<MemoryBoundModel> memory_bound_;
  mutable std::optional<CollectiveModel> collectives_;
  mutable std::optional<AttentionModel> attention_;
  mutable std::optional<Fp32Model> fp32_;
};

// One batch on one device: what the laws know of the device is made when a kernel first needs it.
class GpuModel::Pricer {
 public:
  Pricer(const hardware::Device& device, const hardware::Gpu& gpu, const Laws& laws, Measured measured)
      : device_(device), gpu_(gpu), laws_(laws), measured_(measured) {}

  OperatorCost price(const graph::Kernel& kernel) {
    eager_ = false;
    OperatorCost cost = fallback(kernel, device_, gpu_);
    if (const OperatorShape* main = main_part(kernel)) {
      switch (main->kind) {
        case OperatorKind::Attention:
          attention(kernel, *main, cost);
          break;
        case OperatorKind::Gemm:
          product(graph::gemm_size(*main), *main, cost);
          break;
        case OperatorKind::GroupedGemm:
          grouped_product(*main, cost);
          break;
        case OperatorKind::Convolution:
          product(implicit_gemm(*main), *main, cost);
          if (eager_) break;
          cost.low = std::min(cost.low, kConvolutionLow);
          cost.high = std::max(cost.high, kConvolutionHigh);
          break;
        default:
          break;
      }
    } else if (cost.engines & kVectorEngine) {
      vector(kernel, cost);
    } else if (kernel.parts.size() == 1 && graph::traits(kernel.parts[0].kind).engine == Engine::Link) {
      collective(kernel.parts[0], cost);
    }
    if (measured_ == Measured::FromHost && cost.time.value() > 0 && !eager_) from_host(cost);
    cost.energy = dynamic_energy(kernel, cost, device_, gpu_);
    return cost;
  }

 private:
  // Several attention parts are one call over sequences of several lengths.
  void attention(const graph::Kernel& kernel, const OperatorShape& shape, OperatorCost& cost) {
    const AttentionModel* law = laws_.attention();
    if (!law) return;
    if (!attention_target_) attention_target_ = law->target(device_);
    const bool paged = shape.pass == graph::Pass::Forward;  // a serving engine's kernel fills the cache too
    AttentionLayer layer = attention_layer(shape, paged);
    layer.repeated = !in_model();
    spans_.clear();
    for (const OperatorShape& part : kernel.parts)
      if (part.kind == OperatorKind::Attention) spans_.push_back(attention_span(part));
    AttentionCost price = law->price(layer, spans_, *attention_target_);
    cost.time = price.time;
    cost.compute = Seconds(price.parts.matrix);
    cost.low = static_cast<float>(price.low);
    cost.high = static_cast<float>(price.high);
    cost.bound_by = price.bound_by;
    cost.traffic[kDram] = Bytes(price.parts.memory_bytes);
    cost.traffic[kCache] = Bytes(price.parts.cache_bytes);
  }

  void product(const graph::GemmSize& size, const OperatorShape& shape, OperatorCost& cost) {
    if (shape.type == DataType::FP8 || shape.type == DataType::FP8Block || shape.type == DataType::NVFP4) {
      narrow_product({d(size.batch * size.m), d(size.n), d(size.k), d(size.batch)}, shape.type, cost);
      return;
    }
    if (executed_type(gpu_, shape.type) != DataType::FP32) {
      wide_product({.batch = d(size.batch), .m = d(size.m), .n = d(size.n), .k = d(size.k)}, shape, cost);
      return;
    }
    eager(shape, cost);
  }

  bool in_model() const { return measured_ == Measured::InModel || measured_ == Measured::Bracketed; }

  // A kernel of PyTorch's eager FP32: its law knows what a call from the host costs.
  bool eager(const OperatorShape& shape, OperatorCost& cost) {
    const Fp32Model* law = laws_.fp32();
    Fp32Call call;
    if (!law || !fp32_call(shape, call)) return false;
    price_eager(*law, call, cost);
    return true;
  }
  void price_eager(const Fp32Model& law, const Fp32Call& call, OperatorCost& cost) {
    if (!fp32_target_) fp32_target_ = law.target(device_);
    const Fp32Setting setting = measured_ == Measured::FromHost    ? Fp32Setting::FromHost
                                : measured_ == Measured::Bracketed ? Fp32Setting::Bracketed
                                                                   : Fp32Setting::InModel;
    const Fp32Cost price = law.price(call, *fp32_target_, setting);
    cost.time = Seconds(price.time);
    cost.sustained = Seconds(price.sustained);
    if (is_product(call.kernel)) cost.compute = Seconds(price.parts.compute);
    cost.low = static_cast<float>(price.low);
    cost.high = static_cast<float>(price.high);
    cost.bound_by = price.bound_by;
    if (!is_product(call.kernel)) {
      cost.traffic[kDram] = Bytes(price.parts.bytes);
      cost.traffic[kCache] = Bytes(call.read + call.written);
    }
    eager_ = true;
  }

  void grouped_product(const OperatorShape& shape, OperatorCost& cost) {
    const graph::GroupedGemmSize size = graph::grouped_gemm_size(shape);
    if (shape.type == DataType::FP8 || shape.type == DataType::FP8Block || shape.type == DataType::NVFP4) {
      narrow_product({d(size.m), d(size.n), d(size.k), d(size.experts)}, shape.type, cost);
      return;
    }
    wide_product({.m = d(size.m), .n = d(size.n), .k = d(size.k), .experts = d(size.experts)}, shape, cost);
  }

  // Operands of a batch are activations of the kernel before, so L2 may hold them; weights of a model come
  // from DRAM.
  void wide_product(GemmProduct product, const OperatorShape& shape, OperatorCost& cost) {
    const GemmModel* law = laws_.gemm();
    if (!law || !gemm_law_prices(shape.type, shape.stored)) return;
    auto known = std::find_if(gemm_targets_.begin(), gemm_targets_.end(), [&](const GemmTarget& t) {
      return t.type == shape.type && t.stored == shape.stored;
    });
    if (known == gemm_targets_.end()) {
      gemm_targets_.push_back({shape.type, shape.stored, law->target(device_, shape.type, shape.stored)});
      known = gemm_targets_.end() - 1;
    }
    product.activation_bytes = product.output_bytes = bytes_per_element(shape.type);
    product.weight_bytes = bytes_per_element(shape.stored);
    product.copies = !in_model() ? kCycledCopies : product.batch > 1 ? 1 : 0;
    const GemmCost price = law->price(product, known->target);
    cost.time = price.time;
    cost.compute = Seconds(price.parts.multiprocessors);
    cost.low = static_cast<float>(price.low);
    cost.high = static_cast<float>(price.high);
    if (shape.type == DataType::TF32) {
      cost.low = std::min(cost.low, kTf32Low);
      cost.high = std::max(cost.high, kTf32High);
    }
    cost.bound_by = price.parts.bound;
    cost.traffic[kDram] = Bytes(price.parts.memory_bytes);
    cost.traffic[kCache] = Bytes(price.parts.cache_bytes);
  }

  struct GemmTarget {
    DataType type, stored;
    GemmModel::Target target;
  };
  std::vector<GemmTarget> gemm_targets_;

  struct Narrow {
    double m, n, k, experts;
  };
  void narrow_product(const Narrow& size, DataType type, OperatorCost& cost) {
    const Fp8GemmModel* law = laws_.fp8();
    if (!law) return;
    if (!fp8_target_) fp8_target_ = law->target(device_);
    Fp8Product product;
    product.m = size.m;
    product.n = size.n;
    product.k = size.k;
    product.experts = size.experts;
    product.weights = in_model() ? WeightState::Cold : WeightState::Cycled;
    // Rows of block-scaled products were timed with the host's launches in them.
    const Launch launch =
        measured_ == Measured::FromGraph && type == DataType::FP8Block ? Launch::Eager : Launch::Captured;
    Fp8Price price = law->price(product, type, *fp8_target_, launch);
    cost.time = price.time;
    cost.compute = Seconds(price.parts.multiprocessors);
    cost.low = static_cast<float>(price.low);
    cost.high = static_cast<float>(price.high);
    cost.bound_by = price.parts.bound;
    cost.traffic[kDram] = Bytes(price.parts.memory_bytes);
    cost.traffic[kCache] = Bytes(price.parts.cache_bytes);
  }

  // Vector kernels of FP32 operators alone: the slowest kind of loop over all the bytes that are left to
  // move.
  bool eager_vector(const graph::Kernel& kernel, OperatorCost& cost) {
    const Fp32Model* law = laws_.fp32();
    if (!law) return false;
    Fp32Call whole;
    bool any = false;
    for (const OperatorShape& part : kernel.parts) {
      Fp32Call call;
      if (part.type != DataType::FP32 || !fp32_call(part, call) || is_product(call.kernel)) return false;
      if (!any) {
        whole = call;
      } else {
        whole.read += call.read;
        whole.written += call.written;
        whole.heavy = std::max(whole.heavy, call.heavy);
        if (call.kernel > whole.kernel) {
          whole.kernel = call.kernel;
          whole.rows = call.rows;
          whole.columns = call.columns;
        }
      }
      any = true;
    }
    if (!any) return false;
    price_eager(*law, whole, cost);
    return true;
  }

  // A fused kernel is its slowest kind of loop over all the bytes that are left to move.
  void vector(const graph::Kernel& kernel, OperatorCost& cost) {
    if (eager_vector(kernel, cost)) return;
    const MemoryBoundModel* law = laws_.memory_bound();
    if (!law) return;
    if (!vector_device_) vector_device_ = memory_bound_device(device_);
    MemoryBoundCall whole;
    bool any = false, weights = false;
    for (const OperatorShape& part : kernel.parts) {
      MemoryBoundCall call;
      // The attention law contains the kernel that fills the cache, that of FP8 products the quantization of
      // their input.
      if (part.kind == OperatorKind::KvWrite && laws_.attention()) continue;
      if (part.kind == OperatorKind::Quantize && laws_.fp8()) continue;
      if (!memory_bound_call(part, call)) continue;
      weights = weights || part.kind == OperatorKind::Embedding || part.kind == OperatorKind::OptimizerStep;
      if (!any || (call.row_blocks && !whole.row_blocks)) {
        whole.kernel = call.kernel;
        whole.row_blocks = call.row_blocks;
      }
      whole.rows = std::max(any ? whole.rows : 0, call.rows);
      whole.elements = std::max(any ? whole.elements : 0, call.elements);
      whole.bytes += call.bytes;
      whole.written += call.written;
      any = true;
    }
    if (!any) {
      cost = OperatorCost();
      return;
    }
    // What a layer hands from kernel to kernel was written a moment ago; tables and optimizer state were not.
    const bool cold = in_model() && weights;
    MemoryBoundCost price = law->price(whole, *vector_device_, cold);
    cost.time = price.time;
    cost.low = static_cast<float>(price.low);
    cost.high = static_cast<float>(price.high);
    cost.bound_by = price.bound_by;
    cost.traffic[kDram] = price.memory_bytes;
    cost.traffic[kCache] = Bytes(whole.bytes);
  }

  void collective(const OperatorShape& shape, OperatorCost& cost) {
    const CollectiveModel* law = laws_.collectives();
    const graph::CollectiveSize size = graph::collective_size(shape);
    if (!law || size.participants <= 1) return;
    const int ranks = static_cast<int>(size.participants);
    const hardware::Cluster node = hardware::flat_cluster(device_, ranks);
    if (node.levels[0].per_device.value() <= 0) return;
    const bool direct = gpu_.link && gpu_.link->peers >= ranks;
    CollectiveCost price =
        law->price(collective_of(shape.kind), static_cast<double>(size.bytes), ranks, node.levels[0], direct);
    cost.time = price.time;
    cost.low = static_cast<float>(price.low);
    cost.high = static_cast<float>(price.high);
  }

  void from_host(OperatorCost& cost) {
    const Fp32Model* law = laws_.fp32();
    if (!law) return;
    const Fp32Constants& c = law->contents().constants;
    const double call = (cost.engines & kMatrixEngine ? c.host_product : c.host_vector) - c.kernel;
    cost.time += Seconds(call);
    if (cost.time.value() < 2 * call) cost.bound_by = Bound::Launch;
  }

  const hardware::Device& device_;
  const hardware::Gpu& gpu_;
  const Laws& laws_;
  Measured measured_;
  std::optional<AttentionModel::Target> attention_target_;
  std::vector<AttentionSpan> spans_;
  std::optional<MemoryBoundDevice> vector_device_;
  std::optional<Fp8GemmModel::Target> fp8_target_;
  std::optional<Fp32Model::Target> fp32_target_;
  bool eager_ = false;  // the kernel at hand was priced by the FP32 law
};

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
                     "' is an accelerator, which the fold model prices");
  Pricer pricer(device, *gpu, *laws_, measured_);
  for (size_t i = 0; i < kernels.size(); ++i) out[i] = pricer.price(kernels[i]);
}

uint64_t GpuModel::fingerprint() const {
  return (0x677075u + static_cast<uint64_t>(measured_)) ^ weights_->fingerprint();
}

}  // namespace orrery::cost
