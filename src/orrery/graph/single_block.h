// A network that is one block: what a reader of whole graphs (ONNX, layer lists, operator texts) has emitted,
// with its gradients, its update and fusion, as a graph.
#pragma once

#include "orrery/graph/block.h"
#include "orrery/graph/workload.h"

namespace orrery::graph {

struct SingleBlockOptions {
  bool train = false;
  Optimizer optimizer = Optimizer::MixedAdam;
  DataType type = DataType::BF16;  // of the weights that are updated
  bool fuse = true;
};

// Gradients come back for every output of the block.
Graph single_block_graph(Block& block, const SingleBlockOptions& options);

}  // namespace orrery::graph
