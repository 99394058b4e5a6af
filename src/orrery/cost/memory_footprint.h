// The memory of one device, by component, for a model under a workload, and what would fit instead.
//
//   weights       exact bytes of the fullest rank (graph/parameters.h), quantized where the checkpoint is
//   gradients     one of the model's type for each trained weight
//   optimizer     the state that graph/optimizer_step.h documents: 12 bytes a weight for mixed-precision Adam
//   activations   training: what the backward pass reads, kept from forward until then, at the fullest
//   moment; inference:
//                 the working set of one layer. By liveness over the operator graph (graph/liveness.h)
//   logits        of these, the scores over the vocabulary at that moment
//   KV cache      keys and values of every cached and new token: a window cuts them, latent attention keeps
//   one latent and
//                 one rotary key a token; pages that are not full are not counted
//   workspace     the CUDA context with its loaded kernels, and the product library's scratch
#pragma once

#include <cstdint>

#include "orrery/base/units.h"
#include "orrery/graph/workload.h"

namespace orrery::cost {

// A process that holds one number on a GPU was seen to take 723 MiB there (discuss.pytorch.org/t/73021).
inline constexpr Bytes kContext = Bytes(723.0 * 1048576);
// PyTorch's default cuBLAS workspace on Hopper is 32 MiB, on earlier GPUs 8 MiB (PyTorch notes, "CUDA
// semantics").
inline constexpr Bytes kProductWorkspace = Bytes(32.0 * 1048576);

struct MemoryFootprint {
  Bytes weights, gradients, optimizer, activations, logits, kv_cache, workspace;
  Bytes total() const {
    return weights + gradients + optimizer + activations + logits + kv_cache + workspace;
  }
};

// Throws InputError as build_graph does.
MemoryFootprint memory_footprint(const graph::ModelConfig& model, const graph::Workload& work);

// Bytes that one device keeps for one sequence of `tokens` (encoder-decoder: of the decoder, behind `encoded`
// tokens).
Bytes kv_cache_bytes(const graph::ModelConfig& model, const graph::Parallelism& parallel, int64_t tokens,
                     int64_t encoded = 0);

struct MemoryFit {
  bool fits = false;
  Bytes missing;                // 0 when it fits
  int64_t longest_context = 0;  // `sequence` at the workload's batch; 0 = none
  int64_t largest_batch = 0;    // at the workload's sequence; 0 = none
  int smallest_tensor_parallel =
      0;                     // the least width of at most `widest` that divides the model and fits; 0 = none
  int smallest_devices = 0;  // that would hold the weights, were they divided evenly
};
// `available`: what the device has for all of MemoryFootprint. Searches stop at the model's longest input, if
// it has one, and at 2^20 sequences.
MemoryFit fit(const graph::ModelConfig& model, const graph::Workload& work, Bytes available, int widest = 8);

}  // namespace orrery::cost
