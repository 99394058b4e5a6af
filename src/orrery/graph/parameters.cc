#include "orrery/graph/parameters.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "orrery/graph/readers/quantization.h"

namespace orrery::graph {
namespace {

constexpr int64_t kBlock = 128;      // FP8 blocks, rows and columns
constexpr int64_t kMxBlock = 32;     // MXFP4, along the contraction
constexpr int64_t kNvBlock = 16;     // NVFP4
constexpr int64_t kInt4Block = 128;  // AWQ and GPTQ where the file does not say

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Collects the groups of one tower; every method appends.
class Collector {
 public:
  Collector(const ModelConfig& model, std::vector<WeightGroup>& out) : model_(model), out_(out) {}

  void tower(int index) {
    index_ = index;
    tower_ = &model_.towers[static_cast<size_t>(index)];
    const Tower& t = *tower_;
    int64_t position_width = t.hidden;
    if (t.position_rows > 0)
      add("embed_positions", Component::Position, Layers::Once, t.position_rows, position_width);
    if (t.role == TowerRole::Vision) patches();
    if (t.embedding_norm) norm("embedding_norm", Layers::Once);
    if (t.embedding_width > 0) {
      matrix("project_in", Component::Embedding, Layers::Once, t.hidden, t.embedding_width, Split::None);
      matrix("project_out", Component::Embedding, Layers::Once, t.embedding_width, t.hidden, Split::None);
    }
    if (t.relative_buckets > 0) {
      WeightGroup& bias =
          add("relative_bias", Component::Position, Layers::Once, t.relative_buckets, t.heads);
      bias.split = Split::HeadColumns;
      bias.units = t.heads;
    }
    layer(Layers::All, Layers::Dense, Layers::Sparse);
    if (t.final_norm) norm("final_norm", Layers::Once);
    if (t.projection > 0)
      matrix("projection", Component::Head, Layers::Once, t.projection, t.hidden, Split::None);
  }

  // A multi-token-prediction layer: a sparse layer behind a projection of the hidden state beside the next
  // token's embedding.
  void next_token_layer() {
    index_ = 0;
    tower_ = &model_.towers[0];
    size_t first = out_.size();
    Layers at = Layers::NextToken;
    norm("enorm", at);
    norm("hnorm", at);
    matrix("eh_proj", Component::NextToken, at, tower_->hidden, 2 * int64_t{tower_->hidden}, Split::None);
    out_.back().linear = false;
    norm("shared_head.norm", at);
    layer(at, Layers::Once, at);
    for (size_t i = first; i < out_.size(); ++i) out_[i].component = Component::NextToken;
  }

  void once(std::string_view module, Component component, int64_t rows, int64_t columns, Split split) {
    index_ = 0;
    matrix(module, component, Layers::Once, rows, columns, split);
  }

  void once_norm(std::string_view module) {
    index_ = 0;
    tower_ = &model_.towers[0];
    norm(module, Layers::Once);
  }

 private:
  WeightGroup& add(std::string_view module, Component component, Layers layers, int64_t rows,
                   int64_t columns = 1) {
    WeightGroup& group = out_.emplace_back();
    group.module = module;
    group.component = component;
    group.tower = index_;
    group.layers = layers;
    group.rows = rows;
    group.columns = columns;
    return group;
  }

  WeightGroup& matrix(std::string_view module, Component component, Layers layers, int64_t rows,
                      int64_t columns, Split split, int units = 1) {
    WeightGroup& group = add(module, component, layers, rows, columns);
    group.split = split;
    group.units = units;
    group.linear = true;
    return group;
  }

  void bias(std::string_view module, Component component, Layers layers, int64_t rows, Split split,
            int units = 1) {
    WeightGroup& group = add(module, component, layers, rows);
    group.split = split;
    group.units = units;
  }

  // Layer norm has a bias, RMS norm has none.
  void norm(std::string_view module, Layers layers, int64_t width = 0) {
    int64_t vectors = tower_->normalization == Normalization::LayerNorm ? 2 : 1;
    add(module, Component::Norm, layers, width > 0 ? width : tower_->hidden, vectors);
  }

  void patches() {
    const Tower& t = *tower_;
    int64_t patch = int64_t{t.channels} * t.patch_size * t.patch_size;
    add("patch_embed", Component::Embedding, Layers::Once, t.hidden, patch);
    if (t.patch_bias) add("patch_embed.bias", Component::Embedding, Layers::Once, t.hidden);
    if (t.class_token) add("class_token", Component::Embedding, Layers::Once, t.hidden);
  }

  void layer(Layers all, Layers dense, Layers sparse) {
    const Tower& t = *tower_;
    if (t.latent)
      latent_attention(all);
    else
      attention("self_attn", all);
    if (t.cross_attention) attention("cross_attn", all);
    int norms = (t.shared_norm ? 1 : t.sandwich_norm ? 4 : 2) + (t.cross_attention ? 1 : 0);
    for (int i = 0; i < norms; ++i) norm("layer_norm", all);
    if (t.feed_forward > 0 && dense != Layers::Once)
      feed_forward("mlp", Component::FeedForward, dense, t.feed_forward, 1, t.feed_forward_bias);
    if (!t.moe) return;
    const Moe& moe = *t.moe;
    add("mlp.router", Component::Router, sparse, moe.experts, t.hidden);
    if (moe.router_bias) add("mlp.router.bias", Component::Router, sparse, moe.experts);
    feed_forward("mlp.experts.0", Component::Experts, sparse, moe.feed_forward, moe.experts, moe.expert_bias);
    if (moe.shared_feed_forward > 0)
      feed_forward("mlp.shared_expert", Component::SharedExperts, sparse, moe.shared_feed_forward, 1, false);
    if (moe.shared_gate) add("mlp.shared_expert_gate", Component::Router, sparse, 1, t.hidden);
  }

  void attention(std::string_view prefix, Layers all) {
    const Tower& t = *tower_;
    const bool cross = prefix == "cross_attn";
    int64_t query = int64_t{t.heads} * t.head_dim, kv = int64_t{t.kv_heads} * t.head_dim;
    matrix(cross ? "cross_attn.q_proj" : "self_attn.q_proj", Component::Attention, all, query, t.hidden,
           Split::Heads, t.heads);
    matrix(cross ? "cross_attn.k_proj" : "self_attn.k_proj", Component::Attention, all, kv, t.hidden,
           Split::KvHeads, t.kv_heads);
    matrix(cross ? "cross_attn.v_proj" : "self_attn.v_proj", Component::Attention, all, kv, t.hidden,
           Split::KvHeads, t.kv_heads);
    matrix(cross ? "cross_attn.o_proj" : "self_attn.o_proj", Component::Attention, all, t.hidden, query,
           Split::HeadColumns, t.heads);
    if (t.qkv_bias) {
      bias("self_attn.q_proj.bias", Component::Attention, all, query, Split::Heads, t.heads);
      bias("self_attn.k_proj.bias", Component::Attention, all, kv, Split::KvHeads, t.kv_heads);
      bias("self_attn.v_proj.bias", Component::Attention, all, kv, Split::KvHeads, t.kv_heads);
    }
    if (t.output_bias) bias("self_attn.o_proj.bias", Component::Attention, all, t.hidden, Split::None);
    if (t.qk_norm) {
      norm("self_attn.q_norm", all, t.head_dim);
      norm("self_attn.k_norm", all, t.head_dim);
    }
    if (t.attention_sinks) bias("self_attn.sinks", Component::Attention, all, t.heads, Split::Heads, t.heads);
  }

  void latent_attention(Layers all) {
    const Tower& t = *tower_;
    const LatentAttention& l = *t.latent;
    int64_t query = int64_t{t.heads} * (l.nope_dim + l.rope_dim);
    if (l.query_rank > 0) {
      matrix("self_attn.q_a_proj", Component::Attention, all, l.query_rank, t.hidden, Split::None);
      norm("self_attn.q_a_layernorm", all, l.query_rank);
      matrix("self_attn.q_b_proj", Component::Attention, all, query, l.query_rank, Split::Heads, t.heads);
    } else {
      matrix("self_attn.q_proj", Component::Attention, all, query, t.hidden, Split::Heads, t.heads);
    }
    matrix("self_attn.kv_a_proj_with_mqa", Component::Attention, all, int64_t{l.kv_rank} + l.rope_dim,
           t.hidden, Split::None);
    norm("self_attn.kv_a_layernorm", all, l.kv_rank);
    matrix("self_attn.kv_b_proj", Component::Attention, all, int64_t{t.heads} * (l.nope_dim + l.value_dim),
           l.kv_rank, Split::Heads, t.heads);
    matrix("self_attn.o_proj", Component::Attention, all, t.hidden, int64_t{t.heads} * l.value_dim,
           Split::HeadColumns, t.heads);
    if (t.qkv_bias) {
      if (l.query_rank > 0)
        bias("self_attn.q_a_proj.bias", Component::Attention, all, l.query_rank, Split::None);
      bias("self_attn.kv_a_proj_with_mqa.bias", Component::Attention, all, int64_t{l.kv_rank} + l.rope_dim,
           Split::None);
    }
    if (t.output_bias) bias("self_attn.o_proj.bias", Component::Attention, all, t.hidden, Split::None);
  }

  void feed_forward(std::string_view prefix, Component component, Layers layers, int64_t width,
                    int64_t copies, bool biased) {
    const Tower& t = *tower_;
    struct Names {
      std::string_view prefix, up, gate, down;
    };
    static constexpr Names kNames[] = {
        {"mlp", "mlp.up_proj", "mlp.gate_proj", "mlp.down_proj"},
        {"mlp.experts.0", "mlp.experts.0.up_proj", "mlp.experts.0.gate_proj", "mlp.experts.0.down_proj"},
        {"mlp.shared_expert", "mlp.shared_expert.up_proj", "mlp.shared_expert.gate_proj",
         "mlp.shared_expert.down_proj"},
    };
    const Names& names = *std::find_if(std::begin(kNames), std::end(kNames),
                                       [&](const Names& n) { return n.prefix == prefix; });
    matrix(names.up, component, layers, width, t.hidden, Split::Rows).copies = copies;
    if (t.gated) matrix(names.gate, component, layers, width, t.hidden, Split::Rows).copies = copies;
    matrix(names.down, component, layers, t.hidden, width, Split::Columns).copies = copies;
    if (!biased) return;
    for (int i = 0; i < (t.gated ? 2 : 1); ++i) {
      bias(names.up, component, layers, width, Split::Rows);
      out_.back().copies = copies;
    }
    bias(names.down, component, layers, t.hidden, Split::None);
    out_.back().copies = copies;
  }

  const ModelConfig& model_;
  std::vector<WeightGroup>& out_;
  const Tower* tower_ = nullptr;
  int index_ = 0;
};

double elements(const ModelConfig& model, const WeightGroup& group) {
  return static_cast<double>(group.rows) * static_cast<double>(group.columns) *
         static_cast<double>(group.copies) * layers_holding(model, group);
}

bool layer_holds(const Tower& tower, Layers layers, int layer) {
  switch (layers) {
    case Layers::Dense:
      return !tower.sparse(layer);
    case Layers::Sparse:
      return tower.sparse(layer);
    case Layers::All:
      return true;
    case Layers::Once:
    case Layers::NextToken:
      return false;
  }
  return false;
}

bool may_be_quantized(const ModelConfig& model, const WeightGroup& group) {
  if (!model.quantization || !group.linear) return false;
  if (model.quantization->experts_only) return group.component == Component::Experts;
  return group.component == Component::Attention || group.component == Component::FeedForward ||
         group.component == Component::Experts || group.component == Component::SharedExperts ||
         group.component == Component::NextToken;
}

// Bytes of one matrix in a format, with its scales.
double matrix_bytes(DataType type, int group_size, int64_t rows, int64_t columns) {
  double weights = static_cast<double>(rows) * static_cast<double>(columns);
  auto groups = [&](int64_t block) {
    return static_cast<double>(rows) * static_cast<double>(divide_up(columns, block));
  };
  switch (type) {
    case DataType::FP8Block:
      return weights + 4.0 * static_cast<double>(divide_up(rows, kBlock)) *
                           static_cast<double>(divide_up(columns, kBlock));
    case DataType::INT4:
      return weights / 2 + 2.5 * groups(group_size > 0 ? group_size : kInt4Block);
    case DataType::NVFP4:
      return weights / 2 + groups(kNvBlock);
    case DataType::MXFP4:
      return weights / 2 + groups(kMxBlock);
    case DataType::INT8:
      return weights + 2.0 * static_cast<double>(rows);
    default:
      return weights * bytes_per_element(type);
  }
}

// What the fullest rank holds of one copy.
void apply_split(const WeightGroup& group, int ranks, int64_t& rows, int64_t& columns) {
  if (ranks <= 1) return;
  int64_t units = std::max(1, group.units);
  switch (group.split) {
    case Split::None:
      return;
    case Split::Rows:
      rows = divide_up(rows, ranks);
      return;
    case Split::Columns:
      columns = divide_up(columns, ranks);
      return;
    case Split::Heads:
    case Split::KvHeads:
      rows = rows / units * divide_up(units, ranks);
      return;
    case Split::HeadColumns:
      columns = columns / units * divide_up(units, ranks);
      return;
  }
}

}  // namespace

std::string_view name(Component component) {
  constexpr std::array<std::string_view, kComponents> kNames = {
      "embedding",      "position", "attention", "feed_forward", "experts",
      "shared_experts", "router",   "norm",      "head",         "next_token"};
  return kNames[static_cast<size_t>(component)];
}

int layers_holding(const ModelConfig& model, const WeightGroup& group) {
  if (group.layers == Layers::Once) return 1;
  if (group.layers == Layers::NextToken) return model.next_token_layers;
  const Tower& tower = model.towers[static_cast<size_t>(group.tower)];
  if (group.layers == Layers::All) return tower.layers;
  int count = 0;
  for (int layer = 0; layer < tower.layers; ++layer) count += layer_holds(tower, group.layers, layer);
  return count;
}

std::vector<WeightGroup> weight_groups(const ModelConfig& model) {
  std::vector<WeightGroup> groups;
  if (model.towers.empty()) return groups;
  groups.reserve(48 * model.towers.size());
  Collector collect(model, groups);
  const Tower& first = model.towers[0];
  int64_t width = first.embedding_width > 0 ? first.embedding_width : first.hidden;
  auto table = [&](std::string_view module, Component component, int64_t rows) {
    collect.once(module, component, rows, width, Split::Rows);
    groups.back().linear = false;
  };
  if (model.vocabulary > 0) table("embed_tokens", Component::Embedding, model.vocabulary);
  if (model.token_types > 0)
    collect.once("token_types", Component::Embedding, model.token_types, width, Split::None),
        groups.back().linear = false;
  for (size_t i = 0; i < model.towers.size(); ++i) collect.tower(static_cast<int>(i));
  if (first.projection > 0) groups.push_back({.module = "logit_scale", .component = Component::Head});
  if (model.pooler) {
    collect.once("pooler", Component::Head, first.hidden, first.hidden, Split::None);
    groups.push_back({.module = "pooler.bias", .component = Component::Head, .rows = first.hidden});
  }
  if (model.head_transform) {
    collect.once("head_transform", Component::Head, first.hidden, first.hidden, Split::None);
    groups.push_back({.module = "head_transform.bias", .component = Component::Head, .rows = first.hidden});
    collect.once_norm("head_transform.norm");
  }
  if (model.classes > 0) {
    collect.once("classifier", Component::Head, model.classes, first.hidden, Split::None);
    groups.push_back({.module = "classifier.bias", .component = Component::Head, .rows = model.classes});
  }
  if (model.head && !model.tied_embeddings) table("lm_head", Component::Head, model.vocabulary);
  if (model.head && model.head_bias) {
    groups.push_back({.module = "lm_head.bias",
                      .component = Component::Head,
                      .rows = model.vocabulary,
                      .split = Split::Rows});
  }
  if (model.next_token_layers > 0) collect.next_token_layer();
  return groups;
}

double ParameterCount::total() const {
  return std::accumulate(by_component.begin(), by_component.end(), 0.0);
}

ParameterCount parameter_count(const ModelConfig& model) {
  ParameterCount count;
  for (const WeightGroup& group : weight_groups(model)) {
    double all = elements(model, group);
    count.by_component[static_cast<size_t>(group.component)] += all;
    if (group.component == Component::Embedding || group.component == Component::Position)
      count.embedding += all;
    if (group.component == Component::NextToken) continue;
    double chosen = 1;
    if (group.component == Component::Experts) {
      const Moe& moe = *model.towers[static_cast<size_t>(group.tower)].moe;
      chosen = static_cast<double>(moe.experts_per_token) / moe.experts;
    }
    count.active += all * chosen;
  }
  return count;
}

DataType stored_type(const ModelConfig& model, const WeightGroup& group, int layer) {
  if (!may_be_quantized(model, group)) return model.type;
  const Quantization& quantization = *model.quantization;
  if (quantization.ignored.empty()) return quantization.weights;
  std::string module = group.layers == Layers::Once
                           ? std::string(group.module)
                           : "layers." + std::to_string(layer) + "." + std::string(group.module);
  bool ignored = ignores(quantization, module);
  if (!ignored && model.family == "mixtral" && group.component == Component::Experts) {
    ignored = ignores(quantization, "layers." + std::to_string(layer) + ".block_sparse_moe.experts.0");
  }
  return ignored ? model.type : quantization.weights;
}

double published_elements(const ModelConfig& model) {
  double sum = parameter_count(model).total();
  const Tower& first = model.towers[0];
  sum +=
      static_cast<double>(model.next_token_layers) * 2 * static_cast<double>(model.vocabulary) * first.hidden;
  for (const WeightGroup& group : weight_groups(model)) {
    if (!may_be_quantized(model, group)) continue;
    double matrices = static_cast<double>(group.copies) * layers_holding(model, group);
    if (model.quantization->weights == DataType::FP8Block) {
      sum += matrices * static_cast<double>(divide_up(group.rows, kBlock)) *
             static_cast<double>(divide_up(group.columns, kBlock));
    } else if (model.quantization->weights == DataType::MXFP4) {
      sum += matrices * static_cast<double>(group.rows) *
             static_cast<double>(divide_up(group.columns, kMxBlock));
    }
  }
  return sum;
}

Bytes WeightBytes::total() const {
  return Bytes(std::accumulate(by_component.begin(), by_component.end(), 0.0));
}

WeightBytes weight_bytes(const ModelConfig& model, const Parallelism& parallel, bool next_token) {
  WeightBytes result;
  const bool one_type = !model.quantization || model.quantization->ignored.empty();
  for (const WeightGroup& group : weight_groups(model)) {
    if (group.component == Component::NextToken && !next_token) continue;
    int64_t rows = group.rows, columns = group.columns, copies = group.copies;
    int ranks = parallel.tensor;
    if (group.component == Component::Experts &&
        parallel.expert > 1) {  // whole experts first, then within an expert
      copies = divide_up(copies, parallel.expert);
      ranks = std::max(1, parallel.tensor / parallel.expert);
    }
    apply_split(group, ranks, rows, columns);
    auto bytes_of = [&](DataType type) {
      int group_size = model.quantization ? model.quantization->group_size : 0;
      return static_cast<double>(copies) *
             (type == model.type
                  ? static_cast<double>(rows) * static_cast<double>(columns) * bytes_per_element(type)
                  : matrix_bytes(type, group_size, rows, columns));
    };
    double& sum = result.by_component[static_cast<size_t>(group.component)];
    const Tower& tower = model.towers[static_cast<size_t>(group.tower)];
    if (one_type || group.layers == Layers::Once || group.layers == Layers::NextToken ||
        !may_be_quantized(model, group)) {
      sum += bytes_of(stored_type(model, group, tower.layers)) * layers_holding(model, group);
      continue;
    }
    for (int layer = 0; layer < tower.layers; ++layer) {
      if (layer_holds(tower, group.layers, layer)) sum += bytes_of(stored_type(model, group, layer));
    }
  }
  return result;
}

}  // namespace orrery::graph
