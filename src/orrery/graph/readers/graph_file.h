// A model that is a graph already, whatever form its file has: ONNX, a list of layers (shipped by name, or a
// .yaml), a CSV of operators, a SCALE-Sim topology, a .txt of WHAM's operators.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "orrery/graph/graph.h"
#include "orrery/graph/workload.h"

namespace orrery::graph {

struct GraphFileOptions {
  std::map<std::string, int64_t> dims;  // ONNX
  int64_t batch = 0;                    // 0: the file's, or 1
  bool train = false;
  Optimizer optimizer = Optimizer::MixedAdam;
  std::optional<DataType> type;  // of lists of layers and WHAM's text; ONNX has its own
  bool fuse = true;
  bool unknown_as_vector = false;  // WHAM's text
};

struct GraphFile {
  std::string name;
  Graph graph;
  double parameters = 0;
  int64_t batch = 1;
  DataType type = DataType::BF16;
  std::vector<std::string> notes;
};

bool is_graph_file(const std::string& model);
// A list of operators without gradients of its own: it is run as it stands, whatever is asked.
bool is_operator_list(const std::string& model);
// Throws InputError as the readers do, and where an ONNX graph cannot have the batch that is asked.
GraphFile read_graph_file(const std::string& model, const GraphFileOptions& options);

}  // namespace orrery::graph
