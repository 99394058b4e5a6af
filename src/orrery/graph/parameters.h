// The weights of a model, matrix by matrix: exact parameter counts by component, parameters that a token
// touches, and bytes under quantization and tensor parallelism. One list (weight_groups) is the source of all
// of them.
//
// Lettering: a weight of `rows` x `columns` maps `columns` inputs to `rows` outputs; a vector has columns
// = 1.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "orrery/base/units.h"
#include "orrery/graph/model_config.h"

namespace orrery::graph {

enum class Component : uint8_t {
  Embedding,
  Position,
  Attention,
  FeedForward,
  Experts,
  SharedExperts,
  Router,
  Norm,
  Head,
  NextToken
};
inline constexpr size_t kComponents = 10;
std::string_view name(Component);  // "embedding", "attention", "feed_forward", ...

// How tensor parallelism of degree t cuts a weight; what does not divide is rounded up, as the fullest rank
// holds it.
enum class Split : uint8_t {
  None,         // every rank holds it
  Rows,         // outputs
  Columns,      // inputs
  Heads,        // rows are `units` heads
  KvHeads,      // rows are `units` key-value heads, of which a rank holds at least one
  HeadColumns,  // columns are `units` heads
};

enum class Layers : uint8_t { Once, All, Dense, Sparse, NextToken };

struct WeightGroup {
  std::string_view
      module;  // canonical name below the layer: "self_attn.q_proj", "mlp.experts.0.up_proj"; once: "lm_head"
  Component component = Component::Attention;
  int tower = 0;
  Layers layers = Layers::Once;
  int64_t rows = 1, columns = 1;
  int64_t copies = 1;  // in a layer: experts
  Split split = Split::None;
  int units = 1;        // heads, for the splits by head
  bool linear = false;  // a matrix that quantization may reach
};

std::vector<WeightGroup> weight_groups(const ModelConfig&);

// How many layers of its tower hold a group (1 for Layers::Once).
int layers_holding(const ModelConfig&, const WeightGroup&);

struct ParameterCount {
  std::array<double, kComponents> by_component{};  // whole numbers, exact up to 2^53
  double active = 0;     // read for one token: chosen experts only, no next-token layers
  double embedding = 0;  // the lookup tables among them (token, position, segment)
  double total() const;  // everything that is loaded, next-token layers included; a tied head counts once
};
ParameterCount parameter_count(const ModelConfig&);

// Elements of all tensors in published files: the parameters, with the scales of block formats (one FP32 per
// 128 x 128 block; one byte per 32 weights in MXFP4) and, for next-token layers, their own copies of
// embedding and head.
double published_elements(const ModelConfig&);

struct WeightBytes {
  std::array<double, kComponents> by_component{};
  Bytes total() const;
};
// Bytes that the fullest rank of one pipeline stage of all layers holds; tensor and expert parallelism are
// applied. With Parallelism{} it is the whole model. Next-token layers are counted, as serving engines load
// them only on demand, when `next_token` is set.
WeightBytes weight_bytes(const ModelConfig&, const Parallelism& = {}, bool next_token = false);

// The numeric format in which a weight is stored: quantized, or the model's own type.
DataType stored_type(const ModelConfig&, const WeightGroup&, int layer);

}  // namespace orrery::graph
