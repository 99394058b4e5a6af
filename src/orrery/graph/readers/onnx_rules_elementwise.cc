// Results of the inputs' size: one to one, broadcast, reduced.
#include <fmt/format.h>

#include <functional>
#include <numeric>

#include "orrery/graph/readers/onnx_scope.h"

namespace orrery::graph::onnx_rules {
namespace {

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

bool reduce(Scope& s) {
  const OnnxValue* x = s.need(0);
  std::optional<Shape> axes = x ? s.axes(1) : std::nullopt;
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
    {"ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum "
     "ReduceLogSumExp ArgMax ArgMin",
     reduce},
};

}  // namespace

std::span<const NamedRule> elementwise_rules() {
  return kRules;
}

}  // namespace orrery::graph::onnx_rules
