// The same numbers in another shape: reshaped, joined, cut, repeated.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <numeric>

#include "orrery/graph/readers/onnx_scope.h"

namespace orrery::graph::onnx_rules {
namespace {

int64_t divide_down(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
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
  if (!x->constant && !target.empty() && s.batch.to > 0 && target[0] == s.batch.from) target[0] = s.batch.to;
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
  std::optional<Shape> axes = x ? s.axes(1) : std::nullopt;
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
  std::optional<Shape> axes = x ? s.axes(1) : std::nullopt;
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

constexpr NamedRule kRules[] = {
    {"Reshape", reshape},
    {"Flatten", flatten},
    {"Squeeze", squeeze},
    {"Unsqueeze", unsqueeze},
    {"Transpose", transpose},
    {"Concat", concat},
    {"Slice", slice},
    {"Split", split},
    {"Pad", pad},
    {"Expand", expand},
    {"Tile", tile},
    {"Resize Upsample", resize},
    {"DepthToSpace SpaceToDepth", depth_to_space},
};

}  // namespace

std::span<const NamedRule> layout_rules() {
  return kRules;
}

}  // namespace orrery::graph::onnx_rules
