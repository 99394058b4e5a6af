// Does it fit: the memory of one device for a phase, and what would fit instead. Fills the report's
// MemoryReport from the footprint of cost/memory_footprint.h by searching batch, context and tensor-parallel
// width.
#pragma once

#include "orrery/schedule/latency.h"

namespace orrery::schedule {

MemoryReport memory_report(const LatencyRequest&, const hardware::Device&, const graph::Workload&);

// Of the fullest stage of a pipeline: its layers, what the first or the last holds beside them, and the
// activations of as many micro-batches as its schedule keeps. `micro`: one micro-batch on one device. Without
// a pipeline as above.
MemoryReport memory_report(const LatencyRequest& request, const hardware::Device& device,
                           const graph::Workload& micro, const IterationForecast& iteration);

}  // namespace orrery::schedule
