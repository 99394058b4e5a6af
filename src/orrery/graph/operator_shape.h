// What one operator computes: its kind, its sizes and its numeric formats; small, flat and hashable, so that
// equal operators are priced once. Every kind is one row of a table (operator_shape.cc): adding an operator
// means adding a row.
//
// Lettering: GEMM is out[m, n] += lhs[m, k] · rhs[k, n], `batch` times, with k the contraction, everywhere.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "orrery/base/data_type.h"
#include "orrery/base/units.h"

namespace orrery::graph {

enum class OperatorKind : uint8_t {
  // Matrix engines
  Gemm,         // batch, m, n, k
  GroupedGemm,  // experts, m (rows over all experts), n, k, heaviest (rows of the fullest expert; 0 =
                // balanced)
  Convolution,  // batch, in_channels, out_channels, height, width, kernel_h, kernel_w, stride_h, stride_w,
                // pad_h, pad_w, groups
  Attention,    // batch, query, cached, heads, kv_heads, head_dim, value_dim, causal, window, shared:
                // softmax(QKᵀ)V without stored scores
  // Vector engines: rows, columns (the output), inputs (full-size tensors read), broadcast (elements read
  // beside them),
  // outputs (full-size tensors written). In a fused kernel a part counts no input that the part before it
  // hands over on
  // chip, and has outputs 0 when its own result stays there: the traffic of a kernel is the sum over its
  // parts.
  Add,
  Subtract,
  Multiply,
  Divide,
  Power,
  Sqrt,
  Tanh,
  Sigmoid,
  Relu,
  Gelu,
  Silu,
  HardSwish,
  HardSigmoid,
  Erf,
  Exp,
  Sin,
  Cos,
  GatedActivation,  // act(a)·b: reads two, writes one
  Dropout,
  Mask,
  Fill,
  Copy,
  Softmax,
  LayerNorm,
  RmsNorm,
  BatchNorm,
  Mean,
  Reduce,
  CrossEntropy,   // rows × columns, reduced over columns
  Rope,           // rows = tokens, columns = rotated width
  Embedding,      // rows = tokens, columns = width, inputs 1, broadcast = rows of the table
  Pooling,        // batch, channels, out_height, out_width, kernel_h, kernel_w, in_height, in_width
  TopK,           // rows, columns, k
  Sampling,       // rows = sequences, columns = vocabulary
  Quantize,       // rows, columns: reads `type`, writes `stored`
  KvWrite,        // rows = tokens, columns = K and V width
  OptimizerStep,  // elements, bytes_per_element (all state read and written once)
  // Links: bytes, participants
  AllReduce,
  AllGather,
  ReduceScatter,
  AllToAll,
  SendReceive,
  View,  // free: reshape, split, transpose that a consumer absorbs
};
inline constexpr size_t kOperatorKinds = static_cast<size_t>(OperatorKind::View) + 1;

enum class Pass : uint8_t { Forward, InputGradient, WeightGradient, Accumulate, Recompute, Optimizer };
enum class Engine : uint8_t { Matrix, Vector, Link, None };

inline constexpr size_t kDims = 12;

struct OperatorShape {
  OperatorKind kind = OperatorKind::View;
  DataType type = DataType::BF16;    // of activations and of the arithmetic
  DataType stored = DataType::BF16;  // of weights (Gemm, GroupedGemm, Convolution, Embedding) or of the KV
                                     // cache (Attention, KvWrite)
  Pass pass = Pass::Forward;
  std::array<int64_t, kDims> dims{};
  auto operator<=>(const OperatorShape&) const = default;
};
static_assert(sizeof(OperatorShape) == 104);

struct OperatorTraits {
  OperatorKind kind;
  std::string_view name;  // "gemm", "rms_norm": the spelling of CSV and JSON
  Engine engine;
  std::array<std::string_view, kDims> dims;  // names in order; "" ends them
  double flops_per_element;                  // vector kinds: FLOP per output element
  double passes;                             // vector kinds: times that the main input is read
};
const OperatorTraits& traits(OperatorKind kind);
std::optional<OperatorKind> parse_operator_kind(std::string_view name);

// Named construction: the only way that sizes enter a shape, so that no call site orders bare integers.
struct GemmSize {
  int64_t batch = 1, m = 1, n = 1, k = 1;
};
struct GroupedGemmSize {
  int64_t experts = 1, m = 1, n = 1, k = 1, heaviest = 0;
};
struct ConvolutionSize {
  int64_t batch = 1, in_channels = 1, out_channels = 1, height = 1, width = 1, kernel_h = 1, kernel_w = 1,
          stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, groups = 1;
  int64_t out_height() const { return (height + 2 * pad_h - kernel_h) / stride_h + 1; }
  int64_t out_width() const { return (width + 2 * pad_w - kernel_w) / stride_w + 1; }
};
struct AttentionSize {
  int64_t batch = 1, query = 1, cached = 0, heads = 1, kv_heads = 1, head_dim = 1,
          value_dim = 0;           // value_dim 0 = head_dim
  int64_t causal = 1, window = 0;  // window 0 = unlimited; query tokens attend to `cached` earlier ones and,
                                   // causally, to themselves; keys = cached + query, so cross-attention has
                                   // cached = keys − query (below 0 for few keys)
  int64_t shared =
      0;  // 1: the values are the first value_dim of each key, read once (absorbed latent attention)
};
struct VectorSize {
  int64_t rows = 1, columns = 1, inputs = 1, broadcast = 0, outputs = 1;
};
struct CollectiveSize {
  int64_t bytes = 0, participants = 1;
};

OperatorShape make(const GemmSize&, DataType type, DataType weights, Pass = Pass::Forward);
OperatorShape make(const GroupedGemmSize&, DataType type, DataType weights, Pass = Pass::Forward);
OperatorShape make(const ConvolutionSize&, DataType type, Pass = Pass::Forward);
OperatorShape make(const AttentionSize&, DataType type, DataType cache, Pass = Pass::Forward);
OperatorShape make(OperatorKind vector_kind, const VectorSize&, DataType type, Pass = Pass::Forward);
OperatorShape make(OperatorKind collective, const CollectiveSize&, Pass = Pass::Forward);
GemmSize gemm_size(const OperatorShape&);
GroupedGemmSize grouped_gemm_size(const OperatorShape&);
ConvolutionSize convolution_size(const OperatorShape&);
AttentionSize attention_size(const OperatorShape&);
VectorSize vector_size(const OperatorShape&);
CollectiveSize collective_size(const OperatorShape&);

// Work and compulsory traffic: each tensor moved once, independent of the device.
Flops flops(const OperatorShape&);         // multiply and add count as two
Flops matrix_flops(const OperatorShape&);  // Gemm, GroupedGemm, Convolution and Attention; 0 for the rest
struct Traffic {
  Bytes read, written;
  Bytes weights;
};  // weights (or KV cache) are part of read
Traffic traffic(const OperatorShape&);

// Backward shapes keep the forward's sizes where the product is the same one in another order (GroupedGemm,
// Convolution, Attention, norms); plain Gemm writes its own. The pass says which gradient is computed.

uint64_t hash(const OperatorShape&);

}  // namespace orrery::graph
