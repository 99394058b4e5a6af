// How long fused attention takes on a GPU: the analytic law (attention_law.h) times exp(share · learned
// residual), with a band.
//
// The residual is a sum of small trees per GPU that was measured, over dimensionless features of the law's
// own parts. A target GPU takes it from the nearest measured ones: itself, its architecture, GPUs whose
// library uses the same kernels and whose L2 is built alike, the same kernels, any; the share falls with that
// distance. Shares of the last three were chosen by leaving out one GPU at a time.
//
// A model is immutable and thread-safe; pricing allocates nothing and takes about three microseconds.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/units.h"
#include "orrery/cost/attention_law.h"
#include "orrery/cost/error_band.h"
#include "orrery/cost/operator_model.h"
#include "orrery/learn/boosted_trees.h"

namespace orrery::cost {

inline constexpr size_t kAttentionFeatures = 18;
std::array<float, kAttentionFeatures> attention_features(const AttentionLayer& layer,
                                                         const AttentionSpan& span,
                                                         const AttentionParts& parts,
                                                         const AttentionDevice& device);

enum class AttentionPhase : size_t { Prefill, Decode };
inline constexpr size_t kAttentionPhases = 2;
inline AttentionPhase phase_of(const AttentionSpan& span) {
  return span.query > 1 ? AttentionPhase::Prefill : AttentionPhase::Decode;
}

// How near a target is to the measured GPUs whose residual it takes.
enum class Nearness : size_t { Same, Architecture, KernelAndCache, Kernel, Other };
inline constexpr size_t kNearnesses = 5;

struct AttentionResidual {
  std::string gpu;  // catalogue name
  hardware::Architecture architecture = hardware::Architecture::Hopper;
  AttentionDevice::Kernel kernel = AttentionDevice::Kernel::Flash2;
  bool split_cache = false;
  std::array<learn::BoostedTrees, kAttentionPhases> trees;
};

struct AttentionCost {
  Seconds time;
  double low = 1, high = 1;  // the 90 % band as factors on `time`
  AttentionParts parts;      // of the law, before the residual
  Bound bound_by = Bound::Compute;
};

class AttentionModel {
 public:
  // What the weights hold. Without a fit: the constants' centres, no residual, a band of ±40 %.
  struct Weights {
    AttentionConstants constants = central_attention_constants();
    std::vector<AttentionResidual> residuals;
    std::array<std::array<double, kNearnesses>, kAttentionPhases> share{};
    // Factors of the 90 % band around a GPU that was left out, and what nearness makes of their logarithm.
    std::array<std::array<std::array<double, 2>, kSizeClasses>, kAttentionPhases> band = wide_band();
    std::array<double, kNearnesses> widening = {.5, .8, 1, 1, 1.25};
    std::string trained_on;  // one line: rows and GPUs
  };
  static std::array<std::array<std::array<double, 2>, kSizeClasses>, kAttentionPhases> wide_band();

  AttentionModel() = default;
  explicit AttentionModel(Weights weights) : weights_(std::move(weights)) {}
  static AttentionModel shipped();  // data/weights/attention.json; throws InputError
  static AttentionModel from_json(std::string text, const std::string& file);  // throws InputError
  std::string to_json() const;

  // A device as this model sees it: which measured GPUs stand near it. Make once, price often.
  struct Target {
    AttentionDevice device;
    Nearness nearness = Nearness::Other;
    std::vector<size_t> sources;  // into weights().residuals; they share the residual evenly
  };
  Target target(const hardware::Device& device) const;

  AttentionCost price(const AttentionLayer& layer, std::span<const AttentionSpan> spans,
                      const Target& target) const;
  AttentionCost price(const AttentionLayer& layer, const AttentionSpan& span, const Target& target) const {
    return price(layer, std::span(&span, 1), target);
  }
  const Weights& weights() const { return weights_; }

 private:
  Weights weights_;
};

// The layer and span that an operator shape describes (graph::OperatorKind::Attention).
AttentionLayer attention_layer(const graph::OperatorShape& shape, bool paged);
AttentionSpan attention_span(const graph::OperatorShape& shape);

}  // namespace orrery::cost
