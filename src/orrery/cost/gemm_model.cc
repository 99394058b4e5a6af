#include "orrery/cost/gemm_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orrery/base/document.h"

namespace orrery::cost {
namespace {

constexpr std::string_view kFormat = "orrery gemm weights";
constexpr double kMostResidual = .7;     // in logarithms: no correction of a law is more than a factor of two
constexpr double kUnknownFact = 1.15;    // of the band's width, for each figure that nobody published
constexpr double kUnmeasuredType = 1.5;  // for types of which no product was measured

float log2_of(double x) {
  return static_cast<float>(std::log2(std::max(x, 1e-9)));
}

}  // namespace

GemmFeatures gemm_features(const GemmProduct& p, const GemmParts& parts, const GemmDevice& device) {
  const double working_set = (std::max(p.copies, 1.0) * p.n * p.k * p.weight_bytes +
                              p.m * p.k * p.activation_bytes + p.m * p.n * p.output_bytes) *
                             p.batch;
  const double share = 1 / parts.time;
  const double full = std::ceil(parts.waves);
  return {log2_of(p.m * p.batch),
          log2_of(p.n),
          log2_of(p.k),
          static_cast<float>(parts.multiprocessors * share),
          static_cast<float>(parts.cache * share),
          static_cast<float>(parts.memory * share),
          static_cast<float>((parts.launch + parts.split_time) * share),
          log2_of(parts.waves),
          static_cast<float>(parts.waves > 1 ? full / parts.waves : 1),
          log2_of(parts.split),
          log2_of(parts.tile_n * parts.tile_m),
          static_cast<float>(p.m / (std::ceil(p.m / parts.tile_m) * parts.tile_m)),
          static_cast<float>(p.n / (std::ceil(p.n / parts.tile_n) * parts.tile_n)),
          log2_of(p.k / parts.split),
          log2_of(working_set / device.cache),
          log2_of(parts.time * 1e6),
          static_cast<float>(parts.weights_cold)};
}

bool stacked_memory(const hardware::Device& device) {
  return device.memory_type.starts_with("HBM");
}

bool gemm_law_prices(DataType type, DataType weights) {
  const auto wide = [](DataType t) {
    return t == DataType::BF16 || t == DataType::FP16 || t == DataType::FP32 || t == DataType::TF32;
  };
  if (type == DataType::INT8 && weights == DataType::INT8) return true;
  return wide(type) && (wide(weights) || weights == DataType::INT4 || weights == DataType::NVFP4 ||
                        weights == DataType::MXFP4 || weights == DataType::INT8);
}

GemmModel::Target GemmModel::target(const hardware::Device& device, DataType type, DataType weights) const {
  const GemmDevice facts = gemm_device(device, type, weights);
  const hardware::Architecture architecture = device.gpu()->architecture;
  const bool stacked = stacked_memory(device);
  std::vector<const MeasuredGpu*> sources;
  GemmNearness nearness = GemmNearness::Other;
  for (const MeasuredGpu& gpu : contents_.gpus) {
    const GemmNearness near = gpu.name == device.name ? GemmNearness::Same
                              : gpu.architecture == architecture && gpu.stacked_memory == stacked
                                  ? GemmNearness::Architecture
                              : gpu.stacked_memory == stacked ? GemmNearness::Memory
                                                              : GemmNearness::Other;
    if (near < nearness) {
      sources.clear();
      nearness = near;
    }
    if (near == nearness) sources.push_back(&gpu);
  }
  const auto at = static_cast<size_t>(nearness);
  double rate = 0, launch = 0, bandwidth = 0;
  for (const MeasuredGpu* gpu : sources) {
    rate += std::log(gpu->effects.rate);
    if (nearness == GemmNearness::Memory) continue;
    launch += std::log(gpu->effects.launch);
    bandwidth += std::log(gpu->effects.bandwidth);
  }
  const double part = sources.empty() ? 0 : contents_.effect_share[at] / static_cast<double>(sources.size());
  const GemmEffects effects{std::exp(part * rate), std::exp(part * launch), std::exp(part * bandwidth)};
  Target target{GemmLaw(facts, contents_.constants, effects),
                nearness,
                {},
                contents_.residual_share[at],
                contents_.widening[at]};
  for (const MeasuredGpu* gpu : sources) target.residuals.push_back(&gpu->residual);
  if (nearness != GemmNearness::Same) {
    for (bool known : {facts.measured_rate, facts.measured_bandwidth, facts.measured_cache}) {
      if (!known) target.widening *= kUnknownFact;
    }
  }
  const bool sixteen_bits = (type == DataType::BF16 || type == DataType::FP16) && type == weights;
  if (!sixteen_bits) target.widening *= kUnmeasuredType;
  return target;
}

GemmCost GemmModel::price(const GemmProduct& product, const Target& target) const {
  GemmCost cost;
  cost.parts = target.law(product);
  const GemmFeatures features = gemm_features(product, cost.parts, target.law.device());
  double time = cost.parts.time;
  if (!target.residuals.empty() && target.residual_share > 0) {
    double residual = 0;
    for (const learn::BoostedTrees* trees : target.residuals) residual += trees->predict(features);
    residual *= target.residual_share / static_cast<double>(target.residuals.size());
    time *= std::exp(std::clamp(residual, -kMostResidual, kMostResidual));
  }
  cost.time = Seconds(std::max(time, cost.parts.floor));
  const BandFactors band = contents_.band.factors(features, target.widening);
  cost.low = band.low;
  cost.high = band.high;
  return cost;
}

GemmProduct gemm_product(const graph::OperatorShape& shape, double copies) {
  GemmProduct p;
  p.copies = copies;
  p.activation_bytes = p.output_bytes = bytes_per_element(shape.type);
  p.weight_bytes = bytes_per_element(shape.stored);
  if (shape.kind == graph::OperatorKind::GroupedGemm) {
    const graph::GroupedGemmSize size = graph::grouped_gemm_size(shape);
    p.experts = static_cast<double>(size.experts);
    p.m = static_cast<double>(size.m);
    p.n = static_cast<double>(size.n);
    p.k = static_cast<double>(size.k);
  } else if (shape.kind == graph::OperatorKind::Convolution) {
    const graph::ConvolutionSize size = graph::convolution_size(shape);
    const auto groups = static_cast<double>(std::max<int64_t>(1, size.groups));
    p.batch = groups;
    p.m = static_cast<double>(size.batch) * static_cast<double>(size.out_height()) *
          static_cast<double>(size.out_width());
    p.n = static_cast<double>(size.out_channels) / groups;
    p.k = static_cast<double>(size.in_channels) / groups * static_cast<double>(size.kernel_h) *
          static_cast<double>(size.kernel_w);
    // Patches are formed on chip: each input value comes from DRAM once.
    p.activation_bytes *= static_cast<double>(size.height) * static_cast<double>(size.width) /
                          (static_cast<double>(size.out_height()) * static_cast<double>(size.out_width()) *
                           static_cast<double>(size.kernel_h) * static_cast<double>(size.kernel_w));
  } else {
    const graph::GemmSize size = graph::gemm_size(shape);
    p.batch = static_cast<double>(size.batch);
    p.m = static_cast<double>(size.m);
    p.n = static_cast<double>(size.n);
    p.k = static_cast<double>(size.k);
  }
  return p;
}

std::string GemmModel::to_json() const {
  std::string text = fmt::format("{{\n \"format\": \"{}\",\n \"version\": 1,\n \"constants\": {{", kFormat);
  const auto& table = gemm_constant_table();
  for (size_t i = 0; i < kGemmConstants; ++i) {
    text += fmt::format("{}\n  \"{}\": {:.8g}", i ? "," : "", table[i].name, contents_.constants.value[i]);
  }
  const auto list = [](const std::array<double, kGemmNearnesses>& v) {
    return fmt::format("[{:.6g}, {:.6g}, {:.6g}, {:.6g}]", v[0], v[1], v[2], v[3]);
  };
  text += fmt::format(
      "\n }},\n \"residual_share\": {},\n \"effect_share\": {},\n \"widening\": {},\n \"band\": {},\n "
      "\"gpus\": [",
      list(contents_.residual_share), list(contents_.effect_share), list(contents_.widening),
      contents_.band.to_json());
  for (size_t i = 0; i < contents_.gpus.size(); ++i) {
    const MeasuredGpu& gpu = contents_.gpus[i];
    text += fmt::format(
        "{}\n  {{\"name\": \"{}\", \"architecture\": \"{}\", \"stacked_memory\": {}, \"rate\": {:.8g}, "
        "\"launch\": {:.8g}, "
        "\"bandwidth\": "
        "{:.8g},\n   \"residual\": \"{}\"}}",
        i ? "," : "", gpu.name, hardware::name(gpu.architecture), gpu.stacked_memory, gpu.effects.rate,
        gpu.effects.launch, gpu.effects.bandwidth, gpu.residual.to_text());
  }
  return text + "\n ]\n}\n";
}

GemmModel GemmModel::from_json(std::string text, const std::string& file) {
  const Node root = parse_json(std::move(text), file);
  if (root.at("format").as_string() != kFormat)
    root.at("format").fail("expected \"" + std::string(kFormat) + "\"");
  root.at("version").as_integer(1, 1);
  Contents contents;
  const Node& constants = root.at("constants");
  for (const auto& row : gemm_constant_table()) {
    contents.constants[row.constant] = constants.at(row.name).as_number(1e-6, 1e9);
  }
  const auto list = [&](std::string_view key, std::array<double, kGemmNearnesses>& into) {
    const Node& node = root.at(key);
    if (node.items().size() != kGemmNearnesses)
      node.fail(fmt::format("expected {} numbers", kGemmNearnesses));
    for (size_t i = 0; i < kGemmNearnesses; ++i) into[i] = node.items()[i].as_number(0, 10);
  };
  list("residual_share", contents.residual_share);
  list("effect_share", contents.effect_share);
  list("widening", contents.widening);
  contents.band = ErrorBand::from_json(root.at("band"));
  for (const Node& node : root.at("gpus").items()) {
    MeasuredGpu gpu;
    gpu.name = node.at("name").as_string();
    const auto architecture = hardware::parse_architecture(node.at("architecture").as_string());
    if (!architecture) node.at("architecture").fail("is no architecture that this program knows");
    gpu.architecture = *architecture;
    gpu.stacked_memory = node.at("stacked_memory").as_bool();
    gpu.effects = {node.at("rate").as_number(.05, 20), node.at("launch").as_number(.05, 20),
                   node.at("bandwidth").as_number(.05, 20)};
    const Node& residual = node.at("residual");
    try {
      gpu.residual = learn::BoostedTrees::from_text(residual.as_string());
    } catch (const InputError&) {
      throw;
    } catch (const Error& error) {
      residual.fail(error.what());
    }
    if (gpu.residual.columns() != kGemmFeatures)
      residual.fail(fmt::format("expected {} features", kGemmFeatures));
    contents.gpus.push_back(std::move(gpu));
  }
  return GemmModel(std::move(contents));
}

}  // namespace orrery::cost
