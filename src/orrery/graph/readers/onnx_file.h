// An ONNX file as plain values, checked: sizes in bounds, names defined, nodes in topological order. Weights
// stay on disk or are dropped: shapes, and the numbers of small tensors that steer shapes, are all that is
// kept.
//
// Limits: 2 GiB, 200,000 nodes, 4,096 inputs or outputs a node, rank 16, 2^50 elements a tensor. Nested
// graphs (If, Loop, Scan) are not entered: their node is named as not priced. Anything else that is wrong is
// an InputError.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/data_type.h"

namespace orrery::graph {

inline constexpr int64_t kMostElements = int64_t{1} << 50;

struct OnnxTensor {
  std::string name;
  DataType type = DataType::FP32;
  std::vector<int64_t> shape;
  std::optional<std::vector<double>>
      values;  // of tensors of at most 4,096 numbers, where the file holds them
};

struct OnnxAttribute {
  std::string name, text;
  int64_t integer = 0;
  double number = 0;
  std::vector<int64_t> integers;
  std::vector<double> numbers;
  std::optional<OnnxTensor> tensor;
};

struct OnnxNode {
  std::string type, name;
  std::vector<std::string> inputs, outputs;  // "" = an optional one that is left out
  std::vector<OnnxAttribute> attributes;

  const OnnxAttribute* find(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t absent) const;
  std::vector<int64_t> integers(std::string_view name) const;  // empty when absent
  std::string label() const;                                   // "Conv 'conv1'", for messages
};

struct OnnxDimension {
  int64_t size = -1;  // -1: not given
  std::string name;   // of a symbolic one
};

struct OnnxValueInfo {
  std::string name;
  DataType type = DataType::FP32;
  std::optional<std::vector<OnnxDimension>> shape;
};

struct OnnxFile {
  std::string name;  // of the graph
  std::vector<OnnxNode> nodes;
  std::vector<OnnxTensor> constants;  // initializers
  std::vector<OnnxValueInfo> inputs;  // without those that are initializers
  std::vector<OnnxValueInfo> hints;   // what the exporter says of values inside and of outputs
  std::vector<std::string> outputs;
};

// `name`: for messages, the path.
OnnxFile parse_onnx(std::string_view bytes, const std::string& name);

int64_t element_count(
    const std::vector<int64_t>& shape);  // throws InputError above kMostElements, or for negative sizes

}  // namespace orrery::graph
