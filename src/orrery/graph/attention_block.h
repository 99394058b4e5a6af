// The attention of one layer: multi-head and grouped-query attention, latent attention (DeepSeek-V2, arXiv
// 2405.04434, section 2.1: naive where many tokens are new, absorbed in decode), and cross-attention to an
// encoder.
#pragma once

#include "orrery/graph/block_builder.h"

namespace orrery::graph {

// From the normalized input to what is added to the residual stream.
ValueId self_attention(BlockBuilder& builder, ValueId x);
ValueId latent_attention(BlockBuilder& builder, ValueId x);
// `encoded`: the encoder's output, batch · cross tokens. In decode its keys and values come from the cache.
ValueId cross_attention(BlockBuilder& builder, ValueId x, ValueId encoded);

// Bytes of keys and values that one layer keeps for one token on one device.
double cache_elements_per_token(const Tower& tower, const Share& share);

}  // namespace orrery::graph
