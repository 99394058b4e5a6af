#include "orrery/cost/fp8_gemm_model.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "orrery/base/storage.h"

namespace orrery::cost {
namespace {

constexpr double kManyRows = 256;  // above, the block-scaled kernels are bound by arithmetic
constexpr std::array<double, 2> kUnknownHost = {
    -.6, 1.4};  // host times of the measured libraries lie this far apart
// Half widths of bands where nothing was measured: experts (uneven loads, tiles of their own), NVFP4 (any
// row).
constexpr double kGrouped = .25;
constexpr double kNvfp4 = .3;
constexpr double kBand = 1.645;  // standard deviations on either side of a 90 % band

// What a GPU that was not measured may differ by (standard deviation of the logarithm of each part), and how
// much further up than down the band reaches. Kernels that hold their operands by bulk copies behave as they
// are written; older ones, whose compilation may spill registers and whose epilogue stands alone, can only be
// slower than the law's idea of them. The last two rows were chosen by leaving each measured GPU out.
struct Spread {
  double law, launch, quantization, epilogue, rate, cache, memory, upward;
};
constexpr Spread kSameChip = {.03, .04, .04, .04, .05, .04, .05, 1};
constexpr Spread kSameKernels = {.05, .06, .08, .08, .06, .08, .06, 1};
constexpr Spread kBulkCopies = {.07, .10, .15, .18, .06, .06, .08, 1};
constexpr Spread kOldKernels = {.10, .10, .15, .60, .08, .10, .08, 1.4};

// Kernels of which no row of any GPU was measured: tiles, L2 rate and how products queue are known from
// documents alone.
constexpr Spread kUnmeasured = {.12, .15, .20, .25, .08, .20, .10, 1.2};

const Spread& spread_for(Fp8Nearness nearness, Fp8Kernels kernels) {
  if (nearness == Fp8Nearness::Chip) return kSameChip;
  if (nearness != Fp8Nearness::Other) return kSameKernels;
  return kernels == Fp8Kernels::Sm90 ? kBulkCopies : kernels == Fp8Kernels::Sm89 ? kOldKernels : kUnmeasured;
}

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

nlohmann::ordered_json to_json_object(const Fp8Constants& constants) {
  nlohmann::ordered_json object;
  for (size_t i = 0; i < kFp8Constants; ++i)
    object[std::string(fp8_constant_table()[i].name)] = constants.value[i];
  return object;
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
  const auto alike = [](double a, double b) { return std::abs(a - b) <= .05 * std::max(a, b); };
  for (size_t i = 0; i < weights_.residuals.size(); ++i) {
    const Residual& r = weights_.residuals[i];
    if (r.kernels != target.fp8.kernels) continue;
    const Fp8Nearness nearness =
        r.gpu == device.name ? Fp8Nearness::Same
        : alike(r.multiprocessors, target.fp8.multiprocessors) && alike(r.cache, target.fp8.cache)
            ? Fp8Nearness::Chip
            : Fp8Nearness::Kernels;
    if (nearness < target.nearness) {
      target.nearness = nearness;
      target.source = i;
    }
  }
  return target;
}

const Fp8Constants& Fp8GemmModel::constants(const Target& target) const {
  return target.source ? weights_.residuals[*target.source].constants : weights_.constants;
}

Fp8Price Fp8GemmModel::analytic(const Fp8Product& product, DataType type, const Target& target) const {
  Fp8Product sized = product;
  sized.weight_bytes = sized.activation_bytes = bytes_per_element(type);
  Fp8Price price;
  if (type != DataType::FP8Block) {
    price.parts = fp8_gemm_law(sized, type == DataType::NVFP4 ? target.nvfp4 : target.fp8, constants(target));
    return price;
  }
  // The libraries of block scales do not show what rows outside the matrix cost the CUTLASS kernel.
  Fp8Constants block = constants(target);
  block[Fp8Constant::OutsideRow] = std::min(1.0, block[Fp8Constant::OutsideRow]);
  price.parts = fp8_gemm_law(sized, target.fp8, block);
  return price;
}

void Fp8GemmModel::finish(const Fp8Product& product, DataType type, const Target& target, Launch launch,
                          double residual, Fp8Price* price) const {
  const Fp8Parts& parts = price->parts;
  const size_t nearness = static_cast<size_t>(target.nearness);
  // Products of experts have tiles of their own: the trees never saw them.
  const double share = target.source && product.experts <= 1 ? weights_.share[nearness] : 0;
  double time = parts.time;
  std::array<double, 2> band{};
  const Spread& spread =
      spread_for(target.nearness, (type == DataType::NVFP4 ? target.nvfp4 : target.fp8).kernels);
  const double around = kBand * spread_of(parts, spread);
  if (type == DataType::FP8) {
    time = std::max(parts.floor, time * std::exp(share * residual));
    if (target.source) {
      // What the trees leave, and the part of the residual that is not taken.
      const Residual& source = weights_.residuals[*target.source];
      const size_t size = fp8_time_class(time);
      for (size_t end = 0; end < 2; ++end)
        band[end] = source.corrected[size][end] + (1 - share) * source.alone[size][end];
    }
    // The rows had weights in L2 as a benchmark does, and one expert.
    const bool as_measured = target.nearness == Fp8Nearness::Same && product.experts <= 1 &&
                             product.weights == WeightState::Cycled;
    const double grouped = product.experts > 1 ? kGrouped : 0;
    const double unseen = as_measured ? 0 : std::sqrt(square(around) + square(grouped));
    band = {-std::sqrt(square(band[0]) + square(unseen)),
            std::sqrt(square(band[1]) + square(unseen * spread.upward))};
  } else if (type == DataType::FP8Block) {
    const Block& block =
        weights_
            .block[static_cast<size_t>(block_library(target.fp8.kernels, product.m, product.n, product.k))];
    time = std::max(parts.floor, time * block.factor[product.m <= kManyRows ? 0 : 1]);
    const double unseen = target.nearness == Fp8Nearness::Same ? 0 : around;
    band = {-std::sqrt(square(block.band[0]) + square(unseen)),
            std::sqrt(square(block.band[1]) + square(unseen))};
    if (launch == Launch::Eager) {
      if (!block.measured) band = {std::min(band[0], kUnknownHost[0]), std::max(band[1], kUnknownHost[1])};
      const double most = std::max(time, block.host);
      time = most * std::pow(std::pow(time / most, 4) + std::pow(block.host / most, 4), .25);
    }
  } else {
    const double unseen = std::sqrt(square(around) + square(kNvfp4));
    band = {-unseen, unseen * spread.upward};
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
  json["constants"] = to_json_object(weights_.constants);
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
                                 {"multiprocessors", r.multiprocessors},
                                 {"cache_bytes", r.cache},
                                 {"constants", to_json_object(r.constants)},
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
    const auto constants_of = [&](const nlohmann::json& object) {
      Fp8Constants constants;
      for (size_t i = 0; i < kFp8Constants; ++i) {
        constants.value[i] = object.at(std::string(fp8_constant_table()[i].name));
        if (!(constants.value[i] > 0) || !std::isfinite(constants.value[i]))
          fail("a constant that is not above 0");
      }
      return constants;
    };
    weights.constants = constants_of(json.at("constants"));
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
      residual.multiprocessors = r.at("multiprocessors");
      residual.cache = r.at("cache_bytes");
      residual.constants = constants_of(r.at("constants"));
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
