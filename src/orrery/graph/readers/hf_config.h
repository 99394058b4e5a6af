// Hugging Face's config.json, as it lies on disk today, into a ModelConfig: one row a family (family.h,
// families/), dtype or torch_dtype, a nested text_config, quantization_config. Defaults are those of the
// transformers library.
//
// Errors: InputError with file:line:column for a missing required field, a wrong type, a dimension out of
// range, heads that do not divide; for an unknown architecture one that lists the known ones. Fields that are
// not known are named in `notes`.
#pragma once

#include <string>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/graph/model_config.h"

namespace orrery::graph {

ModelConfig read_hf_config(const Node& document, std::string name);

// A file, or a folder that holds config.json; hf_quant_config.json and model.safetensors.index.json beside it
// are read too.
ModelConfig read_hf_config(const std::string& path);

// The model_types that can be read, in alphabetical order.
std::vector<std::string> known_model_types();

}  // namespace orrery::graph
