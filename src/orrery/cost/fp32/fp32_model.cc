#include "orrery/cost/fp32/fp32_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "orrery/base/document.h"
#include "orrery/base/text.h"
#include "orrery/cost/weights.h"
#include "orrery/hardware/device.h"

namespace orrery::cost {
namespace {

constexpr std::string_view kFormat = "orrery fp32 weights";
constexpr double kRelatedShare = .5;   // of the factors of a GPU of the same architecture
constexpr double kMostResidual = 1.2;  // of the logarithm

struct EffectField {
  std::string_view name;
  double Fp32Effects::*field;
};
constexpr EffectField kEffects[] = {{"rate", &Fp32Effects::rate},
                                    {"power", &Fp32Effects::power},
                                    {"memory", &Fp32Effects::memory},
                                    {"launch", &Fp32Effects::launch}};
constexpr size_t kRate = 0;  // in kFp32EffectFields

// Dimensions of which a call can do half: more work holds them.
std::span<double Fp32Call::*const> halved(Fp32Class kernel) {
  static constexpr double Fp32Call::*kProduct[] = {&Fp32Call::m, &Fp32Call::n, &Fp32Call::k};
  static constexpr double Fp32Call::*kVector[] = {&Fp32Call::rows};
  if (is_product(kernel)) return kProduct;
  return kVector;
}

Fp32Call half(Fp32Call call, double Fp32Call::*dimension) {
  const double whole = call.*dimension, part = std::floor(whole / 2);
  call.*dimension = part;
  if (!is_product(call.kernel)) {
    call.read *= part / whole;
    call.written *= part / whole;
    call.shared = std::min(call.shared, call.written);
  }
  return call;
}

Bound bound_of(const Fp32Parts& p) {
  if (p.time <= p.host || p.start > p.body) return Bound::Launch;
  if (p.power >= std::max({p.compute, p.memory, p.cache})) return Bound::Power;
  if (p.memory >= std::max(p.compute, p.cache)) return Bound::Memory;
  return p.cache >= p.compute ? Bound::Cache : Bound::Compute;
}

}  // namespace

double fp32_floor(const Fp32Call& s, const Fp32Device& d) {
  const double bytes = is_product(s.kernel) && s.kernel != Fp32Class::Convolution
                           ? 4 * s.batch * (s.m * s.k + s.k * s.n + s.m * s.n)
                           : s.read + s.written;
  const double work =
      is_product(s.kernel) && s.kernel != Fp32Class::Convolution ? 2 * s.batch * s.m * s.n * s.k : 0;
  const double cache = bytes / std::max(2.5 * d.bandwidth, d.multiprocessors * d.clock * 64);
  const double dram = std::max(0., bytes - 2 * d.cache) / d.bandwidth;
  return std::max({work / d.matrix_rate, cache, dram});
}

Fp32Model::Target Fp32Model::target(const hardware::Device& device) const {
  Target target;
  target.device = fp32_device(device);
  const hardware::Gpu& gpu = *device.gpu();
  double related = 0;
  Fp32Effects sum;
  for (const Measured& measured : contents_.gpus) {
    if (lower_case(measured.gpu) == lower_case(device.name)) {
      target.effects = measured.effects;
      target.measured = true;
      target.known.fill(true);
      return target;
    }
    if (measured.architecture != gpu.architecture) continue;
    for (const EffectField& f : kEffects) sum.*f.field += measured.effects.*f.field;
    target.known[kRate] |= measured.multiprocessors == gpu.multiprocessors;
    ++related;
  }
  if (related > 0) {
    for (const EffectField& f : kEffects) target.effects.*f.field = kRelatedShare * sum.*f.field / related;
  }
  return target;
}

struct Fp32Model::Alone {
  Fp32Parts parts;
  double time = 0, most = 0;  // s; the most that it, or any part of it, could take
};

Fp32Model::Alone Fp32Model::alone(const Fp32Call& call, const Target& target, Fp32Setting setting) const {
  Alone alone;
  alone.parts = fp32_law(call, target.device, contents_.constants, target.effects, setting);
  const Fp32Parts& parts = alone.parts;
  const Fp32Features features = fp32_features(call, parts, target.device);
  const size_t kernel = static_cast<size_t>(call.kernel);
  const learn::BoostedTrees& trees = contents_.residual[kernel];
  const double share = target.measured ? 1 : contents_.residual_share;
  const double residual =
      trees.columns() == 0 ? 0 : share * std::clamp(trees.predict(features), -kMostResidual, kMostResidual);
  // Of linears the trees learn how well tiles fill the lanes, which has no say where power sets the pace;
  // batched products run one kernel, whose power they know too.
  const double body = call.kernel == Fp32Class::Batched
                          ? parts.body * std::exp(residual)
                          : std::max(parts.uncapped * std::exp(residual), parts.power);
  alone.time = std::max(parts.host, parts.start + std::max(body, fp32_floor(call, target.device)));
  // The law falls with more work only where a width becomes a multiple of 4.
  const double misaligned = is_product(call.kernel) ? 1 + contents_.constants.unaligned : 1;
  alone.most = std::max(parts.host, parts.start + parts.body * misaligned * std::exp(share * kMostResidual));
  return alone;
}

// What trees learned of other sizes, and widths that become aligned, may turn more work into less time:
// `time` is at least that of every call that the whole holds, halved in its dimensions from `first` on, again
// and again. The law prunes: what it gives a half bounds all that follows.
void Fp32Model::lengthen(const Fp32Call& call, const Alone& whole, const Target& target, Fp32Setting setting,
                         size_t first, double* time) const {
  const auto dimensions = halved(call.kernel);
  for (size_t d = first; d < dimensions.size(); ++d) {
    if (call.*dimensions[d] < 2 || whole.most <= *time) continue;
    const Fp32Call part = half(call, dimensions[d]);
    const Alone less = alone(part, target, setting);
    *time = std::max(*time, less.time);
    lengthen(part, less, target, setting, d, time);
  }
}

Fp32Cost Fp32Model::price(const Fp32Call& call, const Target& target, Fp32Setting setting) const {
  const Alone whole = alone(call, target, setting);
  Fp32Cost cost;
  cost.parts = whole.parts;
  cost.time = whole.time;
  lengthen(call, whole, target, setting, 0, &cost.time);
  cost.sustained = std::max(cost.time, cost.parts.start + cost.parts.capped);
  const size_t kernel = static_cast<size_t>(call.kernel);
  const Fp32Band& errors =
      (target.device.family == Fp32Family::Cdna ? contents_.band : contents_.nvidia_band)[kernel];
  const BandFactors band =
      errors.factors(fp32_elasticity(cost.parts, contents_.constants, call.kernel), target.known);
  cost.low = band.low;
  cost.high = band.high;
  cost.bound_by = bound_of(cost.parts);
  return cost;
}

std::string Fp32Model::to_json(const std::string& provenance) const {
  using json = nlohmann::ordered_json;
  json root;
  root["format"] = kFormat;
  root["version"] = 4;
  if (!provenance.empty()) root["provenance"] = json::parse(provenance);
  for (const Fp32Parameter& p : fp32_parameters())
    root["constants"][std::string(p.name)] = rounded(contents_.constants.*p.field);
  root["residual_share"] = rounded(contents_.residual_share);
  root["gpus"] = json::array();
  for (const Measured& gpu : contents_.gpus) {
    json entry = {{"gpu", gpu.gpu},
                  {"architecture", hardware::name(gpu.architecture)},
                  {"multiprocessors", gpu.multiprocessors}};
    for (const EffectField& f : kEffects) entry[std::string(f.name)] = rounded(gpu.effects.*f.field);
    root["gpus"].push_back(std::move(entry));
  }
  for (size_t k = 0; k < kFp32Classes; ++k) {
    const std::string kernel(name(static_cast<Fp32Class>(k)));
    json& entry = root["classes"][kernel];
    entry["residual"] = contents_.residual[k].columns() ? contents_.residual[k].to_text() : "";
    entry["band"] = json::parse(contents_.band[k].to_json());
    entry["nvidia_band"] = json::parse(contents_.nvidia_band[k].to_json());
  }
  return root.dump(1) + "\n";
}

Fp32Model Fp32Model::from_json(std::string text, const std::string& file) {
  const Node root = parse_json(std::move(text), file);
  if (root.at("format").as_string() != kFormat)
    root.at("format").fail(fmt::format("expected \"{}\"", kFormat));
  root.at("version").as_integer(4, 4);
  Contents contents;
  const Node& constants = root.at("constants");
  for (const Fp32Parameter& p : fp32_parameters())
    contents.constants.*p.field = constants.at(p.name).as_number(1e-9, std::min(p.most, 1e9));
  contents.residual_share = root.at("residual_share").as_number(0, 1);
  for (const Node& entry : root.at("gpus").items()) {
    Measured measured;
    measured.gpu = entry.at("gpu").as_string();
    const auto architecture = hardware::parse_architecture(entry.at("architecture").as_string());
    if (!architecture) entry.at("architecture").fail("is no architecture");
    measured.architecture = *architecture;
    constexpr int kMostMultiprocessors = 100'000;
    measured.multiprocessors =
        static_cast<int>(entry.at("multiprocessors").as_integer(1, kMostMultiprocessors));
    for (const EffectField& f : kEffects) measured.effects.*f.field = entry.at(f.name).as_number(-3, 3);
    contents.gpus.push_back(std::move(measured));
  }
  for (size_t k = 0; k < kFp32Classes; ++k) {
    const Node& entry = root.at("classes").at(name(static_cast<Fp32Class>(k)));
    const Node& residual = entry.at("residual");
    if (!residual.as_string().empty()) {
      try {
        contents.residual[k] = learn::BoostedTrees::from_text(residual.as_string());
      } catch (const Error& e) {
        residual.fail(e.what());
      }
      if (contents.residual[k].columns() != kFp32Features)
        residual.fail(fmt::format("expected trees over {} features", kFp32Features));
    }
    contents.band[k] = Fp32Band::from_json(entry.at("band"));
    contents.nvidia_band[k] = Fp32Band::from_json(entry.at("nvidia_band"));
  }
  return Fp32Model(std::move(contents));
}

}  // namespace orrery::cost
