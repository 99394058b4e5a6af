// In which numeric formats each linear module of a quantized checkpoint is stored and computed.
#pragma once

#include <cstdint>
#include <string_view>

#include "orrery/graph/model_config.h"

namespace orrery::graph {

// The linear modules of a layer that quantization may reach; Plain is any other (router gates, heads,
// embeddings).
enum class Module : uint8_t {
  Query,
  Key,
  Value,
  Output,
  QueryDown,
  QueryUp,
  KeyValueDown,
  KeyValueUp,
  Gate,
  Up,
  Down,
  ExpertGate,
  ExpertUp,
  ExpertDown,
  SharedGate,
  SharedUp,
  SharedDown,
  Plain,
};
inline constexpr size_t kModules = static_cast<size_t>(Module::Plain);

// One bit a module, set where it is quantized in this layer. 0 for a model that is not quantized.
uint32_t quantized_modules(const ModelConfig& model, int layer);
// Whether layers can differ: some ignored pattern names a layer.
bool ignores_single_layers(const ModelConfig& model);

struct ModuleFormat {
  DataType activations, weights;
};
ModuleFormat module_format(const ModelConfig& model, Module module, uint32_t quantized);

}  // namespace orrery::graph
