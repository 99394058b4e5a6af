// Accelerators from YAML: designs of the template in accelerator.h. data/accelerators holds published ones; a
// design that was found is written in the same form, so that it is a platform for every command that takes a
// device.
//
// Needed: name, matrix_cores, rows, columns, vector_cores, lanes, global_buffer, clock, memory,
// memory_bandwidth. Refused, with the place: unknown fields, wrong or missing units, values out of range, a
// private buffer below what its processing elements need, unknown area and energy tables, and missing
// sources.
#pragma once

#include <string>

#include "orrery/base/document.h"
#include "orrery/hardware/device.h"

namespace orrery::hardware {

// Whether a document describes an accelerator rather than a GPU.
bool is_accelerator(const Node& root);
Device read_accelerator(const Node& root);
// The form that read_accelerator reads.
std::string accelerator_yaml(const Device&);

}  // namespace orrery::hardware
