// Products, convolutions and pooling.
#include <fmt/format.h>

#include <functional>
#include <numeric>

#include "orrery/graph/readers/onnx_scope.h"

namespace orrery::graph::onnx_rules {
namespace {

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

constexpr NamedRule kRules[] = {
    {"MatMul FusedMatMul", matmul},
    {"Gemm", gemm},
    {"Conv", convolution},
    {"MaxPool AveragePool LpPool", pool},
    {"GlobalAveragePool GlobalMaxPool GlobalLpPool", global_pool},
};

}  // namespace

std::span<const NamedRule> product_rules() {
  return kRules;
}

}  // namespace orrery::graph::onnx_rules
