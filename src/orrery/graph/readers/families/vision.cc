// ViT, and CLIP's pair of towers. Patches are cut by a convolution as wide as its step.
#include <fmt/format.h>

#include "orrery/graph/readers/family.h"

namespace orrery::graph {
namespace {

void read_patches(Fields& fields, Tower& tower) {
  constexpr int kLargestImage = 100'000;
  tower.role = TowerRole::Vision;
  tower.image_size = fields.size_or({"image_size"}, 224, kLargestImage);
  tower.patch_size = fields.size_or({"patch_size"}, tower.patch_size, kLargestImage);
  tower.channels = fields.size_or({"num_channels"}, 3, 1000);
  if (tower.patch_size > tower.image_size) fields.map().fail("patch_size is larger than image_size");
  int64_t side = tower.image_size / tower.patch_size;
  if (side > 10'000)
    fields.map().fail(fmt::format(
        "image_size / patch_size gives {} x {} patches; expected at most 10000 a side", side, side));
  tower.class_token = true;
  tower.tokens = tower.position_rows = static_cast<int>(side * side) + 1;
}

Tower layer_norm_tower() {
  Tower tower;
  tower.role = TowerRole::Encoder;
  tower.normalization = Normalization::LayerNorm;
  tower.positions = PositionEncoding::Learned;
  tower.gated = false;
  tower.qkv_bias = tower.output_bias = tower.feed_forward_bias = true;
  return tower;
}

void read_vit(Fields& fields, ModelConfig& model) {
  Tower& tower = model.towers.emplace_back(layer_norm_tower());
  tower.layers = fields.size({"num_hidden_layers"}, kMostLayers);
  tower.hidden = fields.size({"hidden_size"}, kMostHidden);
  read_heads(fields, tower, {"num_attention_heads"});
  tower.feed_forward = fields.size({"intermediate_size"}, kMostFeedForward);
  tower.activation = fields.activation_or({"hidden_act"}, Activation::Gelu, model.notes);
  tower.qkv_bias = fields.flag_or({"qkv_bias"}, true);
  tower.patch_size = 16;
  tower.patch_bias = true;
  read_patches(fields, tower);
  model.head = false;
  const Node* architectures = fields.find({"architectures"});
  bool classifier = architectures && architectures->is_list() && !architectures->items().empty() &&
                    architectures->items()[0].text().ends_with("ForImageClassification");
  const Node* labels = fields.find({"id2label"});
  int named = labels && labels->is_map() ? static_cast<int>(labels->entries().size()) : 2;
  named = fields.size_or({"num_labels"}, named, kMostVocabulary);
  model.classes = classifier ? named : 0;
  model.pooler = !classifier;
  fields.ignore({"pooler_output_size", "pooler_act", "tie_word_embeddings"});
}

// Both nested maps write only what differs from CLIP's defaults (ViT-B/32).
void read_clip(Fields& fields, ModelConfig& model) {
  int projection = fields.size_or({"projection_dim"}, 512, kMostHidden);
  struct Defaults {
    std::string_view key;
    int layers, hidden, heads, feed_forward;
  };
  constexpr Defaults kTowers[] = {{"text_config", 12, 512, 8, 2048}, {"vision_config", 12, 768, 12, 3072}};
  for (const Defaults& defaults : kTowers) {
    const Node* map = fields.find({defaults.key});
    if (!map) fields.map().fail(fmt::format("field '{}' is missing; add it to this map", defaults.key));
    Fields nested(*map);
    Tower tower = layer_norm_tower();
    tower.projection = projection;
    tower.layers = nested.size_or({"num_hidden_layers"}, defaults.layers, kMostLayers);
    tower.hidden = nested.size_or({"hidden_size"}, defaults.hidden, kMostHidden);
    tower.heads = nested.size_or({"num_attention_heads"}, defaults.heads, kMostHeads);
    tower.kv_heads = tower.heads;
    if (tower.hidden % tower.heads != 0)
      map->fail(fmt::format("hidden_size {} is not divisible by num_attention_heads {}", tower.hidden,
                            tower.heads));
    tower.head_dim = tower.hidden / tower.heads;
    tower.feed_forward = nested.size_or({"intermediate_size"}, defaults.feed_forward, kMostFeedForward);
    tower.activation = nested.activation_or({"hidden_act"}, Activation::QuickGelu, model.notes);
    nested.ignore({"projection_dim"});
    if (defaults.key == "text_config") {
      tower.tokens = tower.position_rows = nested.size_or({"max_position_embeddings"}, 77, kMostTokens);
      model.vocabulary = nested.size_or({"vocab_size"}, 49408, kMostVocabulary);
    } else {
      tower.patch_size = 32;
      tower.embedding_norm = true;
      read_patches(nested, tower);
    }
    nested.name_unknown(std::string(defaults.key) + ".", model.notes);
    model.towers.push_back(tower);
  }
  fields.ignore({"text_config_dict", "vision_config_dict", "tie_word_embeddings"});
  model.head = false;
}

constexpr Family kFamilies[] = {{"vit", read_vit}, {"clip", read_clip}};

}  // namespace

std::span<const Family> vision_families() {
  return kFamilies;
}

}  // namespace orrery::graph
