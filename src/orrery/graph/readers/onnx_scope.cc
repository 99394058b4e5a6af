#include "orrery/graph/readers/onnx_scope.h"

#include <fmt/format.h>

#include "orrery/base/error.h"

namespace orrery::graph::onnx_rules {

int64_t whole(double value) {
  constexpr double kMost = 1e15;  // INT64_MAX stands for "to the end" in slices
  return static_cast<int64_t>(std::clamp(std::isnan(value) ? 0.0 : value, -kMost, kMost));
}

Shape whole(const Numbers& values) {
  Shape out;
  for (double value : values) out.push_back(whole(value));
  return out;
}

const OnnxValue* Scope::find(size_t i) const {
  if (i >= node.inputs.size() || node.inputs[i].empty()) return nullptr;
  auto found = values_.find(node.inputs[i]);
  return found == values_.end() ? nullptr : &found->second;
}

const OnnxValue* Scope::need(size_t i) const {
  const OnnxValue* value = find(i);
  return value && value->known ? value : nullptr;
}

std::optional<Numbers> Scope::numbers(size_t i) const {
  const OnnxValue* value = find(i);
  return value ? value->values : std::nullopt;
}

void Scope::fail(const std::string& message) const {
  throw InputError(message);
}

int64_t Scope::axis(int64_t axis, size_t rank) const {
  auto r = static_cast<int64_t>(rank);
  int64_t from_front = axis < 0 ? axis + r : axis;
  if (from_front < 0 || from_front >= r)
    fail(fmt::format("axis {} of a tensor of {} dimensions", axis, rank));
  return from_front;
}

std::optional<Shape> Scope::axes(size_t input) const {
  Shape given = node.integers("axes");
  if (!given.empty()) return given;
  if (input >= inputs() || node.inputs[input].empty()) return Shape{};
  std::optional<Numbers> values = numbers(input);
  if (!values) return std::nullopt;
  return whole(*values);
}

bool Scope::set(size_t output, Shape shape, std::optional<DataType> type, std::optional<Numbers> values) {
  int64_t count = element_count(shape);
  if (output >= node.outputs.size() || node.outputs[output].empty()) return true;
  OnnxValue value;
  value.known = true;
  value.shape = std::move(shape);
  value.constant = true;
  for (size_t i = 0; i < inputs(); ++i) {
    if (!node.inputs[i].empty()) value.constant = value.constant && find(i) && find(i)->constant;
  }
  value.type = type ? *type : find(0) ? find(0)->type : DataType::FP32;
  if (values && values->size() <= kMostValues && values->size() == static_cast<size_t>(count))
    value.values = std::move(values);
  values_[node.outputs[output]] = std::move(value);
  return true;
}

}  // namespace orrery::graph::onnx_rules
