// BERT, RoBERTa, DistilBERT: encoders with learned positions and a norm behind each residual. Which heads the
// file carries follows from `architectures`; without it a pooler is assumed, as the bare model has one.
#include "orrery/graph/readers/family.h"

namespace orrery::graph {
namespace {

std::string architecture(Fields& fields) {
  const Node* list = fields.find({"architectures"});
  return list && list->is_list() && !list->items().empty() ? list->items()[0].text() : std::string();
}

int classes(Fields& fields) {
  const Node* labels = fields.find({"id2label"});
  int named = labels && labels->is_map() ? static_cast<int>(labels->entries().size()) : 2;
  return fields.size_or({"num_labels"}, named, kMostVocabulary);
}

Tower& encoder(ModelConfig& model) {
  Tower& tower = model.towers.emplace_back();
  tower.role = TowerRole::Encoder;
  tower.normalization = Normalization::LayerNorm;
  tower.positions = PositionEncoding::Learned;
  tower.gated = false;
  tower.qkv_bias = tower.output_bias = tower.feed_forward_bias = true;
  tower.post_norm = tower.embedding_norm = true;
  tower.final_norm = false;
  return tower;
}

// Masked-language heads share the embedding's matrix and bring a transform and a bias; classifiers stand on
// the pooler.
void read_model_heads(Fields& fields, ModelConfig& model) {
  std::string name = architecture(fields);
  bool masked = name.ends_with("ForMaskedLM"), pretraining = name.ends_with("ForPreTraining");
  model.head = model.head_transform = model.head_bias = masked || pretraining;
  model.tied_embeddings = fields.flag_or({"tie_word_embeddings"}, true);
  model.pooler =
      !masked && !name.ends_with("ForTokenClassification") && !name.ends_with("ForQuestionAnswering");
  if (pretraining) model.classes = 2;  // does the second sentence follow the first
  for (std::string_view task :
       {"ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"}) {
    if (name.ends_with(task)) model.classes = classes(fields);
  }
}

void read_bert(Fields& fields, ModelConfig& model) {
  constexpr int kRobertaPadding = 2;  // RoBERTa's positions begin behind the padding index
  Tower& tower = encoder(model);
  tower.layers = fields.size({"num_hidden_layers"}, kMostLayers);
  tower.hidden = fields.size({"hidden_size"}, kMostHidden);
  read_heads(fields, tower, {"num_attention_heads"});
  tower.feed_forward = fields.size({"intermediate_size"}, kMostFeedForward);
  tower.position_rows = fields.size_or({"max_position_embeddings"}, 512, kMostTokens);
  tower.tokens = tower.position_rows;
  if (model.family != "bert" && tower.tokens > kRobertaPadding) tower.tokens -= kRobertaPadding;
  tower.activation = fields.activation_or({"hidden_act"}, Activation::Gelu, model.notes);
  model.token_types = fields.size_or({"type_vocab_size"}, 2, kMostVocabulary, 0);
  model.vocabulary = fields.size({"vocab_size"}, kMostVocabulary);
  read_model_heads(fields, model);
}

void read_distilbert(Fields& fields, ModelConfig& model) {
  Tower& tower = encoder(model);
  tower.layers = fields.size({"n_layers"}, kMostLayers);
  tower.hidden = fields.size({"dim"}, kMostHidden);
  read_heads(fields, tower, {"n_heads"});
  tower.feed_forward = fields.size_or({"hidden_dim"}, 4 * tower.hidden, kMostFeedForward);
  tower.tokens = tower.position_rows = fields.size_or({"max_position_embeddings"}, 512, kMostTokens);
  tower.activation = fields.activation_or({"activation"}, Activation::Gelu, model.notes);
  model.vocabulary = fields.size({"vocab_size"}, kMostVocabulary);
  read_model_heads(fields, model);
  model.pooler = architecture(fields).ends_with("ForSequenceClassification");
}

constexpr Family kFamilies[] = {
    {"bert", read_bert},      {"roberta", read_bert},          {"xlm-roberta", read_bert},
    {"camembert", read_bert}, {"distilbert", read_distilbert},
};

}  // namespace

std::span<const Family> bert_families() {
  return kFamilies;
}

}  // namespace orrery::graph
