// T5, its multilingual and later forms, and Switch: an encoder and a decoder with cross attention, RMS norm
// without bias, relative positions in a table that the first layer of each tower holds.
#include "orrery/graph/readers/family.h"

namespace orrery::graph {
namespace {

void read_towers(Fields& fields, ModelConfig& model) {
  Tower encoder;
  encoder.role = TowerRole::Encoder;
  encoder.positions = PositionEncoding::RelativeBias;
  encoder.layers = fields.size({"num_layers"}, kMostLayers);
  encoder.hidden = fields.size({"d_model"}, kMostHidden);
  encoder.heads = encoder.kv_heads = fields.size({"num_heads"}, kMostHeads);
  encoder.head_dim = fields.size({"d_kv"}, kMostHidden);
  encoder.feed_forward = fields.size({"d_ff"}, kMostFeedForward);
  encoder.tokens = fields.size_or({"n_positions"}, 0, kMostTokens);
  encoder.relative_buckets = fields.size_or({"relative_attention_num_buckets"}, 32, kMostTokens);
  fields.ignore({"relative_attention_max_distance", "is_gated_act"});
  std::string projection =
      fields.word_or({"feed_forward_proj"}, model.family == "mt5" ? "gated-gelu" : "relu");
  encoder.gated = projection.starts_with("gated-");
  encoder.activation = projection.ends_with("relu")   ? Activation::Relu
                       : projection.ends_with("silu") ? Activation::Silu
                                                      : Activation::GeluTanh;
  Tower decoder = encoder;
  decoder.role = TowerRole::Decoder;
  decoder.cross_attention = true;
  decoder.layers = fields.size_or({"num_decoder_layers"}, encoder.layers, kMostLayers);
  model.towers = {encoder, decoder};
  model.vocabulary = fields.size({"vocab_size"}, kMostVocabulary);
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, true);
}

void read_t5(Fields& fields, ModelConfig& model) {
  read_towers(fields, model);
}

// Sparse layers stand at every step-th place of each tower, from the second on; each token goes to one
// expert, up to its capacity.
void read_switch(Fields& fields, ModelConfig& model) {
  read_towers(fields, model);
  Moe moe;
  moe.experts = fields.size({"num_experts"}, kMostExperts);
  moe.experts_per_token = 1;
  moe.feed_forward = model.towers[0].feed_forward;
  moe.capacity = fields.size_or({"expert_capacity"}, 64, kMostTokens);
  fields.ignore({"router_bias", "router_type", "router_dtype", "add_router_probs",
                 "batch_prioritized_routing", "num_selected_experts", "router_ignore_padding_tokens",
                 "encoder_sparse_step", "decoder_sparse_step"});
  int sparse[] = {fields.size_or({"num_sparse_encoder_layers"}, 3, kMostLayers, 0),
                  fields.size_or({"num_sparse_decoder_layers"}, 3, kMostLayers, 0)};
  for (int i = 0; i < 2; ++i) {
    Tower& tower = model.towers[static_cast<size_t>(i)];
    if (sparse[i] == 0) continue;
    if (sparse[i] > tower.layers) fields.map().fail("a tower cannot have more sparse layers than layers");
    moe.every = tower.layers / sparse[i];
    tower.moe = moe;
  }
}

constexpr Family kFamilies[] = {{"t5", read_t5}, {"mt5", read_t5}, {"switch_transformers", read_switch}};

}  // namespace

std::span<const Family> t5_families() {
  return kFamilies;
}

}  // namespace orrery::graph
