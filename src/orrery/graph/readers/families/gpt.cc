// GPT-2 (GPT-3 is published in its terms), GPT-Neo, GPT-J, GPT-NeoX, OPT, Bloom, Falcon: layer norm, plain
// feed-forward.
#include <fmt/format.h>

#include "orrery/graph/readers/family.h"

namespace orrery::graph {
namespace {

Tower& layer_norm_decoder(ModelConfig& model, PositionEncoding positions, bool bias) {
  Tower& tower = model.towers.emplace_back();
  tower.normalization = Normalization::LayerNorm;
  tower.positions = positions;
  tower.gated = false;
  tower.qkv_bias = tower.output_bias = tower.feed_forward_bias = bias;
  return tower;
}

// n_layer, n_embd, n_head, n_inner and n_positions, as GPT-2 named them.
void read_gpt2_sizes(Fields& fields, ModelConfig& model, Tower& tower) {
  tower.layers = fields.size({"n_layer", "num_hidden_layers"}, kMostLayers);
  tower.hidden = fields.size({"n_embd", "hidden_size"}, kMostHidden);
  read_heads(fields, tower, {"n_head", "num_attention_heads"});
  tower.feed_forward = fields.size_or({"n_inner"}, 4 * tower.hidden, kMostFeedForward);
  tower.tokens = fields.size_or({"n_positions", "max_position_embeddings"}, 1024, kMostTokens);
  tower.activation = fields.activation_or({"activation_function"}, Activation::GeluTanh, model.notes);
  model.vocabulary = fields.size({"vocab_size"}, kMostVocabulary);
}

void read_gpt2(Fields& fields, ModelConfig& model) {
  Tower& tower = layer_norm_decoder(model, PositionEncoding::Learned, true);
  read_gpt2_sizes(fields, model, tower);
  tower.position_rows = tower.tokens;
  if (model.family == "gpt_bigcode" && fields.flag_or({"multi_query"}, true)) tower.kv_heads = 1;
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, true);
}

void read_gptj(Fields& fields, ModelConfig& model) {
  Tower& tower = layer_norm_decoder(model, PositionEncoding::Rotary, false);
  read_gpt2_sizes(fields, model, tower);
  tower.feed_forward_bias = true;
  tower.parallel_residual = tower.shared_norm = true;
  tower.rotary_dim = fields.size_or({"rotary_dim"}, 64, kMostHidden);
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, false);
  model.head_bias = true;
}

void read_gpt_neo(Fields& fields, ModelConfig& model) {
  Tower& tower = layer_norm_decoder(model, PositionEncoding::Learned, true);
  tower.layers = fields.size({"num_layers", "num_hidden_layers"}, kMostLayers);
  tower.hidden = fields.size({"hidden_size"}, kMostHidden);
  read_heads(fields, tower, {"num_heads", "num_attention_heads"});
  tower.qkv_bias = false;
  tower.feed_forward = fields.size_or({"intermediate_size"}, 4 * tower.hidden, kMostFeedForward);
  tower.tokens = tower.position_rows = fields.size_or({"max_position_embeddings"}, 2048, kMostTokens);
  tower.activation = fields.activation_or({"activation_function"}, Activation::GeluTanh, model.notes);
  // Every published model alternates a global and a local layer, the global one first.
  tower.window = fields.size_or({"window_size"}, 256, kMostTokens);
  tower.window_first = 1;
  tower.window_every = 2;
  fields.ignore({"attention_types"});
  model.vocabulary = fields.size({"vocab_size"}, kMostVocabulary);
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, true);
}

void read_gpt_neox(Fields& fields, ModelConfig& model) {
  Tower& tower = layer_norm_decoder(model, PositionEncoding::Rotary, true);
  tower.layers = fields.size({"num_hidden_layers"}, kMostLayers);
  tower.hidden = fields.size({"hidden_size"}, kMostHidden);
  read_heads(fields, tower, {"num_attention_heads"});
  tower.feed_forward = fields.size({"intermediate_size"}, kMostFeedForward);
  tower.tokens = fields.size_or({"max_position_embeddings"}, 2048, kMostTokens);
  tower.activation = fields.activation_or({"hidden_act"}, Activation::Gelu, model.notes);
  tower.qkv_bias = tower.output_bias = fields.flag_or({"attention_bias"}, true);
  tower.parallel_residual = fields.flag_or({"use_parallel_residual"}, true);
  tower.rotary_dim = static_cast<int>(fields.number_or({"rotary_pct", "partial_rotary_factor"}, 0.25, 0, 1) *
                                      tower.head_dim);
  model.vocabulary = fields.size({"vocab_size"}, kMostVocabulary);
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, false);
}

// The table of positions holds two rows more than there are positions; OPT-350m embeds into a narrower space.
void read_opt(Fields& fields, ModelConfig& model) {
  constexpr int kPositionOffset = 2;
  bool bias = fields.flag_or({"enable_bias"}, true);
  Tower& tower = layer_norm_decoder(model, PositionEncoding::Learned, bias);
  tower.layers = fields.size({"num_hidden_layers"}, kMostLayers);
  tower.hidden = fields.size({"hidden_size"}, kMostHidden);
  read_heads(fields, tower, {"num_attention_heads"});
  tower.feed_forward = fields.size({"ffn_dim"}, kMostFeedForward);
  tower.tokens = fields.size_or({"max_position_embeddings"}, 2048, kMostTokens);
  tower.position_rows = tower.tokens + kPositionOffset;
  tower.activation = fields.activation_or({"activation_function"}, Activation::Relu, model.notes);
  tower.post_norm = !fields.flag_or({"do_layer_norm_before"}, true);
  tower.final_norm = !tower.post_norm;
  int width = fields.size_or({"word_embed_proj_dim"}, tower.hidden, kMostHidden);
  tower.embedding_width = width == tower.hidden ? 0 : width;
  model.vocabulary = fields.size({"vocab_size"}, kMostVocabulary);
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, true);
}

void read_bloom(Fields& fields, ModelConfig& model) {
  Tower& tower = layer_norm_decoder(model, PositionEncoding::Alibi, true);
  tower.layers = fields.size({"n_layer", "num_hidden_layers"}, kMostLayers);
  tower.hidden = fields.size({"hidden_size", "n_embed"}, kMostHidden);
  read_heads(fields, tower, {"n_head", "num_attention_heads"});
  tower.feed_forward = 4 * tower.hidden;
  tower.activation = Activation::GeluTanh;
  tower.embedding_norm = true;
  model.vocabulary = fields.size({"vocab_size"}, kMostVocabulary);
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, true);
}

void read_falcon(Fields& fields, ModelConfig& model) {
  bool alibi = fields.flag_or({"alibi"}, false);
  Tower& tower = layer_norm_decoder(model, alibi ? PositionEncoding::Alibi : PositionEncoding::Rotary,
                                    fields.flag_or({"bias"}, false));
  tower.layers = fields.size({"num_hidden_layers", "n_layer"}, kMostLayers);
  tower.hidden = fields.size({"hidden_size"}, kMostHidden);
  bool grouped = fields.flag_or({"new_decoder_architecture"}, false);
  int kv_heads = fields.size_or({"num_kv_heads", "n_head_kv"}, 0, kMostHeads);
  read_heads(fields, tower, {"num_attention_heads", "n_head"});
  if (grouped && kv_heads > 0) tower.kv_heads = kv_heads;
  bool one_kv_head = fields.flag_or({"multi_query"}, true),
       parallel = fields.flag_or({"parallel_attn"}, true);
  if (!grouped && one_kv_head) tower.kv_heads = 1;
  if (tower.heads % tower.kv_heads != 0)
    fields.map().fail("num_attention_heads is not a multiple of num_kv_heads");
  tower.feed_forward = fields.size_or({"ffn_hidden_size"}, 4 * tower.hidden, kMostFeedForward);
  tower.tokens = fields.size_or({"max_position_embeddings"}, 2048, kMostTokens);
  tower.activation = fields.activation_or({"activation"}, Activation::Gelu, model.notes);
  tower.parallel_residual = grouped || parallel;
  int norms = fields.size_or({"num_ln_in_parallel_attn"}, grouped ? 2 : 1, 2);
  tower.shared_norm = tower.parallel_residual && norms == 1;
  model.vocabulary = fields.size({"vocab_size"}, kMostVocabulary);
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, true);
}

// StarCoder 2 and Phi-1, 2: rotary positions and grouped heads under layer norms.
void read_rotary_layer_norm(Fields& fields, ModelConfig& model) {
  const bool phi = model.family == "phi";
  Tower& tower =
      layer_norm_decoder(model, PositionEncoding::Rotary, phi || fields.flag_or({"use_bias"}, true));
  tower.layers = fields.size({"num_hidden_layers"}, kMostLayers);
  tower.hidden = fields.size({"hidden_size"}, kMostHidden);
  read_heads(fields, tower, {"num_attention_heads"});
  tower.feed_forward = fields.size({"intermediate_size"}, kMostFeedForward);
  tower.tokens = fields.size_or({"max_position_embeddings"}, 0, kMostTokens);
  tower.activation = fields.activation_or({"hidden_act"}, Activation::GeluTanh, model.notes);
  tower.rotary_dim =
      static_cast<int>(fields.number_or({"partial_rotary_factor"}, phi ? 0.5 : 1, 0, 1) * tower.head_dim);
  tower.parallel_residual = tower.shared_norm = model.head_bias = phi;
  tower.qk_norm = phi && fields.flag_or({"qk_layernorm"}, false);
  read_window(fields, tower, 0, 1, model.notes);
  model.vocabulary = fields.size({"vocab_size"}, kMostVocabulary);
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, !phi);
}

constexpr Family kFamilies[] = {
    {"gpt2", read_gpt2},
    {"gpt_bigcode", read_gpt2},
    {"gptj", read_gptj},
    {"gpt_neo", read_gpt_neo},
    {"gpt_neox", read_gpt_neox},
    {"opt", read_opt},
    {"bloom", read_bloom},
    {"falcon", read_falcon},
    {"starcoder2", read_rotary_layer_norm},
    {"phi", read_rotary_layer_norm},
};

}  // namespace

std::span<const Family> gpt_families() {
  return kFamilies;
}

}  // namespace orrery::graph
