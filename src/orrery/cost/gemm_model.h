// How long a dense matrix product takes on a GPU: the analytic law (gemm_law.h) times exp(share · learned
// residual), with a band.
//
// Two things are learned for each GPU that was measured: how far its rate, launch and bandwidth lie from the
// published figures (three factors, held near 1), and a residual, a sum of small trees over the law's own
// parts and the sizes. A GPU takes the factors and the residual from itself where it was measured, else a
// share of those of its architecture, else none: leaving out one GPU at a time, the residual of another
// architecture made no price better.
//
// A model is immutable and thread-safe; pricing allocates nothing and takes two to three microseconds.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "orrery/base/units.h"
#include "orrery/cost/error_band.h"
#include "orrery/cost/gemm_law.h"
#include "orrery/graph/operator_shape.h"
#include "orrery/learn/boosted_trees.h"

namespace orrery::cost {

inline constexpr size_t kGemmFeatures = 17;
using GemmFeatures = std::array<float, kGemmFeatures>;
GemmFeatures gemm_features(const GemmProduct& product, const GemmParts& parts, const GemmDevice& device);

// How near a device is to those that were measured.
enum class GemmNearness : uint8_t {
  Same,
  Architecture,  // and the same kind of memory: A100 and A40 are different chips
  Memory,        // both have HBM, or neither
  Other,
};
inline constexpr size_t kGemmNearnesses = 4;

bool stacked_memory(const hardware::Device& device);  // HBM

struct MeasuredGpu {
  std::string name;  // in the catalogue
  hardware::Architecture architecture = hardware::Architecture::Hopper;
  bool stacked_memory = true;  // HBM
  GemmEffects effects;
  learn::BoostedTrees residual;  // of log(measured / law)
};

struct GemmCost {
  Seconds time;
  double low = 1, high = 1;  // the 90 % band as factors on `time`
  GemmParts parts;           // of the law, before the residual
};

class GemmModel {
 public:
  struct Contents {
    GemmConstants constants = central_gemm_constants();
    std::vector<MeasuredGpu> gpus;
    std::array<double, kGemmNearnesses> residual_share = {1, .8, 0, 0};
    // Of the rate alone among GPUs that have but the kind of memory in common: parts with HBM are built for
    // sustained products, others for their peak.
    std::array<double, kGemmNearnesses> effect_share = {1, .7, .7, 0};
    std::array<double, kGemmNearnesses> widening = {.55, .8, 1, 1};
    ErrorBand band;  // around GPUs that were left out
  };

  GemmModel() = default;  // the constants' centres, no residual, ±40 %
  explicit GemmModel(Contents contents) : contents_(std::move(contents)) {}
  static GemmModel from_json(std::string text, const std::string& file);  // throws InputError
  std::string to_json() const;
  const Contents& contents() const { return contents_; }

  // A device and pair of types as this model sees them. Make once, price often; refers to the model.
  struct Target {
    GemmLaw law;
    GemmNearness nearness = GemmNearness::Other;
    std::vector<const learn::BoostedTrees*> residuals;  // their mean is used
    double residual_share = 0;
    double widening = 1;
  };
  // Throws InputError for a device that the law cannot price.
  Target target(const hardware::Device& device, DataType type, DataType weights) const;

  GemmCost price(const GemmProduct& product, const Target& target) const;

 private:
  Contents contents_;
};

// What the law handles: 16 and 32 bits, and weights of 4 bits. FP8 has a law of its own (fp8_gemm_law.h).
bool gemm_law_prices(DataType type, DataType weights);

// The product that a Gemm, GroupedGemm or Convolution (as implicit GEMM) describes. `copies`: see
// GemmProduct.
GemmProduct gemm_product(const graph::OperatorShape& shape, double copies);

}  // namespace orrery::cost
