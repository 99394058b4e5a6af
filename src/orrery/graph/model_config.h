// A neural network as its authors publish it: the numbers of a Hugging Face config.json in the field's terms,
// read once, independent of batch, sequence and device. Transformers are one or more towers (CLIP, T5: two).
//
// Invariants, kept by every reader: all sizes are positive where a layer uses them, heads is a multiple of
// kv_heads, head_dim is always set (derived where the file leaves it out), and the whole has at most 1e15
// parameters.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orrery/base/data_type.h"

namespace orrery::graph {

enum class Normalization : uint8_t { LayerNorm, RmsNorm };
enum class Activation : uint8_t { Relu, Gelu, GeluTanh, QuickGelu, Silu, Tanh };
enum class PositionEncoding : uint8_t { None, Learned, Rotary, RelativeBias, Alibi };
enum class TowerRole : uint8_t { Decoder, Encoder, Vision };

struct Moe {
  int experts = 0, experts_per_token = 0;
  int feed_forward = 0;                             // width of one expert
  int shared_experts = 0, shared_feed_forward = 0;  // width of all shared experts together
  bool shared_gate = false;                         // Qwen-MoE: a sigmoid gate on the shared expert
  int first_dense_layers = 0,
      every = 1;                  // layer l is sparse when l >= first_dense_layers and (l + 1) % every == 0
  std::vector<int> dense_layers;  // further layers that are dense (Qwen's mlp_only_layers)
  int groups = 1, groups_per_token = 1;  // DeepSeek's group-limited routing
  int capacity = 0;                      // Switch: tokens an expert takes; 0 = no limit
  bool router_bias = false;              // DeepSeek-V3's correction bias, gpt-oss: one per expert
  bool expert_bias = false;              // gpt-oss: biases on both matrices of an expert
};

// DeepSeek's multi-head latent attention: queries and keys through low-rank projections, a shared rotary key.
struct LatentAttention {
  int query_rank = 0;  // 0: queries are projected directly
  int kv_rank = 0, rope_dim = 0, nope_dim = 0, value_dim = 0;
};

struct Tower {
  TowerRole role = TowerRole::Decoder;
  int layers = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int feed_forward = 0;  // width of a dense layer; 0 where every layer is sparse
  int tokens = 0;  // longest input of this tower (positions), 0 = no limit; vision: patches and class token
  Normalization normalization = Normalization::RmsNorm;
  Activation activation = Activation::Silu;
  PositionEncoding positions = PositionEncoding::Rotary;
  int position_rows = 0;    // Learned: rows of the table (OPT: tokens + 2)
  int embedding_width = 0;  // OPT-350m: width of the token embedding where it is not `hidden`; 0 = hidden
  bool gated = true;        // act(x·W1)·(x·W3)
  bool qkv_bias = false, output_bias = false, feed_forward_bias = false;
  bool qk_norm = false;          // Qwen3, Gemma 3: RMS norm of each head's query and key, weights of head_dim
  bool attention_sinks = false;  // gpt-oss: one learned logit per head in the softmax
  bool post_norm = false;        // BERT: norm behind the residual
  bool sandwich_norm = false;  // Gemma 2, 3: norms before and after attention and feed-forward, four a layer
  bool parallel_residual = false;  // attention and feed-forward read the same input and are added together
  bool shared_norm = false;        // GPT-J, Falcon-7B: attention and feed-forward share one norm
  bool embedding_norm = false;     // BERT, Bloom, CLIP's vision tower: norm on the embeddings
  bool final_norm = true;
  bool cross_attention = false;                        // T5's decoder
  int rotary_dim = 0;                                  // 0: all of head_dim
  int window = 0, window_first = 0, window_every = 1;  // see windowed()
  int relative_buckets = 0;  // T5: rows of the bias table, which the first layer holds for all
  int image_size = 0, patch_size = 0, channels = 0;  // vision
  bool class_token = false, patch_bias = false;
  int projection = 0;  // CLIP: width of the shared space; 0 = none
  std::optional<Moe> moe;
  std::optional<LatentAttention> latent;

  bool sparse(int layer) const {
    return moe && layer >= moe->first_dense_layers && (layer + 1) % moe->every == 0 &&
           std::find(moe->dense_layers.begin(), moe->dense_layers.end(), layer) == moe->dense_layers.end();
  }
  // Whether a layer attends to the last `window` tokens only: from window_first on all layers, or where
  // window_every is above 1 all but each window_every-th of them (Gemma 3: 6, five local layers and a global
  // one).
  bool windowed(int layer) const {
    return window > 0 && layer >= window_first &&
           (window_every == 1 || (layer - window_first + 1) % window_every != 0);
  }
};

struct Quantization {
  std::string method;  // as the file names it: "fp8", "awq", "gptq", "modelopt", ...; empty = none
  DataType weights = DataType::BF16;      // of the quantized linears
  DataType activations = DataType::BF16;  // of their inputs
  std::optional<DataType> kv_cache = std::nullopt;
  int group_size = 0;         // weights that share a scale along the contraction; 0 = the format's own
  bool experts_only = false;  // gpt-oss: only the experts are quantized
  std::vector<std::string> ignored =
      {};  // modules that keep the model's own type, as patterns: see readers/quantization.h
};

struct ModelConfig {
  std::string name, family;  // family: the config's model_type
  std::vector<Tower> towers;
  int64_t vocabulary = 0;
  bool head = true;              // logits over the vocabulary
  bool tied_embeddings = false;  // the head shares the embedding's matrix
  bool head_bias = false;        // GPT-J, BERT
  bool head_transform = false;   // BERT: dense layer, activation and norm before the vocabulary
  bool pooler = false;           // BERT, ViT: dense layer and tanh on the first token
  int token_types = 0;           // BERT's segment embeddings
  int classes = 0;            // classifier on the pooled or class token (ViT, BERT's next-sentence head: 2)
  int next_token_layers = 0;  // DeepSeek-V3's multi-token-prediction layers: loaded, not run by default
  DataType type = DataType::BF16;
  std::optional<Quantization> quantization;
  std::optional<double> exact_weight_bytes;  // from model.safetensors.index.json
  std::vector<std::string> notes;            // fields that are not known, tensors that are not priced
};

struct Parallelism {
  int data = 1, tensor = 1, pipeline = 1, expert = 1, sequence = 1, microbatch = 1;
};

}  // namespace orrery::graph
