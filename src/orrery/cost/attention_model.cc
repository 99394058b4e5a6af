#include "orrery/cost/attention_model.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "orrery/base/document.h"
#include "orrery/base/storage.h"

namespace orrery::cost {

namespace {

constexpr double kWidestMeasured = 256;
constexpr double kMostResidual = .7;  // of the logarithm: a tree never doubles a time nor halves it
constexpr std::array<std::string_view, kAttentionPhases> kPhaseNames = {"prefill", "decode"};

float log2_of(double x) {
  return static_cast<float>(std::log2(std::max(x, 1e-9)));
}

Bound binding(const AttentionParts& p) {
  double attention = std::max({p.multiprocessors, p.cache, p.memory});
  if (p.fixed + p.combine > attention + p.cache_write) return Bound::Launch;
  if (p.memory >= .8 * attention) return Bound::Memory;
  return p.cache > p.multiprocessors ? Bound::Cache : Bound::Compute;
}

}  // namespace

std::array<float, kAttentionFeatures> attention_features(const AttentionLayer& layer,
                                                         const AttentionSpan& span, const AttentionParts& p,
                                                         const AttentionDevice& device) {
  double time = std::max(p.time, 1e-9);
  double keys = span.cached + span.query;
  double per_multiprocessor = p.blocks / device.multiprocessors;
  return {
      log2_of(span.sequences),
      log2_of(span.query),
      log2_of(keys),
      log2_of(layer.heads / layer.kv_heads),
      log2_of(layer.kv_heads),
      log2_of(layer.head_dim),
      log2_of(per_multiprocessor),
      log2_of(p.longest),
      static_cast<float>(p.fixed / time),
      static_cast<float>(p.multiprocessors / time),
      static_cast<float>(p.memory / time),
      static_cast<float>(p.cache / time),
      static_cast<float>(p.cache_write / time),
      static_cast<float>(p.combine / time),
      log2_of(p.splits),
      std::clamp(log2_of(p.working_set / device.cache), -4.f, 4.f),
      static_cast<float>(per_multiprocessor > 8 ? 1 : per_multiprocessor - std::floor(per_multiprocessor)),
      log2_of(time * 1e6)};
}

std::array<std::array<std::array<double, 2>, kSizeClasses>, kAttentionPhases> AttentionModel::wide_band() {
  std::array<std::array<std::array<double, 2>, kSizeClasses>, kAttentionPhases> band;
  for (auto& phase : band) phase.fill({1 / 1.4, 1.4});
  return band;
}

AttentionModel::Target AttentionModel::target(const hardware::Device& device) const {
  Target t;
  t.device = attention_device(device);
  size_t nearest = kNearnesses;
  for (size_t i = 0; i < weights_.residuals.size(); ++i) {
    const AttentionResidual& r = weights_.residuals[i];
    bool kernel = r.kernel == t.device.kernel;
    Nearness n =
        r.gpu == device.name ? Nearness::Same
        : kernel && r.architecture == device.gpu()->architecture && r.split_cache == t.device.split_cache
            ? Nearness::Architecture
        : kernel && r.split_cache == t.device.split_cache ? Nearness::KernelAndCache
        : kernel                                          ? Nearness::Kernel
                                                          : Nearness::Other;
    if (static_cast<size_t>(n) < nearest) {
      nearest = static_cast<size_t>(n);
      t.sources.clear();
    }
    if (static_cast<size_t>(n) == nearest) t.sources.push_back(i);
  }
  t.nearness = nearest < kNearnesses ? static_cast<Nearness>(nearest) : Nearness::Other;
  return t;
}

AttentionCost AttentionModel::price(const AttentionLayer& layer, std::span<const AttentionSpan> spans,
                                    const Target& target) const {
  AttentionCost cost;
  cost.parts = attention_law(layer, spans, target.device, weights_.constants);
  const AttentionParts& parts = cost.parts;
  if (spans.empty() || parts.time <= 0) return cost;
  // The trees know calls of one length; a mixed batch takes the residual of its mean sequence in the phase
  // that weighs more.
  AttentionSpan mean{0, 0, 0};
  double fresh = 0, cached = 0;
  for (const AttentionSpan& s : spans) {
    mean.sequences += s.sequences;
    fresh += s.sequences * s.query;
    cached += s.sequences * s.cached;
  }
  mean.query = fresh / mean.sequences;
  mean.cached = cached / mean.sequences;
  const size_t phase = static_cast<size_t>(phase_of(mean));
  const double share = weights_.share[phase][static_cast<size_t>(target.nearness)];
  double residual = 0;
  const bool measured_kind = layer.paged && !layer.backward && layer.window <= 0 && !layer.shared_latent &&
                             layer.cache == layer.type && layer.head_dim <= kWidestMeasured;
  if (share > 0 && measured_kind && !target.sources.empty()) {
    // The trees saw calls repeated alone.
    AttentionParts alone = parts;
    if (!layer.repeated) {
      AttentionLayer measured = layer;
      measured.repeated = true;
      alone = attention_law(measured, spans, target.device, weights_.constants);
    }
    auto features = attention_features(layer, mean, alone, target.device);
    for (size_t i : target.sources)
      if (weights_.residuals[i].trees[phase].trees() > 0)
        residual += weights_.residuals[i].trees[phase].predict(features);
    residual = std::clamp(share * residual / static_cast<double>(target.sources.size()), -kMostResidual,
                          kMostResidual);
  }
  double floor =
      std::max({parts.matrix, parts.exponent,
                std::max(0., parts.compulsory_bytes - target.device.cache) / target.device.memory_peak});
  cost.time = Seconds(std::max(parts.time * std::exp(residual), floor));
  const auto& band = weights_.band[phase][size_class(cost.time.value())];
  constexpr double kOtherKind = 1.5,
                   kOtherKernel = 3;  // of call and of library: nothing measured says how far off
  double widening = weights_.widening[static_cast<size_t>(target.nearness)] *
                    (measured_kind ? 1 : kOtherKind) * (target.device.measured_kernel ? 1 : kOtherKernel);
  cost.low = std::pow(band[0], widening);
  cost.high = std::pow(band[1], widening);
  cost.bound_by = binding(parts);
  return cost;
}

std::string AttentionModel::to_json() const {
  nlohmann::ordered_json j;
  j["format"] = "orrery attention weights";
  j["version"] = 1;
  j["trained_on"] = weights_.trained_on;
  for (const auto& row : attention_constant_table())
    j["constants"][std::string(row.name)] = weights_.constants[row.constant];
  for (size_t p = 0; p < kAttentionPhases; ++p) {
    j["share"][std::string(kPhaseNames[p])] = weights_.share[p];
    j["band"][std::string(kPhaseNames[p])] = weights_.band[p];
  }
  j["widening"] = weights_.widening;
  for (const AttentionResidual& r : weights_.residuals) {
    nlohmann::ordered_json source;
    source["gpu"] = r.gpu;
    source["architecture"] = std::string(hardware::name(r.architecture));
    source["kernel"] = static_cast<int>(r.kernel);
    source["split_cache"] = r.split_cache;
    for (size_t p = 0; p < kAttentionPhases; ++p)
      source["trees"][std::string(kPhaseNames[p])] = r.trees[p].to_text();
    j["residuals"].push_back(std::move(source));
  }
  return j.dump(1) + "\n";
}

AttentionModel AttentionModel::from_json(std::string text, const std::string& file) {
  Node root = parse_json(std::move(text), file);
  if (root.at("format").as_string() != "orrery attention weights")
    root.at("format").fail(
        "expected \"orrery attention weights\"; give a file that `orrery fit latency` wrote");
  root.at("version").as_integer(1, 1);
  Weights w;
  w.trained_on = root.at("trained_on").as_string();
  const Node& constants = root.at("constants");
  for (const auto& row : attention_constant_table())
    w.constants[row.constant] = constants.at(row.name).as_number(1e-6, 1e6);
  auto numbers = [](const Node& list, std::span<double> out, double low, double high) {
    if (list.items().size() != out.size()) list.fail("expected " + std::to_string(out.size()) + " numbers");
    for (size_t i = 0; i < out.size(); ++i) out[i] = list.items()[i].as_number(low, high);
  };
  for (size_t p = 0; p < kAttentionPhases; ++p) {
    numbers(root.at("share").at(kPhaseNames[p]), w.share[p], 0, 1);
    const Node& band = root.at("band").at(kPhaseNames[p]);
    if (band.items().size() != kSizeClasses) band.fail("expected " + std::to_string(kSizeClasses) + " pairs");
    for (size_t c = 0; c < kSizeClasses; ++c) numbers(band.items()[c], w.band[p][c], .01, 100);
  }
  numbers(root.at("widening"), w.widening, 0, 10);
  if (const Node* residuals = root.find("residuals")) {
    for (const Node& node : residuals->items()) {
      AttentionResidual r;
      r.gpu = node.at("gpu").as_string();
      auto architecture = hardware::parse_architecture(node.at("architecture").as_string());
      if (!architecture) node.at("architecture").fail("not an architecture that is known");
      r.architecture = *architecture;
      r.kernel = static_cast<AttentionDevice::Kernel>(node.at("kernel").as_integer(0, 2));
      r.split_cache = node.at("split_cache").as_bool();
      for (size_t p = 0; p < kAttentionPhases; ++p) {
        const Node& trees = node.at("trees").at(kPhaseNames[p]);
        try {
          r.trees[p] = learn::BoostedTrees::from_text(trees.as_string());
        } catch (const InputError&) {
          throw;
        } catch (const Error& error) {
          trees.fail(error.what());
        }
        if (r.trees[p].trees() > 0 && r.trees[p].columns() != kAttentionFeatures)
          trees.fail("expected trees over " + std::to_string(kAttentionFeatures) + " features");
      }
      w.residuals.push_back(std::move(r));
    }
  }
  return AttentionModel(std::move(w));
}

AttentionModel AttentionModel::shipped() {
  std::string path = data_folder() + "/weights/attention.json";
  return from_json(read_file(path), path);
}

AttentionLayer attention_layer(const graph::OperatorShape& shape, bool paged) {
  graph::AttentionSize size = graph::attention_size(shape);
  AttentionLayer layer;
  layer.heads = static_cast<double>(size.heads);
  layer.kv_heads = static_cast<double>(size.kv_heads);
  layer.head_dim = static_cast<double>(size.head_dim);
  layer.value_dim = static_cast<double>(size.value_dim);
  layer.causal = size.causal != 0;
  layer.window = static_cast<double>(size.window);
  layer.type = shape.type;
  layer.cache = shape.stored;
  layer.shared_latent = size.shared != 0;
  layer.backward = shape.pass == graph::Pass::InputGradient;
  layer.paged = paged && !layer.backward;
  return layer;
}

AttentionSpan attention_span(const graph::OperatorShape& shape) {
  graph::AttentionSize size = graph::attention_size(shape);
  return {static_cast<double>(size.batch), static_cast<double>(size.query), static_cast<double>(size.cached)};
}

}  // namespace orrery::cost
