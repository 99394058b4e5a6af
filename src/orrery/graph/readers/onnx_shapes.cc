#include "orrery/graph/readers/onnx_shapes.h"

#include <fmt/format.h>

#include <algorithm>

#include "orrery/base/error.h"
#include "orrery/base/text.h"
#include "orrery/graph/readers/onnx_scope.h"

namespace orrery::graph {
namespace {

using Shape = std::vector<int64_t>;
using onnx_rules::NamedRule;
using onnx_rules::Rule;

const std::unordered_map<std::string_view, Rule>& rules() {
  static const auto* table = [] {
    auto* map = new std::unordered_map<std::string_view, Rule>();
    for (auto rows : {onnx_rules::elementwise_rules(), onnx_rules::product_rules(),
                      onnx_rules::layout_rules(), onnx_rules::value_rules()}) {
      for (const NamedRule& row : rows) {
        std::string_view rest = row.types;
        while (!rest.empty()) {
          size_t end = std::min(rest.find(' '), rest.size());
          map->emplace(rest.substr(0, end), row.rule);
          rest.remove_prefix(std::min(end + 1, rest.size()));
        }
      }
    }
    return map;
  }();
  return *table;
}

// The size of an input's dimension: as given, by its name, or assumed.
int64_t resolve(const OnnxDimension& dim, size_t axis, const OnnxValueInfo& input,
                const std::map<std::string, int64_t>& dims, const std::string& path,
                std::vector<std::string>& notes) {
  if (auto found = dims.find(dim.name); !dim.name.empty() && found != dims.end()) return found->second;
  if (dim.size > 0) return dim.size;
  std::string called = dim.name.empty()
                           ? fmt::format("dimension {} of input '{}'", axis, printable(input.name))
                           : fmt::format("dimension '{}'", printable(dim.name));
  if (axis == 0) {
    std::string note =
        fmt::format("{} is taken as 1{}", called,
                    dim.name.empty() ? "" : fmt::format("; --dim {}=N sets it", printable(dim.name)));
    if (std::ranges::find(notes, note) == notes.end()) notes.push_back(note);
    return 1;
  }
  throw InputError(fmt::format("{}: {} has no size; {}", path, called,
                               dim.name.empty() ? "export the model with a fixed size"
                                                : fmt::format("give --dim {}=N", printable(dim.name))));
}

}  // namespace

double OnnxValue::elements() const {
  return static_cast<double>(element_count(shape));
}

int64_t OnnxValue::size(int64_t axis) const {
  auto rank = static_cast<int64_t>(shape.size());
  int64_t at = axis < 0 ? axis + rank : axis;
  return at < 0 || at >= rank ? 1 : shape[static_cast<size_t>(at)];
}

Shape broadcast(const Shape& a, const Shape& b) {
  const Shape &longer = a.size() >= b.size() ? a : b, &shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t x = longer[offset + i], y = shorter[i];
    if (x != y && x != 1 && y != 1) throw InputError(fmt::format("sizes {} and {} do not match", x, y));
    out[offset + i] = x == 1 ? y : x;
  }
  return out;
}

OnnxShapes infer_shapes(const OnnxFile& file, const std::map<std::string, int64_t>& dims,
                        const std::string& path, int64_t batch) {
  OnnxShapes result;
  onnx_rules::BatchChange change;
  for (const OnnxTensor& constant : file.constants) {
    OnnxValue value{constant.type, true, true, constant.shape, constant.values};
    result.values.emplace(constant.name, std::move(value));
  }
  for (const OnnxValueInfo& input : file.inputs) {
    OnnxValue value;
    value.type = input.type;
    value.known = input.shape.has_value();
    for (size_t axis = 0; input.shape && axis < input.shape->size(); ++axis) {
      value.shape.push_back(resolve((*input.shape)[axis], axis, input, dims, path, result.notes));
    }
    if (batch > 0 && !value.shape.empty()) {
      change = {value.shape[0], batch};
      value.shape[0] = batch;
    }
    if (value.known) element_count(value.shape);
    result.values.emplace(input.name, std::move(value));
  }
  std::unordered_map<std::string_view, const OnnxValueInfo*> hints;
  for (const OnnxValueInfo& hint : file.hints) hints.emplace(hint.name, &hint);
  auto hinted = [&](const OnnxNode& node) {
    bool all = true;
    for (const std::string& output : node.outputs) {
      auto hint = hints.find(output);
      OnnxValue value;
      bool full = hint != hints.end() && hint->second->shape;
      for (size_t i = 0; full && i < hint->second->shape->size(); ++i) {
        const OnnxDimension& dim = (*hint->second->shape)[i];
        auto named = dims.find(dim.name);
        int64_t size = !dim.name.empty() && named != dims.end() ? named->second : dim.size;
        full = size > 0;
        value.shape.push_back(size);
      }
      if (full) element_count(value.shape);
      value.known = full;
      value.type = hint != hints.end() ? hint->second->type : DataType::FP32;
      if (!full) value.shape.clear();
      all = all && (full || output.empty());
      if (!output.empty()) result.values[output] = std::move(value);
    }
    return all;
  };
  for (const OnnxNode& node : file.nodes) {
    auto rule = rules().find(node.type);
    try {
      onnx_rules::Scope scope(node, result.values, change);
      bool inferred = rule != rules().end() && rule->second(scope);
      result.rules.push_back(inferred       ? ShapeRule::Inferred
                             : hinted(node) ? ShapeRule::Hinted
                                            : ShapeRule::Unknown);
      for (const std::string& output : node.outputs) {
        if (!output.empty()) result.values.try_emplace(output);  // optional results that no rule describes
      }
    } catch (const InputError& error) {
      throw InputError(fmt::format("{}: {}: {}", path, node.label(), error.what()));
    }
  }
  return result;
}

}  // namespace orrery::graph