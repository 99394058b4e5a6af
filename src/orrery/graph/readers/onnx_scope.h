// What the rules of onnx_shapes.cc share: one node while the shapes and numbers of its outputs are worked
// out, and the tables of rules. Internal to the reader.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "orrery/graph/readers/onnx_shapes.h"

namespace orrery::graph::onnx_rules {

using Shape = std::vector<int64_t>;
using Numbers = std::vector<double>;
inline constexpr size_t kMostValues = 4096;  // numbers that are carried along

int64_t whole(double value);
Shape whole(const Numbers& values);

// Another batch than the file's; 0: the file's own.
struct BatchChange {
  int64_t from = 0, to = 0;
};

class Scope {
 public:
  Scope(const OnnxNode& node, std::unordered_map<std::string, OnnxValue>& values, BatchChange batch = {})
      : node(node), batch(batch), values_(values) {}

  const OnnxNode& node;
  const BatchChange batch;

  size_t inputs() const { return node.inputs.size(); }
  const OnnxValue* find(size_t i) const;  // nullptr where there is none
  const OnnxValue* need(size_t i) const;  // one of known shape: without it the node stays unknown
  std::optional<Numbers> numbers(size_t i) const;
  int64_t axis(int64_t axis, size_t rank) const;  // from the front; fails outside the rank
  std::optional<Shape> axes(
      size_t input) const;  // an attribute, or an input since opset 13; empty = none given
  // What output `output` is; always true, so that a rule can end with it.
  bool set(size_t output, Shape shape, std::optional<DataType> type = {}, std::optional<Numbers> values = {});
  bool set(Shape shape, std::optional<DataType> type = {}, std::optional<Numbers> values = {}) {
    return set(0, std::move(shape), type, std::move(values));
  }
  [[noreturn]] void fail(const std::string& message) const;

 private:
  std::unordered_map<std::string, OnnxValue>& values_;
};

// Sets the outputs; false where an input that it needs is not known. Throws InputError where sizes contradict
// each other.
using Rule = bool (*)(Scope&);
struct NamedRule {
  std::string_view types;  // separated by blanks
  Rule rule;
};
std::span<const NamedRule> elementwise_rules();  // of the inputs' size; onnx_rules_elementwise.cc
std::span<const NamedRule> product_rules();      // products and windows; onnx_rules_products.cc
std::span<const NamedRule> layout_rules();       // the same numbers in another shape; onnx_rules_layout.cc
std::span<const NamedRule> value_rules();  // numbers that steer shapes, selections; onnx_rules_values.cc

}  // namespace orrery::graph::onnx_rules
