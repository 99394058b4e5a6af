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
};

// The graph of one device's share. Throws InputError when sizes do not divide as the parallelism asks, when
// the model has no such phase (an encoder does not decode), or when a size is absurd.
//
// Operators of a transformer's layer l carry layer l; two towers count on (T5: encoder, then decoder). With
// `fuse` the addition that closes a layer runs with the norm of the next and belongs to that. Training
// ignores quantization: checkpoints are trained in the model's own type.
Graph build_graph(const ModelConfig&, const Workload&);

}  // namespace orrery::graph
