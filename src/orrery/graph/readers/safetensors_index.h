// model.safetensors.index.json: how many bytes the published weights take, exactly.
#pragma once

#include "orrery/base/document.h"

namespace orrery::graph {

// metadata.total_size in bytes. Throws InputError where it is missing or absurd.
double read_safetensors_total(const Node& document);

}  // namespace orrery::graph
