// Shapes of all values of an ONNX graph, by rules of our own over operator types; numbers that steer shapes
// (Shape, Gather, Concat, Reshape chains of exporters) are computed along.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "orrery/graph/readers/onnx_file.h"

namespace orrery::graph {

struct OnnxValue {
  DataType type = DataType::FP32;
  bool known = false;     // whether the shape is
  bool constant = false;  // follows from the file alone: a weight, or made of weights
  std::vector<int64_t> shape;
  std::optional<std::vector<double>> values;  // where they steer shapes

  double elements() const;
  int64_t size(int64_t axis) const;  // axis from the end when negative
};

// What became of a node's shapes.
enum class ShapeRule : uint8_t { Inferred, Hinted, Unknown };

struct OnnxShapes {
  std::unordered_map<std::string, OnnxValue> values;
  std::vector<ShapeRule> rules;    // of each node
  std::vector<std::string> notes;  // dimensions that were assumed
};

// `dims`: values of symbolic dimensions by name. A first dimension without a value is 1, which is noted; any
// other is an InputError that names it.
// `batch` above 0 takes the place of the first dimension of every input, and of the same number where it
// leads the constant shape of a Reshape: exporters freeze it there too.
OnnxShapes infer_shapes(const OnnxFile& file, const std::map<std::string, int64_t>& dims,
                        const std::string& path, int64_t batch = 0);

// The shape of an elementwise result, as NumPy broadcasts. Throws InputError when sizes do not match.
std::vector<int64_t> broadcast(const std::vector<int64_t>& a, const std::vector<int64_t>& b);

}  // namespace orrery::graph
