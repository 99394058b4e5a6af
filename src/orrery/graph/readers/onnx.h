// An ONNX model into an operator graph: convolutional networks and exported transformers, for inference or
// training.
//
// Weights are read as shapes alone; external data is never opened. Operators that no rule prices are moved as
// bytes (Copy) where their shapes are known, and named in `notes` with their number and bytes; the rest are
// named as left out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/graph/graph.h"
#include "orrery/graph/workload.h"

namespace orrery::graph {

struct OnnxOptions {
  std::map<std::string, int64_t> dims;  // symbolic dimensions by name: "batch" → 8
  int64_t batch =
      0;  // in place of the first dimension of every input, also where the file fixes it; 0: as there
  bool train = false;  // with gradients of all weights and their update
  Optimizer optimizer = Optimizer::MixedAdam;
  bool fuse = true;
};

struct OnnxModel {
  std::string name;
  Graph graph;
  int64_t batch = 1;               // first dimension of the first input
  double parameters = 0;           // numbers in trained weights: running means of batch norms are not
  double multiply_adds = 0;        // of one forward pass, in convolutions and products
  std::vector<std::string> notes;  // assumed dimensions; "not priced: NonMaxSuppression (1 time, 33.6 kB)"
};

// Throws InputError for a file that is not ONNX, is cut off, is too large, refers to what it does not define,
// or whose sizes do not match; the text names the operator.
OnnxModel read_onnx(const std::string& path, const OnnxOptions& options);
OnnxModel parse_onnx_model(std::string_view bytes, const std::string& path, const OnnxOptions& options);

}  // namespace orrery::graph
