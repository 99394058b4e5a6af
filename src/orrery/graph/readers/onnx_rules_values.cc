// Numbers that steer shapes, and selections by index.
#include <fmt/format.h>

#include <functional>
#include <numeric>

#include "orrery/graph/readers/onnx_scope.h"

namespace orrery::graph::onnx_rules {
namespace {

bool shape_of(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  Numbers sizes(x->shape.begin(), x->shape.end());
  auto rank = static_cast<int64_t>(sizes.size()), start = s.node.integer("start", 0),
       end = s.node.integer("end", rank);
  start = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
  end = std::clamp<int64_t>(end < 0 ? end + rank : end, start, rank);
  Numbers part(sizes.begin() + start, sizes.begin() + end);
  return s.set({end - start}, DataType::INT64, part);
}

bool size_of(Scope& s) {
  const OnnxValue* x = s.need(0);
  return x && s.set({}, DataType::INT64, Numbers{static_cast<double>(element_count(x->shape))});
}

bool constant(Scope& s) {
  if (const OnnxAttribute* value = s.node.find("value"); value && value->tensor)
    return s.set(value->tensor->shape, value->tensor->type, value->tensor->values);
  if (const OnnxAttribute* value = s.node.find("value_int"))
    return s.set({}, DataType::INT64, Numbers{static_cast<double>(value->integer)});
  if (const OnnxAttribute* value = s.node.find("value_float"))
    return s.set({}, DataType::FP32, Numbers{value->number});
  if (const OnnxAttribute* value = s.node.find("value_ints")) {
    return s.set({static_cast<int64_t>(value->integers.size())}, DataType::INT64,
                 Numbers(value->integers.begin(), value->integers.end()));
  }
  if (const OnnxAttribute* value = s.node.find("value_floats"))
    return s.set({static_cast<int64_t>(value->numbers.size())}, DataType::FP32, value->numbers);
  return false;
}

bool constant_of_shape(Scope& s) {
  std::optional<Numbers> sizes = s.numbers(0);
  if (!sizes) return false;
  const OnnxAttribute* value = s.node.find("value");
  Shape shape = whole(*sizes);
  int64_t count = element_count(shape);
  bool filled = value && value->tensor;
  double with =
      filled && value->tensor->values && !value->tensor->values->empty() ? (*value->tensor->values)[0] : 0;
  std::optional<Numbers> values;
  if (count <= static_cast<int64_t>(kMostValues)) values = Numbers(static_cast<size_t>(count), with);
  return s.set(std::move(shape), filled ? value->tensor->type : DataType::FP32, values);
}

bool range(Scope& s) {
  std::optional<Numbers> start = s.numbers(0), limit = s.numbers(1), step = s.numbers(2);
  if (!start || !limit || !step || start->size() != 1 || limit->size() != 1 || step->size() != 1 ||
      (*step)[0] == 0)
    return false;
  double count = std::ceil(((*limit)[0] - (*start)[0]) / (*step)[0]);
  if (!(count < 1e15)) s.fail("a range without end");
  auto length = static_cast<int64_t>(std::max(0.0, count));
  std::optional<Numbers> values;
  if (length <= static_cast<int64_t>(kMostValues)) {
    values.emplace();
    for (int64_t i = 0; i < length; ++i) values->push_back((*start)[0] + static_cast<double>(i) * (*step)[0]);
  }
  return s.set({length}, s.find(0)->type, values);
}

bool gather(Scope& s) {
  const OnnxValue *x = s.need(0), *indices = s.need(1);
  if (!x || !indices) return false;
  auto axis = static_cast<size_t>(s.axis(s.node.integer("axis", 0), x->shape.size()));
  if (axis >= x->shape.size()) s.fail("a scalar has nothing to gather");
  Shape shape(x->shape.begin(), x->shape.begin() + static_cast<int64_t>(axis));
  shape.insert(shape.end(), indices->shape.begin(), indices->shape.end());
  shape.insert(shape.end(), x->shape.begin() + static_cast<int64_t>(axis) + 1, x->shape.end());
  if (shape.size() > 16) s.fail("more than 16 dimensions");
  std::optional<Numbers> values;
  if (x->values && indices->values && x->shape.size() == 1) {
    values.emplace();
    for (double index : *indices->values) {
      int64_t at = whole(index) < 0 ? whole(index) + x->shape[0] : whole(index);
      if (at < 0 || at >= x->shape[0])
        s.fail(fmt::format("index {} of {} elements", whole(index), x->shape[0]));
      values->push_back((*x->values)[static_cast<size_t>(at)]);
    }
  }
  return s.set(std::move(shape), x->type, values);
}

bool shape_of_indices(Scope& s) {
  const OnnxValue *x = s.need(0), *indices = s.need(1);
  return x && indices && s.set(indices->shape, x->type);
}

bool top_k(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  int64_t k = s.node.integer("k", 0);
  if (std::optional<Numbers> given = s.numbers(1); given && given->size() == 1) k = whole((*given)[0]);
  if (k < 1) return false;
  Shape shape = x->shape;
  auto axis = static_cast<size_t>(s.axis(s.node.integer("axis", -1), shape.size()));
  if (axis >= shape.size()) s.fail("a scalar has no largest elements");
  shape[axis] = std::min(shape[axis], k);
  return s.set(1, shape, DataType::INT64) && s.set(std::move(shape));
}

constexpr NamedRule kRules[] = {
    {"Gather", gather},     {"GatherElements", shape_of_indices},   {"Shape", shape_of}, {"Size", size_of},
    {"Constant", constant}, {"ConstantOfShape", constant_of_shape}, {"Range", range},    {"TopK", top_k},
};

}  // namespace

std::span<const NamedRule> value_rules() {
  return kRules;
}

}  // namespace orrery::graph::onnx_rules
