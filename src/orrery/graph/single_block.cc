#include "orrery/graph/single_block.h"

#include "orrery/graph/backward.h"
#include "orrery/graph/fuse.h"
#include "orrery/graph/optimizer_step.h"

namespace orrery::graph {

Graph single_block_graph(Block& block, const SingleBlockOptions& options) {
  if (options.train) {
    BackwardOptions backward;
    backward.output_given.assign(block.outputs.size(), 1);
    add_backward(block, backward);
    add_optimizer(block, options.optimizer, options.type);
  }
  if (options.fuse) fuse_kernels(block);
  Assembler assembler;
  Instance instance = assembler.forward(block, 0, {});
  if (options.train) {
    std::vector<TensorId> given;
    for (ValueId v : block.output_gradients)
      given.push_back(v == kNone ? kNone : assembler.input(block.values[v].bytes()));
    assembler.backward(instance, given, {});
    assembler.optimizer(instance);
  }
  return assembler.take(1);
}

}  // namespace orrery::graph
