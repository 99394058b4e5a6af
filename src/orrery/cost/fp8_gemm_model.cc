#include "orrery/cost/fp8_gemm_model.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "orrery/base/storage.h"

namespace orrery::cost {
namespace {

constexpr double kManyRows = 256;  // above, the block-scaled kernels are bound by arithmetic
constexpr std::array<double, 2> kUnknownHost = {
    -.6, 1.4};                   // host times of the measured libraries lie this far apart
constexpr double kBand = 1.645;  // standard deviations on either side of a 90 % band

// What the constants of a GPU that was not measured may differ by (standard deviation of the logarithm): a
// GPU with the same kernels, and any other, whose kernels can only be slower than the law's idea of them.
struct Spread {
  double law, launch, quantization, epilogue, rate, cache, memory, quirks;
};
constexpr Spread kSameKernels = {.05, .08, .10, .10, .06, .10, .06, 0};
constexpr Spread kOtherKernels = {.05, .12, .20, .35, .10, .15, .08, .15};

double square(double x) {
  return x * x;
}

// Spread of the law's logarithm: each part's spread times its share of the time.
double spread_of(const Fp8Parts& p, const Spread& s) {
  const double share = 1 / p.time;
  const double per_round = p.multiprocessors / std::max(1e-30, p.matrix + p.epilogue);
  const double epilogue = std::min(1.0, per_round * p.epilogue * share);
  const double matrix =
      std::min(1.0, std::max(p.sustained, p.multiprocessors * p.matrix / (p.matrix + p.epilogue)) * share);
  return std::sqrt(square(s.law) + square(s.launch * p.fixed * share) +
                   square(s.quantization * p.quantization * share) + square(s.epilogue * epilogue) +
                   square(s.rate * matrix) + square(s.cache * std::min(1.0, p.cache * share)) +
                   square(s.memory * std::min(1.0, p.memory * share)));
}

DataType value_type(DataType type) {
  if (type == DataType::FP8 || type == DataType::FP8Block || type == DataType::NVFP4) return type;
  throw InputError("the FP8 law prices fp8, fp8_block and nvfp4, not " + std::string(name(type)));
}

}  // namespace

std::array<float, kFp8Features> fp8_features(const Fp8Product& product, const Fp8Parts& parts) {
  const double compute = std::max(parts.multiprocessors, parts.sustained);
  const double tile_rows = std::ceil(product.m / parts.tile.rows);
  const double tile_columns = std::ceil(product.n / parts.tile.columns);
  const auto ratio = [](double a, double b) {
    return static_cast<float>(std::clamp(std::log(std::max(a, 1e-12) / b), -3.0, 3.0));
  };
  return {
      static_cast<float>(std::log2(product.m)),
      static_cast<float>(std::log2(product.n)),
      static_cast<float>(std::log2(product.k)),
      static_cast<float>(std::log2(parts.waves)),
      static_cast<float>(parts.waves - std::floor(parts.waves)),
      static_cast<float>(product.m / (tile_rows * parts.tile.rows)),
      static_cast<float>(product.n / (tile_columns * parts.tile.columns)),
      ratio(parts.memory, compute),
      ratio(parts.cache, compute),
      static_cast<float>((parts.fixed + parts.quantization) / parts.time),
      static_cast<float>(parts.weights_cold),
      static_cast<float>(std::fmod(tile_rows, 2)),
  };
}

BlockLibrary block_library(Fp8Kernels kernels, double m, double n, double k) {
  if (kernels == Fp8Kernels::Sm90) {
    if (n < 64 || k < 128) return BlockLibrary::Cutlass;
    return m < 32 ? BlockLibrary::FlashInfer : BlockLibrary::DeepGemm;
  }
  if (kernels == Fp8Kernels::Sm100) return BlockLibrary::DeepGemm;
  if (kernels == Fp8Kernels::Sm120) return BlockLibrary::Cutlass;
  return BlockLibrary::Triton;
}

std::string_view name(BlockLibrary library) {
  static constexpr std::array<std::string_view, kBlockLibraries> kNames = {"flashinfer", "deepgemm",
                                                                           "cutlass", "triton"};
  return kNames[static_cast<size_t>(library)];
}

size_t fp8_time_class(double seconds) {
  return seconds < 20e-6 ? 0 : seconds < 100e-6 ? 1 : seconds < 1e-3 ? 2 : 3;
}

Fp8GemmModel::Target Fp8GemmModel::target(const hardware::Device& device) const {
  Target target{
      fp8_device(device, DataType::FP8), fp8_device(device, DataType::NVFP4), Fp8Nearness::Other, {}};
  for (size_t i = 0; i < weights_.residuals.size(); ++i) {
    if (weights_.residuals[i].gpu == device.name) {
      target.nearness = Fp8Nearness::Same;
      target.source = i;
    } else if (target.nearness == Fp8Nearness::Other && weights_.residuals[i].kernels == target.fp8.kernels) {
      target.nearness = Fp8Nearness::Kernels;
      target.source = i;
    }
  }
  return target;
}

Fp8Price Fp8GemmModel::analytic(const Fp8Product& product, DataType type, const Target& target) const {
  Fp8Product sized = product;
  sized.weight_bytes = sized.activation_bytes = bytes_per_element(type);
  Fp8Price price;
  if (type != DataType::FP8Block) {
    price.parts =
        fp8_gemm_law(sized, type == DataType::NVFP4 ? target.nvfp4 : target.fp8, weights_.constants);
    return price;
  }
  // The libraries of block scales do not show what rows outside the matrix cost the CUTLASS kernel.
  Fp8Constants constants = weights_.constants;
  constants[Fp8Constant::OutsideRow] = std::min(1.0, constants[Fp8Constant::OutsideRow]);
  price.parts = fp8_gemm_law(sized, target.fp8, constants);
  return price;
}

void Fp8GemmModel::finish(const Fp8Product& product, DataType type, const Target& target, Launch launch,
                          double residual, Fp8Price* price) const {
  const Fp8Parts& parts = price->parts;
  const size_t nearness = static_cast<size_t>(target.nearness);
  const double share = target.source ? weights_.share[nearness] : 0;
  double time = parts.time;
  std::array<double, 2> band{};
  if (type == DataType::FP8) {
    time = std::max(parts.floor, time * std::exp(share * residual));
    const size_t size = fp8_time_class(time);
    if (target.nearness == Fp8Nearness::Same && product.experts <= 1 &&
        product.weights == WeightState::Cycled) {
      band = weights_.residuals[*target.source].corrected[size];
    } else {
      const Spread& spread = target.nearness == Fp8Nearness::Other ? kOtherKernels : kSameKernels;
      const double around = kBand * spread_of(parts, spread);
      std::array<double, 2> scatter{-.1, .1};
      if (target.source) {
        const Residual& source = weights_.residuals[*target.source];
        scatter = target.nearness == Fp8Nearness::Same ? source.corrected[size] : source.alone[size];
      } else if (!weights_.residuals.empty()) {
        scatter = {0, 0};
        for (const Residual& r : weights_.residuals) {
          scatter[0] = std::min(scatter[0], r.alone[size][0]);
          scatter[1] = std::max(scatter[1], r.alone[size][1]);
        }
      }
      const double experts =
          product.experts > 1 ? .2 : 0;  // uneven loads, other tiles: nothing here measures them
      band = {-std::sqrt(square(scatter[0]) + square(around) + square(experts)),
              std::sqrt(square(scatter[1]) + square(around) + square(experts)) + kBand * spread.quirks};
    }
  } else if (type == DataType::FP8Block) {
    const Block& block =
        weights_
            .block[static_cast<size_t>(block_library(target.fp8.kernels, product.m, product.n, product.k))];
    time = std::max(parts.floor, time * block.factor[product.m <= kManyRows ? 0 : 1]);
    const double around =
        kBand * spread_of(parts, target.nearness == Fp8Nearness::Other ? kOtherKernels : kSameKernels);
    const double unseen = target.nearness == Fp8Nearness::Same ? 0 : around;
    band = {-std::sqrt(square(block.band[0]) + square(unseen)),
            std::sqrt(square(block.band[1]) + square(unseen))};
    if (launch == Launch::Eager) {
      if (!block.measured) band = {std::min(band[0], kUnknownHost[0]), std::max(band[1], kUnknownHost[1])};
      const double most = std::max(time, block.host);
      time = most * std::pow(std::pow(time / most, 4) + std::pow(block.host / most, 4), .25);
    }
  } else {
    // No NVFP4 row was measured anywhere.
    const double around = kBand * spread_of(parts, kOtherKernels);
    band = {-std::sqrt(square(around) + square(.25)),
            std::sqrt(square(around) + square(.25)) + kBand * kOtherKernels.quirks};
  }
  price->time = Seconds(time);
  price->low = std::max(std::exp(band[0]), parts.floor / time);
  price->high = std::exp(band[1]);
}

Fp8Price Fp8GemmModel::price(const Fp8Product& product, DataType type, const Target& target,
                             Launch launch) const {
  Fp8Price price = analytic(product, value_type(type), target);
  double residual = 0;
  if (type == DataType::FP8 && target.source && weights_.share[static_cast<size_t>(target.nearness)] > 0) {
    residual = weights_.residuals[*target.source].trees.predict(fp8_features(product, price.parts));
  }
  finish(product, type, target, launch, residual, &price);
  return price;
}

void Fp8GemmModel::price(std::span<const Fp8Product> products, DataType type, const Target& target,
                         Launch launch, std::span<Fp8Price> out) const {
  constexpr size_t kBatch = 256;
  const bool learned = value_type(type) == DataType::FP8 && target.source &&
                       weights_.share[static_cast<size_t>(target.nearness)] > 0;
  std::array<float, kBatch * kFp8Features> features;
  std::array<double, kBatch> residuals{};
  for (size_t begin = 0; begin < products.size(); begin += kBatch) {
    const size_t count = std::min(kBatch, products.size() - begin);
    for (size_t i = 0; i < count; ++i) {
      out[begin + i] = analytic(products[begin + i], type, target);
      if (!learned) continue;
      const auto row = fp8_features(products[begin + i], out[begin + i].parts);
      std::copy(row.begin(), row.end(), features.begin() + static_cast<std::ptrdiff_t>(i * kFp8Features));
    }
    if (learned) {
      weights_.residuals[*target.source].trees.predict({features.data(), count * kFp8Features},
                                                       {residuals.data(), count});
    }
    for (size_t i = 0; i < count; ++i)
      finish(products[begin + i], type, target, launch, residuals[i], &out[begin + i]);
  }
}

Fp8GemmModel Fp8GemmModel::shipped() {
  const std::string path = data_folder() + "/weights/fp8_gemm.json";
  return from_json(read_file(path), path);
}

std::string Fp8GemmModel::to_json() const {
  nlohmann::ordered_json json;
  json["format"] = "orrery-fp8-gemm";
  json["version"] = 1;
  json["trained_on"] = weights_.trained_on;
  for (size_t i = 0; i < kFp8Constants; ++i) {
    json["constants"][std::string(fp8_constant_table()[i].name)] = weights_.constants.value[i];
  }
  json["share"] = weights_.share;
  for (size_t i = 0; i < kBlockLibraries; ++i) {
    const Block& block = weights_.block[i];
    json["block"][std::string(name(static_cast<BlockLibrary>(i)))] = {
        {"host_s", block.host}, {"factor", block.factor}, {"band", block.band}, {"measured", block.measured}};
  }
  json["residuals"] = nlohmann::ordered_json::array();
  for (const Residual& r : weights_.residuals) {
    json["residuals"].push_back({{"gpu", r.gpu},
                                 {"kernels", std::string(name(r.kernels))},
                                 {"corrected", r.corrected},
                                 {"alone", r.alone},
                                 {"trees", r.trees.to_text()}});
  }
  return json.dump(1) + "\n";
}

Fp8GemmModel Fp8GemmModel::from_json(std::string text, const std::string& file) {
  const auto fail = [&](const std::string& what) -> void {
    throw InputError(Place{file, 0, 0},
                     what + "; expected weights of the FP8 law; fit them again with `orrery fit latency`");
  };
  Weights weights;
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    if (json.at("format") != "orrery-fp8-gemm" || json.at("version") != 1) fail("another format or version");
    weights.trained_on = json.at("trained_on");
    for (size_t i = 0; i < kFp8Constants; ++i) {
      const double value = json.at("constants").at(std::string(fp8_constant_table()[i].name));
      if (!(value > 0) || !std::isfinite(value)) fail("a constant that is not above 0");
      weights.constants.value[i] = value;
    }
    weights.share = json.at("share");
    for (size_t i = 0; i < kBlockLibraries; ++i) {
      const nlohmann::json& block = json.at("block").at(std::string(name(static_cast<BlockLibrary>(i))));
      weights.block[i] = {block.at("host_s"), block.at("factor"), block.at("band"), block.at("measured")};
    }
    for (const nlohmann::json& r : json.at("residuals")) {
      Residual residual;
      residual.gpu = r.at("gpu");
      for (const Fp8Kernels kernels :
           {Fp8Kernels::Sm89, Fp8Kernels::Sm90, Fp8Kernels::Sm100, Fp8Kernels::Sm120}) {
        if (r.at("kernels") == name(kernels)) residual.kernels = kernels;
      }
      residual.corrected = r.at("corrected");
      residual.alone = r.at("alone");
      residual.trees = learn::BoostedTrees::from_text(r.at("trees").get<std::string>());
      if (residual.trees.columns() != kFp8Features) fail("trees over other features");
      weights.residuals.push_back(std::move(residual));
    }
  } catch (const nlohmann::json::exception& error) {
    fail(error.what());
  }
  return Fp8GemmModel(std::move(weights));
}

}  // namespace orrery::cost
