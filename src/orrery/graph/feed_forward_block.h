// The feed-forward part of one layer: dense, gated, or a mixture of experts.
#pragma once

#include "orrery/graph/block_builder.h"

namespace orrery::graph {

// From the normalized input to what is added to the residual stream.
ValueId feed_forward(BlockBuilder& builder, ValueId x);
// Router, top-k, dispatch, grouped expert products, combination, and the experts that all tokens share. Of
// the grouped products, `experts` is the expected number that is active and `heaviest` the expected load of
// the fullest one (experts.h); with a capacity (Switch) each expert computes its padded buffer.
ValueId mixture_of_experts(BlockBuilder& builder, ValueId x);

}  // namespace orrery::graph
