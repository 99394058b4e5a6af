// rooms: graph base
// ONNX models: whatever lies in a file, the answer is a graph that keeps its invariants or an InputError.
#include <cstdlib>
#include <string_view>

#include "orrery/base/error.h"
#include "orrery/graph/readers/onnx.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orrery;
  if (size == 0) return 0;
  graph::OnnxOptions options;
  options.train = (data[0] & 1) != 0;
  options.fuse = (data[0] & 2) != 0;
  options.dims = {{"batch", 2}, {"N", 3}};
  try {
    std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    graph::OnnxModel model = graph::parse_onnx_model(bytes, "fuzz.onnx", options);
    if (!graph::broken_invariant(model.graph).empty()) std::abort();
  } catch (const InputError&) {
  }
  return 0;
}
