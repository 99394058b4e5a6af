// How published weights are quantized: quantization_config of a config.json (fp8, compressed-tensors, awq,
// gptq, bitsandbytes, mxfp4, fbgemm_fp8, modelopt) and hf_quant_config.json as TensorRT Model Optimizer
// writes it (FP8, NVFP4, ...).
//
// Weight-only methods leave Quantization::activations at the model's own type. A method that is not known is
// noted, and the weights are then taken in the model's own type.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/graph/model_config.h"

namespace orrery::graph {

std::optional<Quantization> read_quantization_config(const Node& map, DataType model_type,
                                                     std::vector<std::string>& notes);
std::optional<Quantization> read_hf_quant_config(const Node& document, DataType model_type,
                                                 std::vector<std::string>& notes);

// Adds a pattern of modules that keep the model's own type, as the files write them:
// - a name, or a run of its dotted parts: "lm_head", "model.layers.0.mlp", "gate";
// - with * for any text: "model.layers.*.self_attn", which covers what lies below it;
// - "re:" and a regular expression of literals, ., .*, .+, \d+, [0-9]+, ^, $ and one level of (a|b); it is
// kept as globs.
void ignore(Quantization&, std::string_view pattern);

// Whether `module` ("layers.3.mlp.experts.0.up_proj", "lm_head") keeps the model's own type.
bool ignores(const Quantization&, std::string_view module);

}  // namespace orrery::graph
