// Gradients of a block: a table of rules over operator kinds (backward_rules.h), and reverse accumulation as
// an autograd engine does it.
//
// A value takes a gradient when a trainable weight, or an input that takes one, lies behind it; nothing else
// is computed. Backward operators carry Pass::InputGradient or WeightGradient and mirror their forward
// operator; recomputed ones carry Pass::Recompute, additions to gradients of earlier micro-batches
// Pass::Accumulate, weight updates Pass::Optimizer.
#pragma once

#include <span>
#include <vector>

#include "orrery/graph/backward_rules.h"
#include "orrery/graph/block.h"
#include "orrery/graph/workload.h"

namespace orrery::graph {

struct BackwardOptions {
  std::vector<uint8_t> input_needs;    // of each block input: whether its gradient is asked for
  std::vector<uint8_t> input_running;  // of each block input: whether other users already gave one
  std::vector<uint8_t>
      output_given;  // of each block output: whether a gradient comes back; false for losses, which start it
  bool recompute_all = false, recompute_core = false;
  bool accumulate = false;  // add to gradients of earlier micro-batches
  int data_parallel = 1;    // gradients are reduced over this many replicas
  BackwardTable table = backward_table({});
};

// Fills block.backward, output_gradients, input_gradients, running, weight_gradients.
void add_backward(Block& block, const BackwardOptions& options);

// Whether a gradient flows to each output of the block.
std::vector<uint8_t> outputs_that_need(const Block& block, std::span<const uint8_t> input_needs);

}  // namespace orrery::graph
