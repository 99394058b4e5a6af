#include "orrery/graph/readers/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "orrery/base/text.h"

namespace orrery::graph {
namespace {

// Fields that change neither a tensor's shape nor the work: naming them would drown the ones that matter.
constexpr std::string_view kIrrelevant[] = {
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "_remove_final_layer_norm",
    "_sliding_window_pattern",
    "_source",
    "add_cross_attention",
    "apply_residual_connection_post_layernorm",
    "architectures",
    "attention_dropout",
    "attention_layers",
    "attention_multiplier",
    "attention_probs_dropout_prob",
    "attention_softmax_in_fp32",
    "attn_implementation",
    "attn_logit_softcapping",
    "attn_pdrop",
    "auto_map",
    "aux_loss_alpha",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bias_dropout_fusion",
    "boi_token_index",
    "bos_token_id",
    "cache_implementation",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "dense_act_fn",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "dropout_rate",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "embed_dropout",
    "embedding_dropout",
    "embedding_multiplier",
    "encoder_no_repeat_ngram_size",
    "encoder_stride",
    "eoi_token_index",
    "eos_token_id",
    "ep_size",
    "exponential_decay_length_penalty",
    "final_logit_softcapping",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "ignore_index",
    "image_token_id",
    "image_token_index",
    "init_std",
    "initial_context_length",
    "initializer_factor",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "layer_norm_elementwise_affine",
    "layer_norm_eps",
    "layer_norm_epsilon",
    "layer_types",
    "layerdrop",
    "length_penalty",
    "logit_scale_init_value",
    "logits_scaling",
    "logits_to_keep",
    "mask_token_id",
    "masked_softmax_fusion",
    "max_length",
    "max_window_layers",
    "min_length",
    "mm_tokens_per_image",
    "model_type",
    "mrope_section",
    "n_ctx",
    "no_repeat_ngram_size",
    "no_rope_layer_interval",
    "no_rope_layers",
    "norm_eps",
    "norm_epsilon",
    "norm_topk_prob",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "offset_alibi",
    "original_max_position_embeddings",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_router_logits",
    "output_scores",
    "pad_token_id",
    "position_embedding_type",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "projector_hidden_act",
    "prune_heads",
    "pruned_heads",
    "qa_dropout",
    "quantization_config",
    "query_pre_attn_scalar",
    "remove_invalid_values",
    "reorder_and_upcast_attn",
    "repetition_penalty",
    "resid_dropout",
    "resid_pdrop",
    "residual_multiplier",
    "return_dict",
    "return_dict_in_generate",
    "rms_norm_eps",
    "rope_interleaved",
    "rope_local_base_freq",
    "rope_parameters",
    "rope_ratio",
    "rope_scaling",
    "rope_theta",
    "rotary_emb_base",
    "rotary_emb_fraction",
    "routed_scaling_factor",
    "router_aux_loss_coef",
    "router_dtype",
    "router_ignore_padding_tokens",
    "router_jitter_noise",
    "router_type",
    "router_z_loss_coef",
    "scale_attn_by_inverse_layer_idx",
    "scale_attention_softmax_in_fp32",
    "residual_dropout",
    "scale_attn_weights",
    "scale_decoder_outputs",
    "scoring_func",
    "sep_token_id",
    "seq_aux",
    "seq_classif_dropout",
    "seq_length",
    "sinusoidal_pos_embds",
    "skip_bias_add",
    "skip_bias_add_qkv",
    "sliding_window_pattern",
    "slow_but_exact",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "suppress_tokens",
    "swiglu_alpha",
    "swiglu_limit",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "topk_method",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "type_vocab_size",
    "typical_p",
    "unk_index",
    "unk_token_id",
    "use_bfloat16",
    "use_bidirectional_attention",
    "use_cache",
    "use_logit_bias",
    "use_return_dict",
    "video_token_id",
    "vision_end_token_id",
    "vision_feature_layer",
    "vision_start_token_id",
    "vision_token_id",
};

struct ActivationName {
  std::string_view text;
  Activation activation;
};
constexpr ActivationName kActivations[] = {
    {"silu", Activation::Silu},          {"swish", Activation::Silu},
    {"gelu", Activation::Gelu},          {"gelu_python", Activation::Gelu},
    {"gelu_new", Activation::GeluTanh},  {"gelu_pytorch_tanh", Activation::GeluTanh},
    {"gelu_fast", Activation::GeluTanh}, {"quick_gelu", Activation::QuickGelu},
    {"relu", Activation::Relu},          {"tanh", Activation::Tanh},
};

}  // namespace

const Node* Fields::find(Keys keys) {
  const Node* result = nullptr;
  for (std::string_view key : keys) {
    asked_.emplace(key);
    if (!result) result = map_.find(key);
  }
  return result;
}

int Fields::size(Keys keys, int high, int low) {
  const Node* node = find(keys);
  return static_cast<int>((node ? *node : map_.at(*keys.begin())).as_integer(low, high));
}

int Fields::size_or(Keys keys, int absent, int high, int low) {
  const Node* node = find(keys);
  return node ? static_cast<int>(node->as_integer(low, high)) : absent;
}

bool Fields::flag_or(Keys keys, bool absent) {
  const Node* node = find(keys);
  return node ? node->as_bool() : absent;
}

double Fields::number_or(Keys keys, double absent, double low, double high) {
  const Node* node = find(keys);
  return node ? node->as_number(low, high) : absent;
}

std::string Fields::word_or(Keys keys, std::string_view absent) {
  const Node* node = find(keys);
  return node ? node->as_string() : std::string(absent);
}

Activation Fields::activation_or(Keys keys, Activation absent, std::vector<std::string>& notes) {
  const Node* node = find(keys);
  if (!node) return absent;
  for (const ActivationName& known : kActivations) {
    if (known.text == node->as_string()) return known.activation;
  }
  notes.push_back(fmt::format("activation '{}' is not known; priced as one pass over its input",
                              printable(node->as_string(), 40)));
  return absent;
}

void Fields::ignore(Keys keys) {
  asked_.insert(keys.begin(), keys.end());
}

void Fields::name_unknown(std::string_view where, std::vector<std::string>& notes) const {
  constexpr size_t kMostNamed = 40;
  static const std::set<std::string_view> irrelevant(std::begin(kIrrelevant), std::end(kIrrelevant));
  size_t named = 0;
  for (const auto& [key, value] : map_.entries()) {
    if (value.is_null() || asked_.contains(key) || irrelevant.contains(key)) continue;
    if (++named > kMostNamed) {
      notes.push_back(fmt::format("more than {} unknown fields; the rest is not listed", kMostNamed));
      return;
    }
    notes.push_back(fmt::format("field '{}{}' is not known and has no effect", where, printable(key, 60)));
  }
}

}  // namespace orrery::graph
