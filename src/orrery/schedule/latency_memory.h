// Does it fit: the memory of one device for a phase, and what would fit instead. Fills the report's
// MemoryReport from the footprint of cost/memory_footprint.h by searching batch, context and tensor-parallel
// width.
#pragma once

#include "orrery/schedule/latency.h"

namespace orrery::schedule {

MemoryReport memory_report(const LatencyRequest&, const hardware::Device&, const graph::Workload&);

}  // namespace orrery::schedule
