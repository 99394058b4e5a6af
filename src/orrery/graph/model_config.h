// A neural network as its authors publish it: the numbers of a Hugging Face config.json in the field's terms, read once,
// independent of batch, sequence and device. Transformers are one or more towers (CLIP, T5: two).
#pragma once

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
  int feed_forward = 0;                            // width of one expert
  int shared_experts = 0, shared_feed_forward = 0;  // width of all shared experts together
  bool shared_gate = false;                        // Qwen-MoE: a sigmoid gate on the shared expert
  int first_dense_layers = 0, every = 1;           // layer l is sparse when l >= first_dense_layers and (l + 1) % every == 0
  int groups = 1, groups_per_token = 1;            // DeepSeek's group-limited routing
  int capacity = 0;                                // Switch: tokens an expert takes; 0 = no limit
  bool router_bias = false;                        // DeepSeek-V3's correction bias, one per expert
};

// DeepSeek's multi-head latent attention: queries and keys through low-rank projections, a shared rotary key.
struct LatentAttention {
  int query_rank = 0;  // 0: queries are projected directly
  int kv_rank = 0, rope_dim = 0, nope_dim = 0, value_dim = 0;
};

struct Tower {
  TowerRole role = TowerRole::Decoder;
  int layers = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, feed_forward = 0;
  int tokens = 0;  // longest input of this tower (positions); vision: patches and class token
  Normalization normalization = Normalization::RmsNorm;
  Activation activation = Activation::Silu;
  PositionEncoding positions = PositionEncoding::Rotary;
  bool gated = true;                                                // act(x·W1)·(x·W3)
  bool qkv_bias = false, output_bias = false, feed_forward_bias = false;
  bool qk_norm = false;                                             // Qwen3: RMS norm of each head's query and key
  bool post_norm = false;                                           // BERT: norm behind the residual
  bool parallel_residual = false;
  bool cross_attention = false;                                     // T5's decoder
  int rotary_dim = 0;                                               // 0: all of head_dim
  int window = 0, window_every = 1;                                 // sliding window on layers l with (l + 1) % window_every != 0, or all when 1
  int relative_buckets = 0;                                         // T5
  int image_size = 0, patch_size = 0, channels = 0;                 // vision
  bool class_token = false;
  int projection = 0;                                               // CLIP: width of the shared space; 0 = none
  std::optional<Moe> moe;
  std::optional<LatentAttention> latent;
  bool sparse(int layer) const {
    return moe && layer >= moe->first_dense_layers && (layer + 1) % moe->every == 0;
  }
};

struct Quantization {
  std::string method;                      // as the file names it: "fp8", "awq", "gptq", "modelopt", ...; empty = none
  DataType weights = DataType::BF16;       // of the quantized linears
  DataType activations = DataType::BF16;   // of their inputs
  std::optional<DataType> kv_cache;
  int group_size = 0;
  std::vector<std::string> ignored;        // modules that keep the model's own type, as patterns
};

struct ModelConfig {
  std::string name, family;   // family: the config's model_type
  std::vector<Tower> towers;
  int64_t vocabulary = 0;
  bool tied_embeddings = false;
  int token_types = 0;        // BERT's segment embeddings
  int classes = 0;            // ViT's head
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
