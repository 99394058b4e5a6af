// What stands before the first layer and behind the last: embeddings and heads.
#pragma once

#include "orrery/graph/block_builder.h"

namespace orrery::graph {

// Token, position and segment embeddings. Outputs: the hidden state and, with `offers_table`, the table for
// others that share it; with `takes_table` it is the block's input instead.
Block token_embedding(const Setting& setting, bool offers_table, bool takes_table);
// The patches of an image.
Block patch_embedding(const Setting& setting);

// The last norm, and for the model's last tower what its configuration asks for: pooler, classifier,
// vocabulary. Inputs: the hidden state (two values where a residual addition is open) and, for a tied head,
// the embedding table.
Block head(const Setting& setting, bool tied);
// Whether training this head ends in a loss of its own.
bool has_loss(const ModelConfig& model, const Tower& tower);
// CLIP: similarities of all pairs of the two towers' vectors.
Block contrast(const Setting& setting);

}  // namespace orrery::graph
