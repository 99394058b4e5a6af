// rooms: graph
// Any bytes as WHAM's graph text: a graph that holds together, with and without gradients, or an InputError.
#include <cstdlib>
#include <string>

#include "orrery/graph/readers/wham_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orrery;
  std::string text(reinterpret_cast<const char*>(data), size);
  graph::is_wham_text(text);
  for (bool train : {false, true}) {
    graph::WhamTextOptions options;
    options.train = train;
    options.unknown_as_vector = true;
    try {
      graph::WhamTextModel model = graph::parse_wham_text(text, "net.txt", options);
      if (!graph::broken_invariant(model.graph).empty()) std::abort();
    } catch (const InputError&) {
    }
  }
  return 0;
}
