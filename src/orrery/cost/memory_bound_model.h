// How long the operators around the matrix products take on a GPU: elementwise, gated activations, norms,
// rotary embedding, softmax, look-ups, copies, quantization, sampling, the optimizer's step.
//
//   time = start + (memory^p + cache^p + issue^p)^(1/p)
//     memory  bytes that L2 does not hold between calls / achievable DRAM bandwidth
//     cache   all bytes / (share of L2 bandwidth that such kernels reach)
//     issue   elements / (multiprocessors · clock · elements per clock): kernels that load one 16-bit element
//     a thread are
//             bound by their own instructions on HBM parts. A kernel with one thread block a row fills at
//             most `rows` multiprocessors, so one long row costs as much as a full wave of them.
//
// Elements per clock, and the passes over the main input, are constants per class of kernel, fitted on the
// fp16 layer pieces of A100, A40 and H100 (vLLM's kernels of 2024) and on PyTorch's softmax and layer norm of
// an A100.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "orrery/cost/operator_model.h"

namespace orrery::cost {

// Kernels of one making.
enum class MemoryBoundClass : size_t {
  Elementwise,
  Norm,
  GatedActivation,
  Rope,
  Embedding,
  LayerNorm,
  Softmax,
  RowScan
};
inline constexpr size_t kMemoryBoundClasses = 8;
std::string_view name(MemoryBoundClass);

struct MemoryBoundConstants {
  struct Class {
    double elements_per_clock = 4;  // of one multiprocessor
    double passes = 1;              // over the bytes, as L2 sees them
    double start = 2e-6;            // seconds, of the smallest call
  };
  std::array<Class, kMemoryBoundClasses> of;
  double memory_share = .97;   // of the achievable bandwidth
  double cache_share = .6;     // of the achievable L2 bandwidth
  double cache_capacity = .5;  // of L2 that a repeated call finds again
  double order = 3;
};
MemoryBoundConstants default_memory_bound_constants();

struct MemoryBoundCall {
  MemoryBoundClass kernel = MemoryBoundClass::Elementwise;
  double rows = 1, elements = 1;  // elements: of the output, or of the input where that is larger
  double bytes = 0;               // read and written, once each
  double written = 0;             // of `bytes`
  bool row_blocks = false;        // one thread block a row
};
// What an operator shape asks for; false for kinds that are no memory-bound kernels (matrix products,
// collectives, views).
bool memory_bound_call(const graph::OperatorShape& shape, MemoryBoundCall& call);

struct MemoryBoundDevice {
  double multiprocessors = 1, clock = 1, memory_bandwidth = 1, memory_peak = 1, cache = 1,
         cache_bandwidth = 1;
};
MemoryBoundDevice memory_bound_device(
    const hardware::Device& device);  // throws InputError for what is no GPU

struct MemoryBoundCost {
  Seconds time;
  double low = .7, high = 1.4;                         // the 90 % band as factors on `time`
  double memory = 0, cache = 0, issue = 0, start = 0;  // seconds
  Bytes memory_bytes;
  Bound bound_by = Bound::Memory;
};

class MemoryBoundModel {
 public:
  MemoryBoundModel() : constants_(default_memory_bound_constants()) {}
  explicit MemoryBoundModel(const MemoryBoundConstants& constants) : constants_(constants) {}
  static MemoryBoundModel shipped();  // data/weights/memory_bound.json
  static MemoryBoundModel from_json(std::string text, const std::string& file);  // throws InputError
  std::string to_json() const;

  // `cold`: nothing of the operands lies in L2 (a layer's activations behind gigabytes of weights); false:
  // the call repeats.
  MemoryBoundCost price(const MemoryBoundCall& call, const MemoryBoundDevice& device, bool cold) const;
  const MemoryBoundConstants& constants() const { return constants_; }

 private:
  MemoryBoundConstants constants_;
};

}  // namespace orrery::cost
