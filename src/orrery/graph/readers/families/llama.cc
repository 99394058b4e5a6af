// Llama and its relatives: what differs between them is a row of traits.
#include <fmt/format.h>

#include <algorithm>

#include "orrery/graph/readers/family.h"

namespace orrery::graph {
namespace {

enum class Bias { Never, Always, ByField };  // ByField: attention_bias, false when absent

struct Traits {
  std::string_view model_type;
  Bias qkv = Bias::Never, output = Bias::Never;
  bool tied = false;
  bool qk_norm = false, sandwich = false;
  int head_dim = 0;  // the family's default; 0: hidden / heads
  int heads = 0, kv_heads = 0,
      vocabulary = 0;  // defaults that nested text_configs leave out; 0: required, kv: as heads
  int window = 0, window_period = 1;
  Activation activation = Activation::Silu;
};

// Defaults as the configuration classes of the transformers library (4.5x) set them.
constexpr Traits kTraits[] = {
    {.model_type = "llama", .qkv = Bias::ByField, .output = Bias::ByField},
    {.model_type = "mistral"},
    {.model_type = "qwen2", .qkv = Bias::Always},
    {.model_type = "qwen3", .qkv = Bias::ByField, .output = Bias::ByField, .qk_norm = true, .head_dim = 128},
    {.model_type = "gemma",
     .qkv = Bias::ByField,
     .output = Bias::ByField,
     .tied = true,
     .head_dim = 256,
     .activation = Activation::GeluTanh},
    {.model_type = "gemma2",
     .qkv = Bias::ByField,
     .output = Bias::ByField,
     .tied = true,
     .sandwich = true,
     .head_dim = 256,
     .window = 4096,
     .window_period = 2,
     .activation = Activation::GeluTanh},
    {.model_type = "gemma3_text",
     .qkv = Bias::ByField,
     .output = Bias::ByField,
     .tied = true,
     .qk_norm = true,
     .sandwich = true,
     .head_dim = 256,
     .heads = 8,
     .kv_heads = 4,
     .vocabulary = 262208,
     .window = 4096,
     .window_period = 6,
     .activation = Activation::GeluTanh},
    {.model_type = "smollm3", .qkv = Bias::ByField, .output = Bias::ByField, .tied = true},
    {.model_type = "granite", .qkv = Bias::ByField, .output = Bias::ByField},
    {.model_type = "ministral3", .head_dim = 128},
    {.model_type = "qwen2_5_vl_text", .qkv = Bias::Always},
    {.model_type = "qwen3_vl_text",
     .qkv = Bias::ByField,
     .output = Bias::ByField,
     .qk_norm = true,
     .head_dim = 128},
    {.model_type = "qwen3_vl_moe_text", .qkv = Bias::ByField, .output = Bias::ByField, .qk_norm = true},
    {.model_type = "glm4_moe", .qkv = Bias::ByField},
    {.model_type = "phi3"},
    {.model_type = "mixtral"},
    {.model_type = "qwen2_moe", .qkv = Bias::Always},
    {.model_type = "qwen3_moe", .qkv = Bias::ByField, .output = Bias::ByField, .qk_norm = true},
    {.model_type = "gpt_oss", .qkv = Bias::Always, .output = Bias::Always, .window = 128, .window_period = 2},
    {.model_type = "llama4_text", .qkv = Bias::ByField, .output = Bias::ByField, .head_dim = 128},
};

const Traits& traits_of(std::string_view model_type) {
  return *std::find_if(std::begin(kTraits), std::end(kTraits),
                       [&](const Traits& t) { return t.model_type == model_type; });
}

// Everything but the feed-forward part.
Tower& read_attention_stack(Fields& fields, ModelConfig& model) {
  const Traits& traits = traits_of(model.family);
  Tower& tower = model.towers.emplace_back();
  tower.layers = fields.size({"num_hidden_layers"}, kMostLayers);
  tower.hidden = fields.size({"hidden_size"}, kMostHidden);
  if (traits.heads > 0 && !fields.find({"num_attention_heads"})) {
    tower.heads = traits.heads;
    tower.kv_heads = fields.size_or({"num_key_value_heads"}, traits.kv_heads, kMostHeads);
    tower.head_dim = fields.size_or({"head_dim"}, traits.head_dim, kMostHidden);
  } else {
    read_heads(fields, tower, {"num_attention_heads"}, traits.head_dim);
  }
  tower.tokens = fields.size_or({"max_position_embeddings"}, 0, kMostTokens);
  tower.activation =
      fields.activation_or({"hidden_activation", "hidden_act"}, traits.activation, model.notes);
  bool bias = fields.flag_or({"attention_bias"}, false);
  tower.qkv_bias = traits.qkv == Bias::Always || (traits.qkv == Bias::ByField && bias);
  tower.output_bias = traits.output == Bias::Always || (traits.output == Bias::ByField && bias);
  tower.qk_norm = traits.qk_norm;
  tower.sandwich_norm = traits.sandwich;
  double rotated = fields.number_or({"partial_rotary_factor"}, 1, 0, 1);
  tower.rotary_dim = rotated < 1 ? static_cast<int>(rotated * tower.head_dim) : 0;
  read_window(fields, tower, traits.window, traits.window_period, model.notes);
  model.vocabulary = traits.vocabulary > 0
                         ? fields.size_or({"vocab_size"}, traits.vocabulary, kMostVocabulary)
                         : fields.size({"vocab_size"}, kMostVocabulary);
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, traits.tied);
  return tower;
}

void read_dense(Fields& fields, ModelConfig& model) {
  Tower& tower = read_attention_stack(fields, model);
  tower.feed_forward = fields.size({"intermediate_size"}, kMostFeedForward);
  tower.feed_forward_bias = fields.flag_or({"mlp_bias"}, false);
}

void read_routing(Fields& fields, Moe& moe, Fields::Keys experts, Fields::Keys per_token) {
  moe.experts = fields.size(experts, kMostExperts);
  moe.experts_per_token = fields.size(per_token, moe.experts);
}

void read_mixtral(Fields& fields, ModelConfig& model) {
  Tower& tower = read_attention_stack(fields, model);
  Moe& moe = tower.moe.emplace();
  read_routing(fields, moe, {"num_local_experts", "num_experts"}, {"num_experts_per_tok"});
  moe.feed_forward = fields.size({"intermediate_size"}, kMostFeedForward);
}

void read_qwen_moe(Fields& fields, ModelConfig& model) {
  Tower& tower = read_attention_stack(fields, model);
  Moe& moe = tower.moe.emplace();
  read_routing(fields, moe, {"num_experts", "num_local_experts"}, {"num_experts_per_tok"});
  moe.feed_forward = fields.size({"moe_intermediate_size"}, kMostFeedForward);
  moe.every = fields.size_or({"decoder_sparse_step"}, 1, kMostLayers);
  if (const Node* dense = fields.find({"mlp_only_layers"})) {
    for (const Node& layer : dense->items())
      moe.dense_layers.push_back(static_cast<int>(layer.as_integer(0, tower.layers - 1)));
  }
  if (model.family == "qwen2_moe") {
    moe.shared_experts = 1;
    moe.shared_feed_forward = fields.size({"shared_expert_intermediate_size"}, kMostFeedForward);
    moe.shared_gate = true;
    tower.qkv_bias = fields.flag_or({"qkv_bias"}, true);
  }
  bool all_sparse = moe.every == 1 && moe.dense_layers.empty();
  int dense = all_sparse ? fields.size_or({"intermediate_size"}, 0, kMostFeedForward)
                         : fields.size({"intermediate_size"}, kMostFeedForward);
  tower.feed_forward = all_sparse ? 0 : dense;
}

void read_gpt_oss(Fields& fields, ModelConfig& model) {
  Tower& tower = read_attention_stack(fields, model);
  tower.attention_sinks = true;
  Moe& moe = tower.moe.emplace();
  read_routing(fields, moe, {"num_local_experts"}, {"num_experts_per_tok", "experts_per_token"});
  moe.feed_forward = fields.size({"intermediate_size"}, kMostFeedForward);
  moe.router_bias = moe.expert_bias = true;
}

// Sparse layers carry one shared expert of the routed experts' width; dense layers are
// `intermediate_size_mlp` wide.
void read_llama4(Fields& fields, ModelConfig& model) {
  Tower& tower = read_attention_stack(fields, model);
  Moe& moe = tower.moe.emplace();
  read_routing(fields, moe, {"num_local_experts", "num_experts"}, {"num_experts_per_tok"});
  moe.feed_forward = moe.shared_feed_forward = fields.size({"intermediate_size"}, kMostFeedForward);
  moe.shared_experts = 1;
  moe.every = fields.size_or({"interleave_moe_layer_step"}, 1, kMostLayers);
  tower.feed_forward = fields.size({"intermediate_size_mlp"}, kMostFeedForward);
  tower.window = fields.size_or({"attention_chunk_size"}, 8192, kMostTokens);
  tower.window_every = 4;
  fields.ignore({"no_rope_layers", "no_rope_layer_interval", "use_qk_norm", "attn_scale",
                 "attn_temperature_tuning", "floor_scale", "for_llm_compression", "moe_layers"});
  if (tower.feed_forward > 0 && moe.every == 1) tower.feed_forward = 0;
}

void read_glm4_moe(Fields& fields, ModelConfig& model) {
  Tower& tower = read_attention_stack(fields, model);
  tower.qk_norm = fields.flag_or({"use_qk_norm"}, false);
  tower.feed_forward = fields.size({"intermediate_size"}, kMostFeedForward);
  read_routed_experts(fields, model, tower);
  tower.moe->router_bias = true;
}

constexpr Family kFamilies[] = {
    {"llama", read_dense},
    {"mistral", read_dense},
    {"qwen2", read_dense},
    {"qwen3", read_dense},
    {"gemma", read_dense},
    {"gemma2", read_dense},
    {"gemma3_text", read_dense},
    {"phi3", read_dense},
    {"mixtral", read_mixtral},
    {"qwen2_moe", read_qwen_moe},
    {"qwen3_moe", read_qwen_moe},
    {"gpt_oss", read_gpt_oss},
    {"llama4_text", read_llama4},
    {"smollm3", read_dense},
    {"granite", read_dense},
    {"ministral3", read_dense},
    {"qwen2_5_vl_text", read_dense},
    {"qwen3_vl_text", read_dense},
    {"qwen3_vl_moe_text", read_qwen_moe},
    {"glm4_moe", read_glm4_moe},
};

}  // namespace

std::span<const Family> llama_families() {
  return kFamilies;
}

}  // namespace orrery::graph
