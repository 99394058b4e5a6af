// rooms: graph
// Any bytes as config.json: a model whose weights can be counted and split, or an InputError.
#include <cstdlib>
#include <string>

#include "orrery/base/document.h"
#include "orrery/graph/parameters.h"
#include "orrery/graph/readers/hf_config.h"
#include "orrery/graph/readers/quantization.h"
#include "orrery/graph/readers/safetensors_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orrery;
  std::string text(reinterpret_cast<const char*>(data), size);
  try {
    Node document = parse_json(text, "config.json");
    if (document.is_map() && document.find("metadata")) graph::read_safetensors_total(document);
    if (document.is_map() && document.find("quantization")) {
      std::vector<std::string> notes;
      graph::read_hf_quant_config(document, DataType::BF16, notes);
      return 0;
    }
    graph::ModelConfig model = graph::read_hf_config(document, "fuzz");
    graph::ParameterCount count = graph::parameter_count(model);
    if (!(count.active <= count.total()) || !(count.total() >= 0)) std::abort();
    double whole = graph::weight_bytes(model).total().value();
    double part = graph::weight_bytes(model, {.tensor = 8, .expert = 4}).total().value();
    if (!(part <= whole * (1 + 1e-12)) || !(whole >= 0)) std::abort();
    graph::published_elements(model);
  } catch (const InputError&) {
  }
  return 0;
}
