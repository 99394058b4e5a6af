// GPUs from YAML. The fields, their units and an example stand in docs/formats.md; data/gpus/ holds the
// shipped ones.
//
// Needed: name, architecture, memory, memory_bandwidth, streaming_multiprocessors, and boost_clock or
// peak.fp32. What else is left out is taken from the architecture's family, and Device::notes says so.
// Refused, with the place: unknown fields, wrong or missing units, values that are zero, negative or absurd,
// an FP32 peak above 2 x lanes x multiprocessors x clock by more than 5 %, rates that are twice what the
// family's multiprocessor does (with sparsity), measured figures above the data sheet's, and sources that are
// not listed.
#pragma once

#include <string>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/hardware/device.h"
#include "orrery/hardware/family.h"

namespace orrery::hardware {

Device read_device(const Node& root, const std::vector<Family>& families);
Device read_device(const std::string& path);  // with the shipped families

}  // namespace orrery::hardware
