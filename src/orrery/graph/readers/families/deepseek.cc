// DeepSeek V2 and V3: multi-head latent attention, shared experts, group-limited routing,
// multi-token-prediction layers.
#include "orrery/graph/readers/family.h"

namespace orrery::graph {
namespace {

void read_deepseek(Fields& fields, ModelConfig& model) {
  Tower& tower = model.towers.emplace_back();
  tower.layers = fields.size({"num_hidden_layers"}, kMostLayers);
  tower.hidden = fields.size({"hidden_size"}, kMostHidden);
  tower.heads = fields.size({"num_attention_heads"}, kMostHeads);
  tower.kv_heads = tower.heads;
  fields.ignore({"num_key_value_heads", "head_dim", "qk_head_dim", "rope_interleave"});
  tower.tokens = fields.size_or({"max_position_embeddings"}, 0, kMostTokens);
  tower.activation = fields.activation_or({"hidden_act"}, Activation::Silu, model.notes);
  tower.feed_forward = fields.size({"intermediate_size"}, kMostFeedForward);
  tower.feed_forward_bias = fields.flag_or({"mlp_bias"}, false);
  tower.qkv_bias = tower.output_bias = fields.flag_or({"attention_bias"}, false);

  LatentAttention& latent = tower.latent.emplace();
  latent.query_rank = fields.size_or({"q_lora_rank"}, 0, kMostHidden, 0);
  latent.kv_rank = fields.size({"kv_lora_rank"}, kMostHidden);
  latent.rope_dim = fields.size({"qk_rope_head_dim"}, kMostHidden);
  latent.nope_dim = fields.size({"qk_nope_head_dim"}, kMostHidden);
  latent.value_dim = fields.size({"v_head_dim"}, kMostHidden);
  tower.head_dim = latent.rope_dim + latent.nope_dim;
  tower.rotary_dim = latent.rope_dim;

  read_routed_experts(fields, model, tower);
  tower.moe->router_bias = model.family != "deepseek_v2";
  model.vocabulary = fields.size({"vocab_size"}, kMostVocabulary);
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, false);
}

constexpr Family kFamilies[] = {
    {"deepseek_v2", read_deepseek}, {"deepseek_v3", read_deepseek}, {"kimi_k2", read_deepseek}};

}  // namespace

std::span<const Family> deepseek_families() {
  return kFamilies;
}

void read_routed_experts(Fields& fields, ModelConfig& model, Tower& tower) {
  Moe& moe = tower.moe.emplace();
  moe.experts = fields.size({"n_routed_experts"}, kMostExperts);
  moe.experts_per_token = fields.size({"num_experts_per_tok"}, moe.experts);
  moe.feed_forward = fields.size({"moe_intermediate_size"}, kMostFeedForward);
  moe.shared_experts = fields.size_or({"n_shared_experts"}, 0, 1000, 0);
  moe.shared_feed_forward = moe.shared_experts * moe.feed_forward;
  moe.first_dense_layers = fields.size_or({"first_k_dense_replace"}, 0, kMostLayers, 0);
  moe.every = fields.size_or({"moe_layer_freq"}, 1, kMostLayers);
  moe.groups = fields.size_or({"n_group"}, 1, moe.experts);
  moe.groups_per_token = fields.size_or({"topk_group"}, 1, moe.groups);
  model.next_token_layers = fields.size_or({"num_nextn_predict_layers", "num_mtp_layers"}, 0, kMostLayers, 0);
}

}  // namespace orrery::graph
