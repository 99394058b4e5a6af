#include "orrery/graph/readers/graph_file.h"

#include <algorithm>
#include <filesystem>

#include "orrery/base/storage.h"
#include "orrery/graph/readers/network.h"
#include "orrery/graph/readers/onnx.h"
#include "orrery/graph/readers/operator_csv.h"
#include "orrery/graph/readers/scalesim_topology.h"
#include "orrery/graph/readers/wham_text.h"

namespace orrery::graph {
namespace {

GraphFile from_onnx(const std::string& path, const GraphFileOptions& o) {
  OnnxOptions options;
  options.dims = o.dims;
  options.train = o.train;
  options.optimizer = o.optimizer;
  options.fuse = o.fuse;
  if (o.batch > 0) options.dims.emplace("batch", o.batch);
  OnnxModel model = read_onnx(path, options);
  if (o.batch > 0 && model.batch != o.batch) {
    throw InputError(Place{path, 0, 0}, "the first dimension of its input is " + std::to_string(model.batch) +
                                            " with --batch " + std::to_string(o.batch) +
                                            ": it is fixed, or has another name, which --dim NAME=SIZE sets");
  }
  return {{}, std::move(model.graph), model.parameters, model.batch, DataType::FP32, std::move(model.notes)};
}

GraphFile from_network(const std::string& path, const GraphFileOptions& o) {
  NetworkOptions options;
  options.batch = std::max<int64_t>(1, o.batch);
  options.type = o.type.value_or(DataType::BF16);
  options.train = o.train;
  options.optimizer = o.optimizer;
  options.fuse = o.fuse;
  Network network = read_network(read_document(path), options);
  return {{}, std::move(network.graph), network.parameters, options.batch, options.type, {}};
}

GraphFile from_wham_text(const std::string& path, const GraphFileOptions& o) {
  WhamTextOptions options;
  options.train = o.train;
  options.optimizer = o.optimizer;
  options.fuse = o.fuse;
  options.type = o.type.value_or(DataType::BF16);
  options.unknown_as_vector = o.unknown_as_vector;
  WhamTextModel model = parse_wham_text(read_file(path), path, options);
  return {{}, std::move(model.graph), model.parameters, model.batch, options.type, std::move(model.notes)};
}

GraphFile from_operators(const std::string& path, const GraphFileOptions& o) {
  std::string text = read_file(path);
  GraphFile file;
  file.batch = std::max<int64_t>(1, o.batch);
  file.graph = is_scalesim_topology(text) ? parse_scalesim_topology(text, path)
                                          : parse_operator_csv(std::move(text), path);
  return file;
}

}  // namespace

bool is_operator_list(const std::string& model) {
  return model.ends_with(".csv");
}

bool is_graph_file(const std::string& model) {
  return model.ends_with(".onnx") || is_operator_list(model) || model.ends_with(".txt") ||
         find_network(model).has_value();
}

GraphFile read_graph_file(const std::string& model, const GraphFileOptions& options) {
  GraphFile file;
  if (model.ends_with(".onnx"))
    file = from_onnx(model, options);
  else if (model.ends_with(".txt"))
    file = from_wham_text(model, options);
  else if (std::optional<std::string> network = find_network(model))
    file = from_network(*network, options);
  else
    file = from_operators(model, options);
  file.name = std::filesystem::path(model).stem().string();
  return file;
}

}  // namespace orrery::graph
