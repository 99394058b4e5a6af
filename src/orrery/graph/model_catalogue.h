// Models by name. A name resolves to data/models/NAME.json (or data/models/NAME/config.json), through
// data/models/aliases.csv
// ("meta-llama/Llama-3.1-8B-Instruct" -> llama-3.1-8b), or it is a path to a config.json or to a folder that
// holds one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orrery/graph/model_config.h"

namespace orrery::graph {

// Throws InputError with the nearest names when nothing answers to `name_or_path`, and as read_hf_config does
// for what is in the file.
ModelConfig find_model(const std::string& name_or_path);

// The shipped names, in alphabetical order.
std::vector<std::string> shipped_models();

// The other spellings of a shipped name.
std::vector<std::string> aliases_of(std::string_view name);

}  // namespace orrery::graph
