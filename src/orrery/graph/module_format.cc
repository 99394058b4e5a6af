#include "orrery/graph/module_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "orrery/graph/readers/quantization.h"

namespace orrery::graph {
namespace {

constexpr std::array<std::string_view, kModules> kPaths = {"self_attn.q_proj",
                                                           "self_attn.k_proj",
                                                           "self_attn.v_proj",
                                                           "self_attn.o_proj",
                                                           "self_attn.q_a_proj",
                                                           "self_attn.q_b_proj",
                                                           "self_attn.kv_a_proj_with_mqa",
                                                           "self_attn.kv_b_proj",
                                                           "mlp.gate_proj",
                                                           "mlp.up_proj",
                                                           "mlp.down_proj",
                                                           "mlp.experts.0.gate_proj",
                                                           "mlp.experts.0.up_proj",
                                                           "mlp.experts.0.down_proj",
                                                           "mlp.shared_expert.gate_proj",
                                                           "mlp.shared_expert.up_proj",
                                                           "mlp.shared_expert.down_proj"};

}  // namespace

uint32_t quantized_modules(const ModelConfig& model, int layer) {
  if (!model.quantization || model.quantization->method.empty()) return 0;
  const Quantization& quantization = *model.quantization;
  uint32_t quantized = 0;
  for (size_t i = 0; i < kModules; ++i) {
    bool expert =
        i >= static_cast<size_t>(Module::ExpertGate) && i <= static_cast<size_t>(Module::ExpertDown);
    if (quantization.experts_only && !expert) continue;
    bool ignored = false;
    if (!quantization.ignored.empty()) {
      ignored = ignores(quantization, fmt::format("layers.{}.{}", layer, kPaths[i]));
      // Mixtral's files name the experts' folder otherwise.
      ignored |= expert && model.family == "mixtral" &&
                 ignores(quantization, fmt::format("layers.{}.block_sparse_moe.experts.0", layer));
    }
    if (!ignored) quantized |= uint32_t{1} << i;
  }
  return quantized;
}

bool ignores_single_layers(const ModelConfig& model) {
  return model.quantization &&
         std::ranges::any_of(model.quantization->ignored, [](const std::string& pattern) {
           return std::ranges::any_of(pattern, [](unsigned char c) { return std::isdigit(c) != 0; });
         });
}

ModuleFormat module_format(const ModelConfig& model, Module module, uint32_t quantized) {
  bool narrow = module != Module::Plain && (quantized >> static_cast<uint32_t>(module) & 1) != 0;
  if (!narrow) return {model.type, model.type};
  return {model.quantization->activations, model.quantization->weights};
}

}  // namespace orrery::graph
