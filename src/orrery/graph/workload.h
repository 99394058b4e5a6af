// What is asked of a model: the phase, the sizes, and how it is executed. With a ModelConfig it determines an
// operator graph.
#pragma once

#include <cstdint>

#include "orrery/graph/graph.h"
#include "orrery/graph/model_config.h"

namespace orrery::graph {

enum class Mode : uint8_t {
  Prefill,  // the forward pass over `sequence` tokens that fills the KV cache; encoders: the whole inference
  Decode,   // one new token per sequence, with `sequence` tokens cached
  Train,    // forward, backward, optimizer over `sequence` tokens
};
enum class AttentionKernel : uint8_t { Flash, Eager };
enum class Optimizer : uint8_t { None, Sgd, Momentum, Adam, MixedAdam };
// Selective: between Q, K, V and the attention's result, as Megatron names it (Korthikanti et al. 2022, arXiv
// 2205.05198); nothing with flash attention, which keeps no scores.
enum class Recompute : uint8_t { None, Selective, Full };

// Which table gives the gradients (backward_rules.h).
enum class GradientRules : uint8_t {
  Derived,      // what differentiation asks for: sums over several users, reductions of what was broadcast
  PerOperator,  // a fixed list for each forward operator, whoever reads it (NeuSight, arXiv 2407.13853)
};

// How an eager graph (fuse off, eager attention) is written down. The defaults are what PyTorch launches; the
// other values are how NeuSight's tracer counts, each alone, so that its effect can be shown: `traced()` has
// all of them but those that are faults, `traced_with_faults()` all.
struct EagerOptions {
  bool dropout = false;            // training: dropout runs (its probability is above 0)
  bool idle_dropout = false;       // dropout of probability 0 counts, and no mask beside its result
  bool bookkeeping = false;        // position ids and key masks are prepared by small operators
  bool free_positions = false;     // look-ups of positions and segments are not counted
  bool copies_as_written = false;  // a call of contiguous() is a copy though strides already fit, one by
                                   // reshape() or within matmul() is none though they do not
  GradientRules gradients = GradientRules::Derived;
  bool fuse_sole_consumers = false;  // inference: a vector operator that one other alone reads runs with it
  // Faults.
  bool needless_gradients = false;  // gradients also of scalars, masks and position ids, which take none
  bool norm_gradient_is_product = false;  // the gradient of a norm costs one multiplication
  bool bias_everywhere = false;           // every weight has a bias whose gradient is accumulated
  bool pooler_relu = false;               // the pooler's tanh counts as relu
  bool repeated_score_shapes = false;     // tensor parallel: the second product of attention has the sizes of
                                       // the first, the gradient of softmax is as wide as the heads are many,
                                       // and the last product of a decomposed GELU reads one tensor
};
constexpr EagerOptions traced() {
  return {.dropout = true,
          .idle_dropout = true,
          .bookkeeping = true,
          .free_positions = true,
          .copies_as_written = true,
          .gradients = GradientRules::PerOperator};
}
constexpr EagerOptions traced_with_faults() {
  EagerOptions options = traced();
  options.needless_gradients = options.norm_gradient_is_product = options.bias_everywhere = true;
  options.pooler_relu = options.repeated_score_shapes = true;
  return options;
}

struct Workload {
  Mode mode = Mode::Prefill;
  int64_t batch = 1, sequence = 1;  // of one data-parallel replica
  int64_t cached = 0;               // prefill of a later chunk: tokens already in the cache
  int64_t output_sequence = 0;      // encoder-decoder: tokens of the decoder; 0 = as sequence
  Parallelism parallel;
  AttentionKernel attention = AttentionKernel::Flash;
  bool fuse =
      true;  // epilogues and neighbouring vector operators as one kernel, as serving engines and compilers do
  bool last_token_only = true;  // prefill: logits of the last token only
  Recompute recompute = Recompute::None;
  Optimizer optimizer = Optimizer::MixedAdam;
  int frozen_layers = 0;  // the first layers take no gradient
  bool loss = true;
  bool accumulate_gradients = false;  // add to the gradients of earlier micro-batches
  bool keep_cache = true;             // prefill: keys and values go to a cache; false: a plain forward pass
  EagerOptions eager = {};
};

// The graph of one device's share. Throws InputError when sizes do not divide as the parallelism asks, when
// the model has no such phase (an encoder does not decode), or when a size is absurd.
//
// Operators of a transformer's layer l carry layer l; two towers count on (T5: encoder, then decoder). With
// `fuse` the addition that closes a layer runs with the norm of the next and belongs to that. Training
// ignores quantization: checkpoints are trained in the model's own type.
Graph build_graph(const ModelConfig&, const Workload&);

}  // namespace orrery::graph
