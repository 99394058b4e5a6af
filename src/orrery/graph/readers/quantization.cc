#include "orrery/graph/readers/quantization.h"

#include <fmt/format.h>

#include <algorithm>

#include "orrery/base/text.h"
#include "orrery/graph/readers/fields.h"

namespace orrery::graph {
namespace {

constexpr int kLargestGroup = 1 << 20;
constexpr char kWholeName = '=';  // begins a pattern that must match from end to end

void read_names(const Node* list, Quantization& result) {
  if (!list) return;
  if (list->is_string()) {
    ignore(result, list->as_string());
    return;
  }
  for (const Node& name : list->items()) ignore(result, name.as_string());
}

// The lists of modules left alone, under the names that the methods give them.
void read_ignored(const Node& map, Quantization& result) {
  for (std::string_view key :
       {"ignore", "ignored_layers", "modules_to_not_convert", "exclude_modules", "llm_int8_skip_modules"}) {
    read_names(map.find(key), result);
  }
}

int group_size(const Node& map) {
  const Node* size = map.find("group_size");
  return size ? std::max(0, static_cast<int>(size->as_integer(-1, kLargestGroup))) : 0;
}

DataType integer_type(const Node& bits, std::vector<std::string>& notes) {
  int64_t width = bits.as_integer(1, 16);
  if (width == 4) return DataType::INT4;
  if (width == 8) return DataType::INT8;
  notes.push_back(fmt::format("{}-bit weights are priced as {} bits", width, width < 4 ? 4 : 8));
  return width < 4 ? DataType::INT4 : DataType::INT8;
}

std::optional<Quantization> read_fp8(const Node& map, Quantization result, std::vector<std::string>&) {
  result.weights = map.find("weight_block_size") ? DataType::FP8Block : DataType::FP8;
  result.activations = result.weights;
  return result;
}

std::optional<Quantization> read_weight_only(const Node& map, Quantization result,
                                             std::vector<std::string>& notes) {
  const Node* bits = map.find("bits");
  if (!bits) bits = map.find("w_bit");
  result.weights = integer_type(bits ? *bits : map.at("bits"), notes);
  result.group_size = group_size(map);
  return result;
}

std::optional<Quantization> read_bitsandbytes(const Node& map, Quantization result,
                                              std::vector<std::string>& notes) {
  const Node* four = map.find("load_in_4bit");
  if (!four) four = map.find("_load_in_4bit");
  result.weights = four && four->as_bool() ? DataType::INT4 : DataType::INT8;
  result.group_size = result.weights == DataType::INT4 ? 64 : 0;
  notes.push_back(
      fmt::format("bitsandbytes kernels are not measured: priced as {} weights", name(result.weights)));
  return result;
}

std::optional<Quantization> read_mxfp4(const Node&, Quantization result, std::vector<std::string>&) {
  result.weights = DataType::MXFP4;
  return result;
}

// One side (weights or activations) of a compressed-tensors group: {num_bits, type, strategy, group_size}.
DataType scheme_type(const Node& scheme, std::vector<std::string>& notes) {
  const Node* type = scheme.find("type");
  bool real = type && type->as_string() == "float";
  const Node& bits = scheme.at("num_bits");
  const Node* strategy = scheme.find("strategy");
  std::string_view way = strategy ? std::string_view(strategy->as_string()) : "tensor";
  if (!real) return integer_type(bits, notes);
  if (bits.as_integer(1, 16) == 4) return group_size(scheme) == 32 ? DataType::MXFP4 : DataType::NVFP4;
  if (bits.as_integer(1, 16) == 8) return way == "block" ? DataType::FP8Block : DataType::FP8;
  bits.fail(fmt::format("float weights of {} bits are not known; expected 4 or 8", bits.text()));
}

std::optional<Quantization> read_groups(const Node& map, Quantization result,
                                        std::vector<std::string>& notes) {
  const Node& groups = map.at("config_groups");
  if (groups.entries().empty())
    groups.fail("config_groups is empty; expected at least one group with weights");
  const Node& group = groups.entries()[0].second;
  if (groups.entries().size() > 1)
    notes.push_back("several quantization groups: all are priced as the first");
  const Node& weights = group.at("weights");
  result.weights = scheme_type(weights, notes);
  result.group_size = group_size(weights);
  if (const Node* inputs = group.find("input_activations")) {
    result.activations =
        result.weights == DataType::FP8Block ? DataType::FP8Block : scheme_type(*inputs, notes);
  }
  if (const Node* cache = map.find("kv_cache_scheme")) result.kv_cache = scheme_type(*cache, notes);
  return result;
}

struct Algorithm {
  std::string_view name;
  DataType weights;
  std::optional<DataType> activations;  // none: the model's own type
};
constexpr Algorithm kAlgorithms[] = {
    {"FP8", DataType::FP8, DataType::FP8},
    {"FP8_PER_CHANNEL_PER_TOKEN", DataType::FP8, DataType::FP8},
    {"FP8_PB_REAL", DataType::FP8Block, DataType::FP8Block},
    {"FP8_PB_WO", DataType::FP8Block, std::nullopt},
    {"NVFP4", DataType::NVFP4, DataType::NVFP4},
    {"NVFP4_AWQ", DataType::NVFP4, DataType::NVFP4},
    {"W4A16_NVFP4", DataType::NVFP4, std::nullopt},
    {"W4A16_AWQ", DataType::INT4, std::nullopt},
    {"W4A8_AWQ", DataType::INT4, DataType::FP8},
    {"W4A16", DataType::INT4, std::nullopt},
    {"W8A16", DataType::INT8, std::nullopt},
    {"W8A8_SQ_PER_CHANNEL", DataType::INT8, DataType::INT8},
    {"INT8", DataType::INT8, DataType::INT8},
};

// `quant_algo` with group_size and kv_cache_quant_algo, as Model Optimizer names them.
std::optional<Quantization> read_algorithm(const Node& map, Quantization result,
                                           std::vector<std::string>& notes) {
  const Node& algorithm = map.at("quant_algo");
  auto known = std::find_if(std::begin(kAlgorithms), std::end(kAlgorithms),
                            [&](const Algorithm& a) { return a.name == algorithm.as_string(); });
  if (known == std::end(kAlgorithms)) {
    notes.push_back(fmt::format("quant_algo '{}' is not known: weights are taken in the model's own type",
                                printable(algorithm.as_string(), 40)));
    return std::nullopt;
  }
  result.weights = known->weights;
  if (known->activations) result.activations = *known->activations;
  result.group_size = group_size(map);
  const Node* cache = map.find("kv_cache_quant_algo");
  if (!cache) cache = map.find("kv_cache_scheme");
  if (cache && cache->is_map()) result.kv_cache = scheme_type(*cache, notes);
  if (cache && cache->is_string()) result.kv_cache = parse_data_type(cache->as_string());
  return result;
}

std::optional<Quantization> read_modelopt(const Node& map, Quantization result,
                                          std::vector<std::string>& notes) {
  return map.find("quant_algo") ? read_algorithm(map, std::move(result), notes)
                                : read_groups(map, std::move(result), notes);
}

struct Method {
  std::string_view name;
  std::optional<Quantization> (*read)(const Node&, Quantization, std::vector<std::string>&);
};
constexpr Method kMethods[] = {
    {"fp8", read_fp8},
    {"fbgemm_fp8", read_fp8},
    {"awq", read_weight_only},
    {"gptq", read_weight_only},
    {"auto-round", read_weight_only},
    {"intel/auto-round", read_weight_only},
    {"bitsandbytes", read_bitsandbytes},
    {"mxfp4", read_mxfp4},
    {"compressed-tensors", read_groups},
    {"modelopt", read_modelopt},
    {"modelopt_fp4", read_modelopt},
};

// Pattern matching with memory of nothing and no recursion on hostile input deeper than the pattern's stars.
bool glob(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

// The part of a module's name that all writers share: from "layers." on.
std::string_view below_layers(std::string_view name) {
  size_t at = name.find("layers.");
  return at == std::string_view::npos ? name : name.substr(at);
}

std::string regular_to_glob(std::string_view expression) {
  std::string result;
  for (size_t i = 0; i < expression.size(); ++i) {
    std::string_view rest = expression.substr(i);
    if (rest.starts_with(".*") || rest.starts_with(".+"))
      result += '*', ++i;
    else if (rest.starts_with("\\d+"))
      result += '*', i += 2;
    else if (rest.starts_with("[0-9]+"))
      result += '*', i += 5;
    else if (rest.starts_with("\\") && rest.size() > 1)
      result += rest[1], ++i;
    else if (rest[0] == '.')
      result += '?';
    else if (rest[0] != '^' && rest[0] != '$')
      result += rest[0];
  }
  return result;
}

// Whole-name globs for a regular expression, one for each choice of its first group.
std::vector<std::string> regular_to_globs(std::string_view expression) {
  size_t open = expression.find('('), close = expression.find(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return {regular_to_glob(expression)};
  }
  std::string_view inner = expression.substr(open + 1, close - open - 1);
  if (inner.starts_with("?:")) inner.remove_prefix(2);
  std::vector<std::string> globs;
  for (const std::string& choice : split(inner, '|')) {
    globs.push_back(regular_to_glob(std::string(expression.substr(0, open)) + choice +
                                    std::string(expression.substr(close + 1))));
  }
  return globs;
}

// Whether `run` stands in `name` between dots or its ends.
bool holds_run(std::string_view name, std::string_view run) {
  for (size_t at = name.find(run); at != std::string_view::npos; at = name.find(run, at + 1)) {
    size_t end = at + run.size();
    if ((at == 0 || name[at - 1] == '.') && (end == name.size() || name[end] == '.')) return true;
  }
  return false;
}

// Called for each pattern, module and layer: allocates nothing.
bool matches(std::string_view pattern, std::string_view module) {
  if (pattern.starts_with(kWholeName)) return glob(below_layers(pattern.substr(1)), module);
  std::string_view relative = below_layers(pattern);
  if (relative.starts_with("model.")) relative.remove_prefix(6);
  if (pattern.find('*') == std::string_view::npos) return !relative.empty() && holds_run(module, relative);
  for (size_t end = module.find('.');; end = module.find('.', end + 1)) {
    if (glob(relative, module.substr(0, end)) || glob(pattern, module.substr(0, end))) return true;
    if (end == std::string_view::npos) return false;
  }
}

}  // namespace

std::optional<Quantization> read_quantization_config(const Node& map, DataType model_type,
                                                     std::vector<std::string>& notes) {
  Quantization result;
  result.activations = model_type;
  const Node* method = map.find("quant_method");
  if (!method && map.find("quant_algo"))
    result.method = "modelopt";
  else if (!method && map.find("config_groups"))
    result.method = "compressed-tensors";
  else if (!method && (map.find("load_in_8bit") || map.find("load_in_4bit")))
    result.method = "bitsandbytes";
  else
    result.method = map.at("quant_method").as_string();
  auto known = std::find_if(std::begin(kMethods), std::end(kMethods),
                            [&](const Method& m) { return m.name == result.method; });
  if (known == std::end(kMethods)) {
    notes.push_back(
        fmt::format("quantization method '{}' is not known: weights are taken in the model's own type",
                    printable(result.method, 40)));
    return std::nullopt;
  }
  read_ignored(map, result);
  return known->read(map, std::move(result), notes);
}

std::optional<Quantization> read_hf_quant_config(const Node& document, DataType model_type,
                                                 std::vector<std::string>& notes) {
  const Node& map = document.at("quantization");
  Quantization result;
  result.method = "modelopt";
  result.activations = model_type;
  if (!map.find("quant_algo")) {
    if (const Node* cache = map.find("kv_cache_quant_algo")) {
      notes.push_back(fmt::format("only the KV cache is quantized ({}); the weights are not",
                                  printable(cache->text(), 20)));
    }
    return std::nullopt;
  }
  read_ignored(map, result);
  return read_algorithm(map, std::move(result), notes);
}

void ignore(Quantization& quantization, std::string_view pattern) {
  if (!pattern.starts_with("re:")) {
    quantization.ignored.emplace_back(pattern);
    return;
  }
  for (const std::string& glob : regular_to_globs(pattern.substr(3)))
    quantization.ignored.push_back(kWholeName + glob);
}

bool ignores(const Quantization& quantization, std::string_view module) {
  return std::any_of(quantization.ignored.begin(), quantization.ignored.end(),
                     [&](const std::string& pattern) { return matches(pattern, module); });
}

}  // namespace orrery::graph
