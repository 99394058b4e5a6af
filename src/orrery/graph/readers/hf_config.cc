#include "orrery/graph/readers/hf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/graph/parameters.h"
#include "orrery/graph/readers/family.h"
#include "orrery/graph/readers/quantization.h"
#include "orrery/graph/readers/safetensors_index.h"

namespace orrery::graph {
namespace {

constexpr double kMostParameters = 1e15;

std::vector<Family> all_families() {
  std::vector<Family> all;
  for (std::span<const Family> part : {bert_families(), deepseek_families(), gpt_families(), llama_families(),
                                       t5_families(), vision_families()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

const Family* find_family(std::string_view model_type) {
  static const std::vector<Family> all = all_families();
  auto found = std::find_if(all.begin(), all.end(),
                            [&](const Family& family) { return family.model_type == model_type; });
  return found == all.end() ? nullptr : &*found;
}

void read_type(const Node& map, ModelConfig& model) {
  const Node* type = map.find("dtype");
  if (!type) type = map.find("torch_dtype");
  if (!type || (type->is_string() && type->as_string() == "auto")) return;
  std::optional<DataType> known = parse_data_type(type->as_string());
  if (!known)
    type->fail(fmt::format("'{}' is not a data type; expected float32, float16 or bfloat16",
                           printable(type->as_string(), 40)));
  model.type = *known;
}

bool names_type(const Node& map) {
  return map.find("dtype") || map.find("torch_dtype");
}

// Vision-language models keep their language model in text_config; its towers of other senses are said, not
// priced.
void read_nested(const Node& document, const Node& text, std::string_view outer_type, ModelConfig& model) {
  const Node* type = text.find("model_type");
  model.family = type ? type->as_string() : "llama";
  const Family* family = find_family(model.family);
  if (!family) {
    (type ? *type : text)
        .fail(fmt::format(
            "the text_config of this '{}' model has model_type '{}', which is not known; known are {}",
            printable(outer_type, 40), printable(model.family, 40), join(known_model_types(), ", ")));
  }
  Fields fields(text);
  family->read(fields, model);
  fields.name_unknown("text_config.", model.notes);
  if (document.find("tie_word_embeddings")) {  // the outer model ties, whatever the inner one says
    model.tied_embeddings = document.at("tie_word_embeddings").as_bool();
  }
  for (const auto& [key, value] : document.entries()) {
    if (key == "text_config" || !key.ends_with("_config") || key == "quantization_config" || !value.is_map())
      continue;
    model.notes.push_back(fmt::format("'{}' is not priced: only the language model is", printable(key, 60)));
  }
}

}  // namespace

std::vector<std::string> known_model_types() {
  std::vector<std::string> names;
  for (const Family& family : all_families()) names.emplace_back(family.model_type);
  std::sort(names.begin(), names.end());
  return names;
}

void read_heads(Fields& fields, Tower& tower, Fields::Keys heads, int head_dim) {
  tower.heads = fields.size(heads, kMostHeads);
  tower.kv_heads = fields.size_or({"num_key_value_heads"}, tower.heads, kMostHeads);
  if (tower.heads % tower.kv_heads != 0) {
    fields.find({"num_key_value_heads"})
        ->fail(fmt::format("num_key_value_heads {} does not divide the {} attention heads", tower.kv_heads,
                           tower.heads));
  }
  tower.head_dim = fields.size_or({"head_dim"}, head_dim, kMostHidden);
  if (tower.head_dim > 0) return;
  if (tower.hidden % tower.heads != 0) {
    fields.find(heads)->fail(
        fmt::format("hidden size {} is not divisible by {} attention heads; correct one, or give head_dim",
                    tower.hidden, tower.heads));
  }
  tower.head_dim = tower.hidden / tower.heads;
}

void read_window(Fields& fields, Tower& tower, int absent, int period, std::vector<std::string>& notes) {
  const Node* window = fields.find({"sliding_window"});
  bool used = fields.flag_or({"use_sliding_window"}, !fields.map().find("max_window_layers"));
  if (!used || (!window && absent == 0)) return;
  tower.window = window ? static_cast<int>(window->as_integer(1, kMostTokens)) : absent;
  tower.window_every = period;
  if (const Node* first = fields.find({"max_window_layers"}))
    tower.window_first = static_cast<int>(first->as_integer(0, kMostLayers));
  if (const Node* every = fields.find({"sliding_window_pattern", "_sliding_window_pattern"})) {
    tower.window_every = static_cast<int>(every->as_integer(1, kMostLayers));
  }
  const Node* types = fields.find({"layer_types"});
  if (!types) return;
  std::vector<bool> local;
  for (const Node& type : types->items()) local.push_back(type.as_string() == "sliding_attention");
  if (static_cast<int>(local.size()) != tower.layers) {
    types->fail(fmt::format("layer_types has {} entries; expected one for each of the {} layers",
                            local.size(), tower.layers));
  }
  auto first = std::find(local.begin(), local.end(), true);
  if (first == local.end()) {
    tower.window = 0;
    return;
  }
  tower.window_first = static_cast<int>(first - local.begin());
  auto global = std::find(first, local.end(), false);
  tower.window_every = global == local.end() ? 1 : static_cast<int>(global - first) + 1;
  for (int layer = 0; layer < tower.layers; ++layer) {
    if (tower.windowed(layer) == local[static_cast<size_t>(layer)]) continue;
    notes.push_back(fmt::format("layer_types follows no period; priced as if each {}th layer were global",
                                tower.window_every));
    return;
  }
}

ModelConfig read_hf_config(const Node& document, std::string name) {
  ModelConfig model;
  model.name = std::move(name);
  model.type = DataType::FP32;
  const Node& type = document.at("model_type");
  const std::string& model_type = type.as_string();
  model.family = model_type;
  const Node* text = document.find("text_config");
  if (const Family* family = find_family(model_type)) {
    Fields fields(document);
    family->read(fields, model);
    fields.name_unknown("", model.notes);
  } else if (text && text->is_map()) {
    read_nested(document, *text, model_type, model);
  } else {
    std::vector<std::string> known = known_model_types();
    type.fail(
        fmt::format("model_type '{}' is not known{}; known are {}. A model of another architecture can be "
                    "given as an operator CSV or as ONNX",
                    printable(model_type, 40), did_you_mean(model_type, known), join(known, ", ")));
  }
  if (names_type(document))
    read_type(document, model);
  else if (text && text->is_map() && names_type(*text))
    read_type(*text, model);
  else
    model.notes.push_back(
        "no dtype is given: weights are taken as fp32, as the transformers library loads them");
  if (const Node* quantization = document.find("quantization_config")) {
    model.quantization = read_quantization_config(*quantization, model.type, model.notes);
  } else if (text && text->is_map() && text->find("quantization_config")) {
    model.quantization = read_quantization_config(text->at("quantization_config"), model.type, model.notes);
  }
  if (model.quantization && model.family == "gpt_oss")
    model.quantization->experts_only = model.quantization->weights == DataType::MXFP4;

  double parameters = parameter_count(model).total();
  if (!(parameters <= kMostParameters)) {
    document.fail(
        fmt::format("these sizes give {:.3g} parameters; expected at most {:.0e}: check the dimensions",
                    parameters, kMostParameters));
  }
  return model;
}

ModelConfig read_hf_config(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  fs::path file = path;
  if (fs::is_directory(file, ignored)) file /= "config.json";
  fs::path folder = file.parent_path();
  std::string name = file.filename() == "config.json"
                         ? fs::absolute(file, ignored).parent_path().filename().string()
                         : file.stem().string();
  Node document = parse_json(read_file(file.string()), file.string());
  ModelConfig model = read_hf_config(document, name);
  if (file.filename() != "config.json") return model;
  std::string scheme = (folder / "hf_quant_config.json").string();
  if (!model.quantization && file_exists(scheme)) {
    model.quantization = read_hf_quant_config(parse_json(read_file(scheme), scheme), model.type, model.notes);
  }
  std::string index = (folder / "model.safetensors.index.json").string();
  if (file_exists(index)) {
    model.exact_weight_bytes = read_safetensors_total(parse_json(read_file(index), index));
  }
  return model;
}

}  // namespace orrery::graph
