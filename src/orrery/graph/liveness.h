// What is alive while a graph runs in its order: a tensor from the operator that makes it to the last that
// reads it. Weights, caches and optimizer state live throughout and are not counted here.
#pragma once

#include "orrery/graph/graph.h"

namespace orrery::graph {

struct LivePeak {
  Bytes activations;      // at the operator where activations and passing gradients are most
  Bytes logits;           // of these, what the head's product made and the gradient of it
  OperatorId at = kNone;  // that operator
};

// Gradients of weights that reach an optimizer step, or that nothing reads, are persistent and not counted;
// inputs of the graph (images, gradients from outside) are alive until their last reader.
LivePeak peak_of_live_activations(const Graph& graph);

}  // namespace orrery::graph
