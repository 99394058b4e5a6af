// One way of writing a config.json: a model_type and the function that reads its fields. Each file in
// families/ holds one list of them; a new family is a new row there (a relative of Llama: a row of traits in
// families/llama.cc).
#pragma once

#include <span>
#include <string_view>

#include "orrery/graph/model_config.h"
#include "orrery/graph/readers/fields.h"

namespace orrery::graph {

struct Family {
  std::string_view model_type;
  void (*read)(Fields&, ModelConfig&);
};

std::span<const Family> bert_families();      // encoders of text
std::span<const Family> deepseek_families();  // latent attention
std::span<const Family> gpt_families();       // GPT-2 and its relatives up to Bloom and Falcon
std::span<const Family>
llama_families();  // RMS norm, rotary positions, gated feed-forward, with experts or without
std::span<const Family> t5_families();      // encoder and decoder
std::span<const Family> vision_families();  // ViT, CLIP

// Heads and their width as all decoders write them: num_attention_heads, num_key_value_heads (absent: as
// many), head_dim (absent: hidden / heads, which must divide). `head_dim` 0: no default of the family.
void read_heads(Fields&, Tower&, Fields::Keys heads, int head_dim = 0);

// DeepSeek's mixture, which others took over: routed and shared experts of one width, dense first layers,
// groups, next-token layers.
void read_routed_experts(Fields&, ModelConfig&, Tower&);

// `layer_types` or a window with its period, into window, window_first and window_every.
void read_window(Fields&, Tower&, int absent, int period, std::vector<std::string>& notes);

}  // namespace orrery::graph
