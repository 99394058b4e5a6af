#include "orrery/graph/readers/onnx_shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "orrery/base/error.h"
#include "orrery/base/text.h"

namespace orrery::graph {
namespace {

using Shape = std::vector<int64_t>;
using Numbers = std::vector<double>;
constexpr size_t kMostValues = 4096;

int64_t whole(double value) {
  constexpr double kMost = 1e15;  // INT64_MAX stands for "to the end" in slices
  return static_cast<int64_t>(std::clamp(std::isnan(value) ? 0.0 : value, -kMost, kMost));
}

Shape whole(const Numbers& values) {
  Shape out;
  for (double value : values) out.push_back(whole(value));
  return out;
}

int64_t divide_down(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

// One node while its outputs are worked out.
class Scope {
 public:
  Scope(const OnnxNode& node, std::unordered_map<std::string, OnnxValue>& values)
      : node(node), values_(values) {}

  const OnnxNode& node;

  size_t inputs() const { return node.inputs.size(); }
  const OnnxValue* find(size_t i) const {
    if (i >= node.inputs.size() || node.inputs[i].empty()) return nullptr;
    auto found = values_.find(node.inputs[i]);
    return found == values_.end() ? nullptr : &found->second;
  }
  // An input whose shape the rule needs; without it the node stays unknown.
  const OnnxValue* need(size_t i) const {
    const OnnxValue* value = find(i);
    return value && value->known ? value : nullptr;
  }
  std::optional<Numbers> numbers(size_t i) const {
    const OnnxValue* value = find(i);
    return value ? value->values : std::nullopt;
  }
  [[noreturn]] void fail(const std::string& message) const { throw InputError(message); }

  int64_t axis(int64_t axis, size_t rank) const {
    auto r = static_cast<int64_t>(rank);
    int64_t from_front = axis < 0 ? axis + r : axis;
    if (from_front < 0 || from_front >= r)
      fail(fmt::format("axis {} of a tensor of {} dimensions", axis, rank));
    return from_front;
  }

  bool set(Shape shape, std::optional<DataType> type = {}, std::optional<Numbers> values = {}) {
    return set(0, std::move(shape), type, std::move(values));
  }
  bool set(size_t output, Shape shape, std::optional<DataType> type = {},
           std::optional<Numbers> values = {}) {
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

 private:
  std::unordered_map<std::string, OnnxValue>& values_;
};

using Rule = bool (*)(Scope&);

bool same(Scope& s) {
  const OnnxValue* x = s.need(0);
  return x && s.set(x->shape, x->type, x->values);
}

template <class F>
std::optional<Numbers> map(const std::optional<Numbers>& x, F f) {
  if (!x) return std::nullopt;
  Numbers out = *x;
  for (double& value : out) value = f(value);
  return out;
}

bool unary(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  const std::string& type = s.node.type;
  std::optional<Numbers> values;
  if (type == "Neg") values = map(x->values, [](double v) { return -v; });
  if (type == "Floor") values = map(x->values, [](double v) { return std::floor(v); });
  if (type == "Ceil") values = map(x->values, [](double v) { return std::ceil(v); });
  if (type == "Sqrt") values = map(x->values, [](double v) { return std::sqrt(v); });
  if (type == "Not") values = map(x->values, [](double v) { return v == 0 ? 1.0 : 0.0; });
  return s.set(x->shape, x->type, values);
}

bool cast(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  constexpr int64_t kInt32 = 6, kInt64 = 7, kFloat16 = 10, kDouble = 11, kBool = 9, kBFloat16 = 16;
  int64_t to = s.node.integer("to", 1);
  DataType type = to == kInt64      ? DataType::INT64
                  : to == kInt32    ? DataType::INT32
                  : to == kBool     ? DataType::Bool
                  : to == kFloat16  ? DataType::FP16
                  : to == kBFloat16 ? DataType::BF16
                  : to == kDouble   ? DataType::FP64
                                    : DataType::FP32;
  std::optional<Numbers> values = x->values;
  if (type == DataType::INT64 || type == DataType::INT32)
    values = map(values, [](double v) { return std::trunc(v); });
  return s.set(x->shape, type, values);
}

double combine(const std::string& type, double a, double b) {
  if (type == "Add" || type == "Sum") return a + b;
  if (type == "Sub") return a - b;
  if (type == "Mul") return a * b;
  if (type == "Div") return b == 0 ? 0 : a / b;
  if (type == "Max") return std::max(a, b);
  if (type == "Min") return std::min(a, b);
  if (type == "Equal") return a == b;
  if (type == "Greater") return a > b;
  if (type == "Less") return a < b;
  if (type == "And") return a != 0 && b != 0;
  if (type == "Or") return a != 0 || b != 0;
  if (type == "Mod") return b == 0 ? 0 : a - b * std::floor(a / b);
  return std::pow(a, b);
}

bool elementwise(Scope& s) {
  const OnnxValue* first = s.need(0);
  if (!first) return false;
  Shape shape = first->shape;
  std::optional<Numbers> values = first->values;
  bool integers = first->type == DataType::INT64 || first->type == DataType::INT32;
  for (size_t i = 1; i < s.inputs(); ++i) {
    const OnnxValue* next = s.need(i);
    if (!next) return false;
    shape = broadcast(shape, next->shape);
    bool fits = values && next->values && !values->empty() && !next->values->empty() &&
                (values->size() == next->values->size() || values->size() == 1 || next->values->size() == 1);
    if (!fits) {
      values.reset();
      continue;
    }
    Numbers out(std::max(values->size(), next->values->size()));
    for (size_t k = 0; k < out.size(); ++k) {
      out[k] = combine(s.node.type, (*values)[values->size() == 1 ? 0 : k],
                       (*next->values)[next->values->size() == 1 ? 0 : k]);
      if (integers && s.node.type == "Div") out[k] = std::trunc(out[k]);
    }
    values = std::move(out);
  }
  const std::string& type = s.node.type;
  bool compares = type == "Equal" || type == "Greater" || type == "Less" || type == "GreaterOrEqual" ||
                  type == "LessOrEqual";
  if (type == "GreaterOrEqual" || type == "LessOrEqual" || type == "Xor" || type == "BitShift")
    values.reset();
  return s.set(std::move(shape), compares ? DataType::Bool : first->type, values);
}

bool where(Scope& s) {
  const OnnxValue *condition = s.need(0), *a = s.need(1), *b = s.need(2);
  if (!condition || !a || !b) return false;
  Shape shape = broadcast(broadcast(condition->shape, a->shape), b->shape);
  std::optional<Numbers> values;
  if (condition->values && a->values && b->values) {
    auto count = static_cast<size_t>(element_count(shape));
    auto pick = [count](const Numbers& v, size_t i) { return v.size() == count ? v[i] : v[0]; };
    bool fits = true;
    for (const Numbers* v : {&*condition->values, &*a->values, &*b->values})
      fits = fits && !v->empty() && (v->size() == count || v->size() == 1);
    if (fits && count <= kMostValues) {
      values.emplace(count);
      for (size_t i = 0; i < count; ++i)
        (*values)[i] = pick(*condition->values, i) != 0 ? pick(*a->values, i) : pick(*b->values, i);
    }
  }
  return s.set(std::move(shape), a->type, values);
}

bool matmul(Scope& s) {
  const OnnxValue *a = s.need(0), *b = s.need(1);
  if (!a || !b) return false;
  Shape x = a->shape, y = b->shape;
  if (x.empty() || y.empty()) s.fail("a product of scalars");
  bool row = x.size() == 1, column = y.size() == 1;
  if (row) x.insert(x.begin(), 1);
  if (column) y.push_back(1);
  if (x.back() != y[y.size() - 2])
    s.fail(fmt::format("inner sizes {} and {} differ", x.back(), y[y.size() - 2]));
  Shape shape = broadcast({x.begin(), x.end() - 2}, {y.begin(), y.end() - 2});
  if (!row) shape.push_back(x[x.size() - 2]);
  if (!column) shape.push_back(y.back());
  return s.set(std::move(shape));
}

bool gemm(Scope& s) {
  const OnnxValue *a = s.need(0), *b = s.need(1);
  if (!a || !b) return false;
  if (a->shape.size() != 2 || b->shape.size() != 2) s.fail("expected two matrices");
  bool ta = s.node.integer("transA", 0) != 0, tb = s.node.integer("transB", 0) != 0;
  if (a->shape[ta ? 0 : 1] != b->shape[tb ? 1 : 0])
    s.fail(fmt::format("inner sizes {} and {} differ", a->shape[ta ? 0 : 1], b->shape[tb ? 1 : 0]));
  return s.set({a->shape[ta ? 1 : 0], b->shape[tb ? 0 : 1]});
}

// Output sizes of windows that slide over the axes behind the first two.
Shape slide(Scope& s, const Shape& input, const Shape& kernel) {
  size_t axes = input.size() - 2;
  if (kernel.size() != axes) s.fail(fmt::format("a window of {} dimensions over {}", kernel.size(), axes));
  Shape strides = s.node.integers("strides"), dilations = s.node.integers("dilations"),
        pads = s.node.integers("pads");
  strides.resize(axes, 1);
  dilations.resize(axes, 1);
  pads.resize(2 * axes, 0);
  const OnnxAttribute* automatic = s.node.find("auto_pad");
  bool keeps = automatic && automatic->text.starts_with("SAME");
  bool up = s.node.integer("ceil_mode", 0) != 0;
  Shape out;
  for (size_t i = 0; i < axes; ++i) {
    constexpr int64_t kMost = int64_t{1} << 31;
    for (int64_t v : {kernel[i], strides[i], dilations[i]}) {
      if (v < 1 || v > kMost) s.fail(fmt::format("a window, stride or dilation of {}", v));
    }
    if (std::abs(pads[i]) > kMost || std::abs(pads[i + axes]) > kMost) s.fail("a padding beyond 2^31");
    int64_t size = input[i + 2];
    if (keeps) {
      out.push_back((size + strides[i] - 1) / strides[i]);
      continue;
    }
    int64_t span = size + pads[i] + pads[i + axes] - ((kernel[i] - 1) * dilations[i] + 1);
    if (span < 0) s.fail(fmt::format("a window of {} over {} elements", kernel[i], size));
    out.push_back((up ? (span + strides[i] - 1) / strides[i] : span / strides[i]) + 1);
  }
  return out;
}

bool convolution(Scope& s) {
  const OnnxValue *x = s.need(0), *w = s.need(1);
  if (!x || !w) return false;
  int64_t groups = s.node.integer("group", 1);
  if (x->shape.size() < 3 || w->shape.size() != x->shape.size())
    s.fail("expected an image and filters of as many dimensions");
  if (groups < 1 || x->shape[1] % groups != 0 || x->shape[1] / groups != w->shape[1] ||
      w->shape[0] % groups != 0) {
    s.fail(
        fmt::format("{} channels do not match filters of {} in {} groups", x->shape[1], w->shape[1], groups));
  }
  Shape shape = {x->shape[0], w->shape[0]};
  Shape windows = slide(s, x->shape, {w->shape.begin() + 2, w->shape.end()});
  shape.insert(shape.end(), windows.begin(), windows.end());
  return s.set(std::move(shape));
}

bool pool(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  if (x->shape.size() < 3) s.fail("expected an image");
  Shape shape = {x->shape[0], x->shape[1]};
  Shape windows = slide(s, x->shape, s.node.integers("kernel_shape"));
  shape.insert(shape.end(), windows.begin(), windows.end());
  return s.set(1, shape, DataType::INT64) && s.set(std::move(shape));
}

bool global_pool(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  if (x->shape.size() < 2) s.fail("expected an image");
  Shape shape(x->shape.size(), 1);
  shape[0] = x->shape[0];
  shape[1] = x->shape[1];
  return s.set(std::move(shape));
}

// Axes as an attribute, or as an input since opset 13.
std::optional<Shape> axes_of(Scope& s, size_t input) {
  Shape axes = s.node.integers("axes");
  if (!axes.empty()) return axes;
  if (input >= s.inputs() || s.node.inputs[input].empty()) return Shape{};
  std::optional<Numbers> values = s.numbers(input);
  if (!values) return std::nullopt;
  return whole(*values);
}

bool reduce(Scope& s) {
  const OnnxValue* x = s.need(0);
  std::optional<Shape> axes = x ? axes_of(s, 1) : std::nullopt;
  if (!axes) return false;
  bool keep = s.node.integer("keepdims", 1) != 0;
  if (s.node.type.starts_with("Arg")) axes = Shape{s.node.integer("axis", 0)};
  std::vector<bool> gone(x->shape.size(), axes->empty());
  for (int64_t axis : *axes) gone.at(static_cast<size_t>(s.axis(axis, x->shape.size()))) = true;
  Shape shape;
  for (size_t i = 0; i < x->shape.size(); ++i) {
    if (!gone[i]) {
      shape.push_back(x->shape[i]);
    } else if (keep) {
      shape.push_back(1);
    }
  }
  std::optional<Numbers> values;
  if (s.node.type == "ReduceProd" && x->values && element_count(shape) == 1) {
    values = Numbers{std::accumulate(x->values->begin(), x->values->end(), 1.0, std::multiplies<>())};
  }
  return s.set(std::move(shape), s.node.type.starts_with("Arg") ? DataType::INT64 : x->type, values);
}

bool reshape(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  Shape target = s.node.integers("shape");
  if (target.empty()) {
    std::optional<Numbers> values = s.numbers(1);
    if (!values) return false;
    target = whole(*values);
  }
  int64_t count = element_count(x->shape), rest = 1, open = -1;
  bool zero_is_zero = s.node.integer("allowzero", 0) != 0;
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i] == 0 && !zero_is_zero) {
      if (i >= x->shape.size()) s.fail("a size of 0 where the input has no dimension");
      target[i] = x->shape[i];
    }
    if (target[i] == -1) {
      if (open >= 0) s.fail("two open sizes");
      open = static_cast<int64_t>(i);
    } else {
      if (target[i] < 0) s.fail(fmt::format("a size of {}", target[i]));
      if (target[i] > 0 && rest > kMostElements / target[i]) s.fail("more than 2^50 elements");
      rest *= target[i];
    }
  }
  if (open >= 0) target[static_cast<size_t>(open)] = rest == 0 ? 0 : count / rest;
  if (element_count(target) != count)
    s.fail(fmt::format("{} elements do not fill the new shape [{}]", count, fmt::join(target, ", ")));
  return s.set(std::move(target), x->type, x->values);
}

bool flatten(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  int64_t axis = s.node.integer("axis", 1), rank = static_cast<int64_t>(x->shape.size());
  if (axis < 0) axis += rank;
  if (axis < 0 || axis > rank) s.fail(fmt::format("axis {} of a tensor of {} dimensions", axis, rank));
  return s.set({element_count({x->shape.begin(), x->shape.begin() + axis}),
                element_count({x->shape.begin() + axis, x->shape.end()})});
}

bool squeeze(Scope& s) {
  const OnnxValue* x = s.need(0);
  std::optional<Shape> axes = x ? axes_of(s, 1) : std::nullopt;
  if (!axes) return false;
  std::vector<bool> gone(x->shape.size());
  for (int64_t axis : *axes) gone.at(static_cast<size_t>(s.axis(axis, x->shape.size()))) = true;
  Shape shape;
  for (size_t i = 0; i < x->shape.size(); ++i) {
    if (!(gone[i] || (axes->empty() && x->shape[i] == 1))) shape.push_back(x->shape[i]);
  }
  return s.set(std::move(shape), x->type, x->values);
}

bool unsqueeze(Scope& s) {
  const OnnxValue* x = s.need(0);
  std::optional<Shape> axes = x ? axes_of(s, 1) : std::nullopt;
  if (!axes) return false;
  size_t rank = x->shape.size() + axes->size();
  if (rank > 16) s.fail("more than 16 dimensions");
  std::vector<bool> fresh(rank);
  for (int64_t axis : *axes) fresh.at(static_cast<size_t>(s.axis(axis, rank))) = true;
  Shape shape;
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i)
    shape.push_back(fresh[i] ? 1 : next < x->shape.size() ? x->shape[next++] : 1);
  return s.set(std::move(shape), x->type, x->values);
}

bool transpose(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  Shape order = s.node.integers("perm"), shape;
  if (order.empty()) {
    order.resize(x->shape.size());
    std::iota(order.rbegin(), order.rend(), 0);
  }
  if (order.size() != x->shape.size()) s.fail("an order of another number of dimensions");
  for (int64_t axis : order) shape.push_back(x->shape.at(static_cast<size_t>(s.axis(axis, x->shape.size()))));
  return s.set(std::move(shape), x->type, x->shape.size() <= 1 ? x->values : std::nullopt);
}

bool concat(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  auto axis = static_cast<size_t>(s.axis(s.node.integer("axis", 0), x->shape.size()));
  Shape shape = x->shape;
  if (shape.empty()) s.fail("scalars cannot be joined");
  std::optional<Numbers> values = x->values;
  for (size_t i = 1; i < s.inputs(); ++i) {
    const OnnxValue* next = s.need(i);
    if (!next) return false;
    if (next->shape.size() != shape.size()) s.fail("tensors of different numbers of dimensions");
    for (size_t k = 0; k < shape.size(); ++k) {
      if (k != axis && shape[k] != next->shape[k])
        s.fail(fmt::format("sizes {} and {} differ beside the joined axis", shape[k], next->shape[k]));
    }
    if (shape[axis] > kMostElements - next->shape[axis]) s.fail("more than 2^50 elements");
    shape[axis] += next->shape[axis];
    if (values && next->values && shape.size() == 1 && values->size() <= kMostValues) {
      values->insert(values->end(), next->values->begin(), next->values->end());
    } else {
      values.reset();
    }
  }
  return s.set(std::move(shape), x->type, values);
}

bool slice(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  Shape starts = s.node.integers("starts"), ends = s.node.integers("ends"), axes = s.node.integers("axes"),
        steps;
  if (s.inputs() > 1) {
    auto taken = [&](size_t i, Shape& out) {
      if (i >= s.inputs() || s.node.inputs[i].empty()) return true;
      std::optional<Numbers> values = s.numbers(i);
      if (values) out = whole(*values);
      return values.has_value();
    };
    if (!taken(1, starts) || !taken(2, ends) || !taken(3, axes) || !taken(4, steps)) return false;
  }
  if (axes.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  steps.resize(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size())
    s.fail("starts, ends and axes of different lengths");
  Shape shape = x->shape;
  std::optional<Numbers> values;
  for (size_t i = 0; i < starts.size(); ++i) {
    auto axis = static_cast<size_t>(s.axis(axes[i], shape.size()));
    if (axis >= shape.size()) s.fail("an axis of a scalar");
    int64_t size = x->shape[axis], step = steps[i];
    if (step == 0) s.fail("a step of 0");
    auto clipped = [&](int64_t v, int64_t low, int64_t high) {
      return std::clamp(v < 0 ? v + size : v, low, high);
    };
    int64_t from = step > 0 ? clipped(starts[i], 0, size) : clipped(starts[i], 0, size - 1);
    int64_t to =
        step > 0 ? clipped(ends[i], 0, size) : (ends[i] <= -size - 1 ? -1 : clipped(ends[i], -1, size - 1));
    shape[axis] = std::max<int64_t>(
        0, step > 0 ? divide_down(to - from + step - 1, step) : divide_down(from - to - step - 1, -step));
    if (x->values && x->shape.size() == 1) {
      values.emplace();
      for (int64_t k = 0; k < shape[axis]; ++k)
        values->push_back((*x->values).at(static_cast<size_t>(from + k * step)));
    }
  }
  return s.set(std::move(shape), x->type, values);
}

bool split(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  auto axis = static_cast<size_t>(s.axis(s.node.integer("axis", 0), x->shape.size()));
  if (axis >= x->shape.size()) s.fail("a scalar cannot be divided");
  Shape parts = s.node.integers("split");
  if (parts.empty() && s.inputs() > 1) {
    std::optional<Numbers> values = s.numbers(1);
    if (!values) return false;
    parts = whole(*values);
  }
  size_t count = s.node.outputs.size();
  int64_t size = x->shape[axis],
          even = count == 0 ? 0 : (size + static_cast<int64_t>(count) - 1) / static_cast<int64_t>(count),
          from = 0;
  if (!parts.empty() && parts.size() != count) s.fail("another number of parts than of outputs");
  const OnnxValue source = *x;
  for (size_t i = 0; i < count; ++i) {
    int64_t part = parts.empty() ? std::min(even, size - from) : parts[i];
    if (part < 0 || part > size - from) s.fail(fmt::format("parts beyond {} elements", size));
    Shape shape = source.shape;
    shape[axis] = part;
    std::optional<Numbers> values;
    if (source.values && source.shape.size() == 1)
      values = Numbers(source.values->begin() + from, source.values->begin() + from + part);
    s.set(i, std::move(shape), source.type, values);
    from += part;
  }
  return true;
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

bool pad(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  Shape pads = s.node.integers("pads");
  if (pads.empty()) {
    std::optional<Numbers> values = s.numbers(1);
    if (!values) return false;
    pads = whole(*values);
  }
  if (pads.size() != 2 * x->shape.size()) return false;  // along some axes alone (opset 18)
  Shape shape = x->shape;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (std::abs(pads[i]) > kMostElements || std::abs(pads[i + shape.size()]) > kMostElements)
      s.fail("a padding beyond 2^50");
    shape[i] += pads[i] + pads[i + shape.size()];
  }
  return s.set(std::move(shape), x->type);
}

bool expand(Scope& s) {
  const OnnxValue* x = s.need(0);
  std::optional<Numbers> target = s.numbers(1);
  if (!x || !target) return false;
  Shape shape = broadcast(x->shape, whole(*target));
  std::optional<Numbers> values;
  if (x->values && x->values->size() == 1 && element_count(shape) <= static_cast<int64_t>(kMostValues)) {
    values = Numbers(static_cast<size_t>(element_count(shape)), (*x->values)[0]);
  }
  return s.set(std::move(shape), x->type, values);
}

bool tile(Scope& s) {
  const OnnxValue* x = s.need(0);
  std::optional<Numbers> times = s.numbers(1);
  if (!x || !times) return false;
  if (times->size() != x->shape.size()) s.fail("another number of repeats than of dimensions");
  Shape shape = x->shape;
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t repeat = whole((*times)[i]);
    if (repeat < 0 || (repeat > 0 && shape[i] > kMostElements / repeat)) s.fail("more than 2^50 elements");
    shape[i] *= repeat;
  }
  return s.set(std::move(shape), x->type);
}

bool resize(Scope& s) {
  const OnnxValue* x = s.need(0);
  if (!x) return false;
  Numbers scales;
  if (const OnnxAttribute* given = s.node.find("scales")) scales = given->numbers;
  size_t at = s.node.type == "Upsample" ? 1 : 2;
  if (scales.empty()) scales = s.numbers(at).value_or(Numbers{});
  Shape shape = x->shape;
  if (scales.size() == shape.size()) {
    for (size_t i = 0; i < shape.size(); ++i)
      shape[i] = whole(std::floor(static_cast<double>(shape[i]) * scales[i]));
  } else {
    std::optional<Numbers> sizes = s.numbers(3);
    if (!sizes || sizes->size() != shape.size()) return false;
    shape = whole(*sizes);
  }
  return s.set(std::move(shape), x->type);
}

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

bool depth_to_space(Scope& s) {
  const OnnxValue* x = s.need(0);
  int64_t block = s.node.integer("blocksize", 1);
  if (!x) return false;
  if (x->shape.size() != 4 || block < 1 || block > 1024) s.fail("expected an image and a block size");
  if (x->shape[1] > kMostElements / (block * block)) s.fail("more than 2^50 elements");
  bool deep = s.node.type == "SpaceToDepth";
  Shape shape =
      deep ? Shape{x->shape[0], x->shape[1] * block * block, x->shape[2] / block, x->shape[3] / block}
           : Shape{x->shape[0], x->shape[1] / (block * block), x->shape[2] * block, x->shape[3] * block};
  return s.set(std::move(shape));
}

struct NamedRule {
  std::string_view types;  // separated by blanks
  Rule rule;
};
constexpr NamedRule kRules[] = {
    {"Relu LeakyRelu PRelu Elu Selu Celu ThresholdedRelu Sigmoid HardSigmoid HardSwish Tanh Erf Exp Log Abs "
     "Sign Sin Cos Gelu FastGelu "
     "Softplus Softsign Mish Reciprocal Round Clip Neg Floor Ceil Sqrt Not BiasGelu QuickGelu",
     unary},
    {"Identity Dropout Softmax LogSoftmax Hardmax BatchNormalization LayerNormalization "
     "SimplifiedLayerNormalization RMSNormalization "
     "InstanceNormalization GroupNormalization LpNormalization MeanVarianceNormalization LRN CumSum "
     "ScatterND ScatterElements Scatter Trilu",
     same},
    {"Add Sub Mul Div Pow Max Min Mod Sum Mean Equal Greater Less GreaterOrEqual LessOrEqual And Or Xor "
     "BitShift",
     elementwise},
    {"Cast", cast},
    {"Where", where},
    {"MatMul FusedMatMul", matmul},
    {"Gemm", gemm},
    {"Conv", convolution},
    {"MaxPool AveragePool LpPool", pool},
    {"GlobalAveragePool GlobalMaxPool GlobalLpPool", global_pool},
    {"ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum "
     "ReduceLogSumExp ArgMax ArgMin",
     reduce},
    {"Reshape", reshape},
    {"Flatten", flatten},
    {"Squeeze", squeeze},
    {"Unsqueeze", unsqueeze},
    {"Transpose", transpose},
    {"Concat", concat},
    {"Slice", slice},
    {"Split", split},
    {"Gather", gather},
    {"GatherElements", shape_of_indices},
    {"Pad", pad},
    {"Expand", expand},
    {"Tile", tile},
    {"Resize Upsample", resize},
    {"Shape", shape_of},
    {"Size", size_of},
    {"Constant", constant},
    {"ConstantOfShape", constant_of_shape},
    {"Range", range},
    {"TopK", top_k},
    {"DepthToSpace SpaceToDepth", depth_to_space},
};

const std::unordered_map<std::string_view, Rule>& rules() {
  static const auto* table = [] {
    auto* map = new std::unordered_map<std::string_view, Rule>();
    for (const NamedRule& row : kRules) {
      std::string_view rest = row.types;
      while (!rest.empty()) {
        size_t end = std::min(rest.find(' '), rest.size());
        map->emplace(rest.substr(0, end), row.rule);
        rest.remove_prefix(std::min(end + 1, rest.size()));
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
                        const std::string& path) {
  OnnxShapes result;
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
      Scope scope(node, result.values);
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
