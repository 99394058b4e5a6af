// Latencies by drawing mappings at random, layer by layer, as searches over hardware and software do
// (Spotlight, HPCA 2023): the cost of an inner loop that a closed form does without. Internal to the room.
#pragma once

#include "orrery/base/random.h"
#include "orrery/explore/accelerator_plan.h"

namespace orrery::explore {

// Seconds of workload w on the design with its operators one after another, every product at the best of
// `samples` mappings (dataflow, exchange of M and N, tiles).
double sampled_seconds(const AcceleratorStudy& study, size_t w, const DesignPoint& design, int samples,
                       Random& random);

}  // namespace orrery::explore
