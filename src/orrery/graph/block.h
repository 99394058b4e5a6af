// A repeated piece of a network (the embedding, one layer, the head) as a template: built once, stamped once
// a layer.
//
// Order of work: the parts of a network emit forward steps (attention_block.h, feed_forward_block.h, ...);
// then either expand_eager (eager.h) rewrites them as PyTorch runs them, or merge_products (fuse.h) joins
// products of one input; add_backward (backward.h) derives the gradients; fuse_kernels (fuse.h) joins
// neighbours; Assembler stamps the result. Inside a block sizes are those of one device's share (split.h).
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "orrery/graph/graph.h"

namespace orrery::graph {

using ValueId = uint32_t;

// A tensor of the template. Views share the storage of another value.
struct Value {
  double elements = 0;
  DataType type = DataType::BF16;
  TensorKind kind = TensorKind::Activation;
  ValueId storage = kNone;
  bool trainable = false;  // a weight that takes a gradient
  Bytes bytes() const { return Bytes(elements * bytes_per_element(type)); }
};

// One operator of the template. A lone View part is free: its output is its input under another name.
struct Step {
  std::string_view name;  // a literal
  Kernel kernel;
  std::vector<ValueId> inputs, outputs;  // products: activation, weight, bias; attention: Q, K, V or cache
  uint32_t mirror = kNone;               // backward: index of the forward step
  uint8_t merge = 0;                     // products of one input and one non-zero group may become one
  std::string_view merged_name = {};     // what they are called then
  bool core = false;  // between Q, K, V and the attention's result: selective recomputation
  const OperatorShape& shape() const { return kernel.parts.front(); }
  bool is_view() const { return kernel.parts.size() == 1 && shape().kind == OperatorKind::View; }
};

struct Block {
  std::vector<Value> values;
  std::vector<ValueId> inputs, outputs;  // activations given from outside, and offered to later blocks
  std::vector<Step> forward, backward, optimizer;
  // Filled by add_backward; kNone where no gradient flows. `running`: a gradient that other users of an input
  // already gave.
  std::vector<ValueId> output_gradients, input_gradients, running;
  std::vector<ValueId> weight_gradients;

  ValueId add_value(double elements, DataType type, TensorKind kind = TensorKind::Activation);
  ValueId add_view(ValueId of, double elements);
};

// A block within a graph.
struct Instance {
  const Block* block = nullptr;
  int layer = 0;
  OperatorId first_operator = 0;
  std::vector<TensorId> tensors;  // of each value
};

// Stamps blocks into one graph. A block must outlive the assembler and must not change once it was stamped.
class Assembler {
 public:
  // `inputs`: the tensors for block.inputs.
  Instance forward(const Block& block, int layer, std::span<const TensorId> inputs);
  // `output_gradients`, `running`: tensors for the block's values of that name, kNone where there is none.
  void backward(Instance& instance, std::span<const TensorId> output_gradients,
                std::span<const TensorId> running);
  void optimizer(Instance& instance);
  TensorId input(Bytes bytes) { return builder_.input(bytes, TensorKind::Input); }
  Graph take(int layers) { return builder_.take(layers); }

 private:
  struct Interned {
    const Block* block;
    std::vector<KernelId> kernels;  // forward, backward, optimizer
    std::vector<NameId> names;
    std::vector<uint32_t> offsets;  // of each forward step among the forward operators: views are none
  };
  const Interned& interned(const Block& block);
  void stamp(Instance& instance, std::span<const Step> steps, size_t first_of_interned);
  TensorId make(Instance& instance, ValueId value, OperatorId producer);

  GraphBuilder builder_;
  std::vector<Interned> interned_;
};

}  // namespace orrery::graph
