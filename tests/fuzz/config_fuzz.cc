// rooms: graph
// Any bytes as config.json: a model whose weights can be counted and split and whose graphs hold together, or
// an InputError.
#include <cstdlib>
#include <string>

#include "orrery/base/document.h"
#include "orrery/graph/parameters.h"
#include "orrery/graph/readers/hf_config.h"
#include "orrery/graph/readers/quantization.h"
#include "orrery/graph/readers/safetensors_index.h"
#include "orrery/graph/workload.h"

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
    int layers = 0;
    for (const graph::Tower& tower : model.towers) layers += tower.layers;
    if (layers > 64) return 0;  // graphs grow with the layers; a few show every operator
    for (graph::Mode mode : {graph::Mode::Prefill, graph::Mode::Decode, graph::Mode::Train}) {
      try {
        graph::Graph made =
            graph::build_graph(model, {.mode = mode, .batch = 2, .sequence = 16, .parallel = {.tensor = 2}});
        if (!graph::broken_invariant(made).empty()) std::abort();
      } catch (const InputError&) {  // sizes that do not divide
      }
    }
  } catch (const InputError&) {
  }
  return 0;
}
