// The update of a block's weights.
#pragma once

#include "orrery/graph/block.h"
#include "orrery/graph/workload.h"

namespace orrery::graph {

// What an optimizer reads and writes for each parameter, in one pass, and what it keeps.
//   SGD: weight and gradient read, weight written. Momentum: and the momentum read and written. Adam: and
//   both moments. Mixed Adam (Micikevicius et al. 2018, arXiv 1710.03740): FP32 master weight and both
//   moments read and written, the 16-bit gradient read, the 16-bit weight written: 24 + 2 + 2 = 28 bytes; 12
//   bytes of state.
// The weight in `type`, the state of SGD, momentum and Adam in `type` as well.
struct OptimizerBytes {
  double moved = 0, state = 0;
};
OptimizerBytes optimizer_bytes(Optimizer optimizer, DataType type);

// Fills block.optimizer with one step over all weights that have a gradient.
void add_optimizer(Block& block, Optimizer optimizer, DataType type);

}  // namespace orrery::graph
