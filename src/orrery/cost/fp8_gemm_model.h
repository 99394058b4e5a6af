// How long an FP8 matrix product takes on a GPU, activation quantization included: the analytic law
// (fp8_gemm_law.h) times exp(share · learned residual), with a 90 % band. Also priced by it: FP8 with a scale
// per block of weights, NVFP4, grouped products of experts, and FP8 weights on GPUs without FP8 units; for
// those nothing, or little, was measured, and the band says so.
//
// Constants and residual are fitted for each measured GPU; the residual is a sum of small trees over sizes
// and ratios of the law's own parts. A GPU that was measured takes its own in full; one with the same kernels
// takes the constants and a share of the residual, a larger one where the chip is the same but for its
// memory; any other takes constants fitted to all measured GPUs at once and no residual: it would carry
// another kernel's quirks.
//
// FP8 with block scales runs three libraries on Hopper and Triton on Ada, each launched from the host at a
// cost of 60 to 330 us a call, which hides the GPU's time of small products; within a captured graph there is
// no such floor.
//
// Immutable and thread-safe; pricing allocates nothing and takes about three microseconds alone, two in
// batches.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/cost/fp8_gemm_law.h"
#include "orrery/learn/boosted_trees.h"

namespace orrery::cost {

inline constexpr size_t kFp8Features = 12;
std::array<float, kFp8Features> fp8_features(const Fp8Product& product, const Fp8Parts& parts);

// How near a target is to the measured GPUs: itself, the same chip (multiprocessors and L2), the same
// kernels, neither.
enum class Fp8Nearness : size_t { Same, Chip, Kernels, Other };
inline constexpr size_t kFp8Nearnesses = 4;

// Libraries of FP8 products with block scales.
enum class BlockLibrary : size_t { FlashInfer, DeepGemm, Cutlass, Triton };
inline constexpr size_t kBlockLibraries = 4;
BlockLibrary block_library(Fp8Kernels kernels, double m, double n, double k);
std::string_view name(BlockLibrary);

// Size classes of a predicted time: < 20 us, < 100 us, < 1 ms, more.
inline constexpr size_t kFp8TimeClasses = 4;
size_t fp8_time_class(double seconds);

enum class Launch : uint8_t {
  Captured,  // a captured graph, as engines replay for decoding: no host time between kernels
  Eager,     // each call launched by the host, as block-scaled products were measured
};

struct Fp8Price {
  Seconds time;
  double low = 1, high = 1;  // the 90 % band as factors on `time`
  Fp8Parts parts;            // of the law, before the residual
};

class Fp8GemmModel {
 public:
  struct Residual {
    std::string gpu;  // catalogue name
    Fp8Kernels kernels = Fp8Kernels::Unknown;
    double multiprocessors = 0, cache = 0;  // of that GPU; bytes
    Fp8Constants constants;                 // fitted to its rows alone
    learn::BoostedTrees trees;
    // Logarithms of the band's ends around the corrected law, and around the law alone, by time class.
    std::array<std::array<double, 2>, kFp8TimeClasses> corrected{}, alone{};
  };
  struct Block {
    double host = 90e-6;                 // s of a call launched by the host
    std::array<double, 2> factor{1, 1};  // GPU time over the law's, up to 256 rows and above
    std::array<double, 2> band{-.3, .3};
    bool measured =
        false;  // no call of this library was measured: its host time may be anything that others take
  };
  // What the weights hold. Without a fit: the constants' centres.
  struct Weights {
    Fp8Constants constants = central_fp8_constants();  // fitted to all measured GPUs at once
    std::vector<Residual> residuals;
    std::array<double, kFp8Nearnesses> share{1, .85, .6, 0};
    std::array<Block, kBlockLibraries> block{};
    std::string trained_on;  // one line: rows and GPUs
  };

  Fp8GemmModel() = default;
  explicit Fp8GemmModel(Weights weights) : weights_(std::move(weights)) {}
  static Fp8GemmModel shipped();  // data/weights/fp8_gemm.json; throws InputError
  static Fp8GemmModel from_json(std::string text, const std::string& file);  // throws InputError
  std::string to_json() const;
  const Weights& weights() const { return weights_; }

  // A device as this model sees it. Make once, price often.
  struct Target {
    Fp8Device fp8, nvfp4;
    Fp8Nearness nearness = Fp8Nearness::Other;
    std::optional<size_t> source;  // into weights().residuals
  };
  Target target(const hardware::Device& device) const;  // throws InputError for what is no GPU

  // `type`: FP8, FP8Block or NVFP4; bytes per value of `product` are set from it.
  Fp8Price price(const Fp8Product& product, DataType type, const Target& target,
                 Launch launch = Launch::Captured) const;
  // The same for many products; out.size() == products.size().
  void price(std::span<const Fp8Product> products, DataType type, const Target& target, Launch launch,
             std::span<Fp8Price> out) const;

 private:
  const Fp8Constants& constants(const Target& target) const;
  Fp8Price analytic(const Fp8Product& product, DataType type, const Target& target) const;
  void finish(const Fp8Product& product, DataType type, const Target& target, Launch launch, double residual,
              Fp8Price* price) const;

  Weights weights_;
};

}  // namespace orrery::cost
