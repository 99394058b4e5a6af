#include "orrery/graph/operator_shape.h"

#include <algorithm>
#include <cmath>

#include "orrery/base/storage.h"

namespace orrery::graph {
namespace {

using Kind = OperatorKind;
constexpr std::array<std::string_view, kDims> kVectorDims = {"rows", "columns", "inputs", "broadcast",
                                                             "outputs"};
constexpr std::array<std::string_view, kDims> kLinkDims = {"bytes", "participants"};

// FLOP per element: 1 for elementwise; the others count the arithmetic of the textbook form.
constexpr OperatorTraits kTraits[] = {
    {Kind::Gemm, "gemm", Engine::Matrix, {"batch", "m", "n", "k"}, 0, 1},
    {Kind::GroupedGemm, "grouped_gemm", Engine::Matrix, {"experts", "m", "n", "k", "heaviest"}, 0, 1},
    {Kind::Convolution,
     "convolution",
     Engine::Matrix,
     {"batch", "in_channels", "out_channels", "height", "width", "kernel_h", "kernel_w", "stride_h",
      "stride_w", "pad_h", "pad_w", "groups"},
     0,
     1},
    {Kind::Attention,
     "attention",
     Engine::Matrix,
     {"batch", "query", "cached", "heads", "kv_heads", "head_dim", "value_dim", "causal", "window", "shared"},
     0,
     1},
    {Kind::Add, "add", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Subtract, "subtract", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Multiply, "multiply", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Divide, "divide", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Power, "power", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Sqrt, "sqrt", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Tanh, "tanh", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Sigmoid, "sigmoid", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Relu, "relu", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Gelu, "gelu", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Silu, "silu", Engine::Vector, kVectorDims, 1, 1},
    {Kind::HardSwish, "hard_swish", Engine::Vector, kVectorDims, 1, 1},
    {Kind::HardSigmoid, "hard_sigmoid", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Erf, "erf", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Exp, "exp", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Sin, "sin", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Cos, "cos", Engine::Vector, kVectorDims, 1, 1},
    {Kind::GatedActivation, "gated_activation", Engine::Vector, kVectorDims, 2, 1},
    {Kind::Dropout, "dropout", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Mask, "mask", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Fill, "fill", Engine::Vector, kVectorDims, 0, 0},
    {Kind::Copy, "copy", Engine::Vector, kVectorDims, 0, 1},
    {Kind::Softmax, "softmax", Engine::Vector, kVectorDims, 5, 1},
    {Kind::LayerNorm, "layer_norm", Engine::Vector, kVectorDims, 6, 1},
    {Kind::RmsNorm, "rms_norm", Engine::Vector, kVectorDims, 4, 1},
    {Kind::BatchNorm, "batch_norm", Engine::Vector, kVectorDims, 2, 1},
    {Kind::Mean, "mean", Engine::Vector, kVectorDims, 1, 1},
    {Kind::Reduce, "reduce", Engine::Vector, kVectorDims, 1, 1},
    {Kind::CrossEntropy, "cross_entropy", Engine::Vector, kVectorDims, 5, 1},
    {Kind::Rope, "rope", Engine::Vector, kVectorDims, 3, 1},
    {Kind::Embedding, "embedding", Engine::Vector, kVectorDims, 0, 1},
    {Kind::Pooling,
     "pooling",
     Engine::Vector,
     {"batch", "channels", "out_height", "out_width", "kernel_h", "kernel_w", "in_height", "in_width"},
     1,
     1},
    {Kind::TopK, "top_k", Engine::Vector, {"rows", "columns", "k"}, 2, 1},
    {Kind::Sampling, "sampling", Engine::Vector, kVectorDims, 6, 2},
    {Kind::Quantize, "quantize", Engine::Vector, kVectorDims, 2, 1},
    {Kind::KvWrite, "kv_write", Engine::Vector, kVectorDims, 0, 1},
    {Kind::OptimizerStep, "optimizer_step", Engine::Vector, {"elements", "bytes_per_element"}, 12, 1},
    {Kind::AllReduce, "all_reduce", Engine::Link, kLinkDims, 0, 1},
    {Kind::AllGather, "all_gather", Engine::Link, kLinkDims, 0, 1},
    {Kind::ReduceScatter, "reduce_scatter", Engine::Link, kLinkDims, 0, 1},
    {Kind::AllToAll, "all_to_all", Engine::Link, kLinkDims, 0, 1},
    {Kind::SendReceive, "send_receive", Engine::Link, kLinkDims, 0, 1},
    {Kind::View, "view", Engine::None, {}, 0, 0},
};
static_assert(std::size(kTraits) == kOperatorKinds);

constexpr bool table_is_in_order() {
  for (size_t i = 0; i < kOperatorKinds; ++i) {
    if (kTraits[i].kind != static_cast<Kind>(i)) return false;
  }
  return true;
}
static_assert(table_is_in_order());

double d(int64_t v) {
  return static_cast<double>(v);
}

// Query–key pairs that one head computes: causal query i sees cached + i + 1 keys, a window cuts that.
double attended_pairs(const AttentionSize& s) {
  if (s.window <= 0 || s.window >= s.cached + s.query) {
    return s.causal ? d(s.query) * d(s.cached) + d(s.query) * (d(s.query) + 1) / 2
                    : d(s.query) * (d(s.cached) + d(s.query));
  }
  if (!s.causal) return d(s.query) * d(std::min(s.window, s.cached + s.query));
  double first_full =
      std::clamp(d(s.window - s.cached), 0.0, d(s.query));  // queries before the window is full
  return first_full * d(s.cached) + first_full * (first_full + 1) / 2 +
         (d(s.query) - first_full) * d(s.window);
}

}  // namespace

const OperatorTraits& traits(Kind kind) {
  return kTraits[static_cast<size_t>(kind)];
}

std::optional<Kind> parse_operator_kind(std::string_view name) {
  for (const OperatorTraits& row : kTraits) {
    if (row.name == name) return row.kind;
  }
  return std::nullopt;
}

OperatorShape make(const GemmSize& s, DataType type, DataType weights, Pass pass) {
  return {Kind::Gemm, type, weights, pass, {s.batch, s.m, s.n, s.k}};
}
OperatorShape make(const GroupedGemmSize& s, DataType type, DataType weights, Pass pass) {
  return {Kind::GroupedGemm, type, weights, pass, {s.experts, s.m, s.n, s.k, s.heaviest}};
}
OperatorShape make(const ConvolutionSize& s, DataType type, Pass pass) {
  return {Kind::Convolution,
          type,
          type,
          pass,
          {s.batch, s.in_channels, s.out_channels, s.height, s.width, s.kernel_h, s.kernel_w, s.stride_h,
           s.stride_w, s.pad_h, s.pad_w, s.groups}};
}
OperatorShape make(const AttentionSize& s, DataType type, DataType cache, Pass pass) {
  return {Kind::Attention,
          type,
          cache,
          pass,
          {s.batch, s.query, s.cached, s.heads, s.kv_heads, s.head_dim,
           s.value_dim ? s.value_dim : s.head_dim, s.causal, s.window, s.shared}};
}
OperatorShape make(Kind kind, const VectorSize& s, DataType type, Pass pass) {
  int64_t inputs =
      kind == Kind::GatedActivation && s.inputs == 1 ? 2 : s.inputs;  // the gate and what it gates
  return {kind, type, type, pass, {s.rows, s.columns, inputs, s.broadcast, s.outputs}};
}
OperatorShape make(Kind kind, const CollectiveSize& s, Pass pass) {
  return {kind, DataType::BF16, DataType::BF16, pass, {s.bytes, s.participants}};
}

GemmSize gemm_size(const OperatorShape& s) {
  return {s.dims[0], s.dims[1], s.dims[2], s.dims[3]};
}
GroupedGemmSize grouped_gemm_size(const OperatorShape& s) {
  return {s.dims[0], s.dims[1], s.dims[2], s.dims[3], s.dims[4]};
}
ConvolutionSize convolution_size(const OperatorShape& s) {
  const auto& v = s.dims;
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11]};
}
AttentionSize attention_size(const OperatorShape& s) {
  const auto& v = s.dims;
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9]};
}
VectorSize vector_size(const OperatorShape& s) {
  return {s.dims[0], s.dims[1], s.dims[2], s.dims[3], s.dims[4]};
}
CollectiveSize collective_size(const OperatorShape& s) {
  return {s.dims[0], s.dims[1]};
}

Flops matrix_flops(const OperatorShape& s) {
  switch (s.kind) {
    case Kind::Gemm:
      return Flops(2 * d(s.dims[0]) * d(s.dims[1]) * d(s.dims[2]) * d(s.dims[3]));
    case Kind::GroupedGemm:
      return Flops(2 * d(s.dims[1]) * d(s.dims[2]) * d(s.dims[3]));
    case Kind::Convolution: {
      ConvolutionSize c = convolution_size(s);
      return Flops(2 * d(c.batch) * d(c.out_height()) * d(c.out_width()) * d(c.out_channels) *
                   d(c.in_channels / c.groups) * d(c.kernel_h) * d(c.kernel_w));
    }
    case Kind::Attention: {
      AttentionSize a = attention_size(s);
      double forward = 2 * d(a.batch) * d(a.heads) * attended_pairs(a) * d(a.head_dim + a.value_dim);
      return Flops(s.pass == Pass::InputGradient
                       ? 2.5 * forward
                       : forward);  // backward recomputes QKᵀ: five products for two
    }
    default:
      return Flops(0);
  }
}

Flops flops(const OperatorShape& s) {
  const OperatorTraits& row = traits(s.kind);
  if (row.engine == Engine::Matrix) return matrix_flops(s);
  if (row.engine != Engine::Vector) return Flops(0);
  if (s.kind == Kind::OptimizerStep) return Flops(row.flops_per_element * d(s.dims[0]));
  if (s.kind == Kind::Pooling)
    return Flops(d(s.dims[0]) * d(s.dims[1]) * d(s.dims[2]) * d(s.dims[3]) * d(s.dims[4]) * d(s.dims[5]));
  return Flops(row.flops_per_element * d(s.dims[0]) * d(s.dims[1]));
}

Traffic traffic(const OperatorShape& s) {
  double in = bytes_per_element(s.type), stored = bytes_per_element(s.stored);
  double out = s.type == DataType::FP8 || s.type == DataType::FP8Block || s.type == DataType::INT8 ||
                       s.type == DataType::NVFP4 || s.type == DataType::MXFP4
                   ? 2
                   : in;  // narrow inputs accumulate and leave as 16 bit
  const auto& v = s.dims;
  switch (s.kind) {
    case Kind::Gemm: {
      double weights = d(v[0]) * d(v[2]) * d(v[3]) * stored;
      return {Bytes(d(v[0]) * d(v[1]) * d(v[3]) * in + weights), Bytes(d(v[0]) * d(v[1]) * d(v[2]) * out),
              Bytes(weights)};
    }
    case Kind::GroupedGemm: {
      double weights = d(v[0]) * d(v[2]) * d(v[3]) * stored, rows = d(v[1]);
      if (s.pass == Pass::WeightGradient)
        return {Bytes(rows * d(v[2] + v[3]) * in), Bytes(weights), Bytes(0)};
      if (s.pass == Pass::InputGradient)
        return {Bytes(rows * d(v[2]) * in + weights), Bytes(rows * d(v[3]) * out), Bytes(weights)};
      return {Bytes(rows * d(v[3]) * in + weights), Bytes(rows * d(v[2]) * out), Bytes(weights)};
    }
    case Kind::Convolution: {
      ConvolutionSize c = convolution_size(s);
      double weights =
          d(c.out_channels) * d(c.in_channels / c.groups) * d(c.kernel_h) * d(c.kernel_w) * stored;
      double image = d(c.batch) * d(c.in_channels) * d(c.height) * d(c.width);
      double result = d(c.batch) * d(c.out_channels) * d(c.out_height()) * d(c.out_width());
      if (s.pass == Pass::WeightGradient) return {Bytes((image + result) * in), Bytes(weights), Bytes(0)};
      if (s.pass == Pass::InputGradient)
        return {Bytes(result * in + weights), Bytes(image * out), Bytes(weights)};
      return {Bytes(image * in + weights), Bytes(result * out), Bytes(weights)};
    }
    case Kind::Attention: {
      AttentionSize a = attention_size(s);
      double keys = d(a.cached + a.query);
      if (a.window > 0) keys = std::min(keys, d(a.window + a.query));
      double width = d(a.shared ? a.head_dim : a.head_dim + a.value_dim);
      double cache = d(a.batch) * d(a.kv_heads) * keys * width * stored;
      double query = d(a.batch) * d(a.query) * d(a.heads) * in;
      double gradient = s.pass == Pass::InputGradient ? 2 : 1;  // reads dO and O too, writes dQ, dK, dV
      return {Bytes(gradient * (query * d(a.head_dim) + cache)),
              Bytes(query * d(a.value_dim) + (gradient - 1) * (cache + query * d(a.head_dim))), Bytes(cache)};
    }
    case Kind::Embedding:
      return {Bytes(d(v[0]) * d(v[1]) * stored), Bytes(d(v[0]) * d(v[1]) * in),
              Bytes(d(v[0]) * d(v[1]) * stored)};
    case Kind::Pooling:
      return {Bytes(d(v[0]) * d(v[1]) * d(v[6]) * d(v[7]) * in),
              Bytes(d(v[0]) * d(v[1]) * d(v[2]) * d(v[3]) * in), Bytes(0)};
    case Kind::TopK:
      return {Bytes(d(v[0]) * d(v[1]) * in), Bytes(d(v[0]) * d(v[2]) * 8), Bytes(0)};
    case Kind::Sampling:
      return {Bytes(2 * d(v[0]) * d(v[1]) * in), Bytes(d(v[0]) * 8), Bytes(0)};
    case Kind::Quantize:
    case Kind::KvWrite:
      return {Bytes((d(v[2]) * d(v[0]) * d(v[1]) + d(v[3])) * in),
              Bytes(d(v[4]) * d(v[0]) * d(v[1]) * stored), Bytes(0)};
    case Kind::Mean:
    case Kind::Reduce:
    case Kind::CrossEntropy: {
      double written = s.pass == Pass::InputGradient ? d(v[0]) * d(v[1])
                                                     : d(v[0]);  // backwards, one value spreads over its row
      return {Bytes((d(v[2]) * d(v[0]) * d(v[1]) + d(v[3])) * in), Bytes(d(v[4]) * written * in), Bytes(0)};
    }
    case Kind::OptimizerStep:
      return {Bytes(d(v[0]) * d(v[1]) / 2), Bytes(d(v[0]) * d(v[1]) / 2), Bytes(0)};
    case Kind::View:
      return {};
    default:
      break;
  }
  if (traits(s.kind).engine == Engine::Link) return {Bytes(d(v[0])), Bytes(d(v[0])), Bytes(0)};
  double elements = d(v[0]) * d(v[1]);
  double read = d(v[2]) * traits(s.kind).passes * elements + d(v[3]);
  return {Bytes(read * in), Bytes(d(v[4]) * elements * in), Bytes(0)};
}

uint64_t hash(const OperatorShape& s) {
  return hash_bytes({reinterpret_cast<const char*>(s.dims.data()), sizeof s.dims},
                    static_cast<uint64_t>(s.kind) | static_cast<uint64_t>(s.type) << 8 |
                        static_cast<uint64_t>(s.stored) << 16 | static_cast<uint64_t>(s.pass) << 24);
}

}  // namespace orrery::graph
