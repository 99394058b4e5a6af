#include "orrery/graph/block_builder.h"

namespace orrery::graph {
namespace {

double elements(int64_t a, int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b);
}

bool is_narrow(DataType type) {
  return bytes_per_element(type) < 2;
}

}  // namespace

OperatorKind kind_of(Activation activation) {
  switch (activation) {
    case Activation::Relu:
      return OperatorKind::Relu;
    case Activation::Gelu:
    case Activation::GeluTanh:
    case Activation::QuickGelu:
      return OperatorKind::Gelu;
    case Activation::Silu:
      return OperatorKind::Silu;
    case Activation::Tanh:
      return OperatorKind::Tanh;
  }
  return OperatorKind::Gelu;
}

ValueId BlockBuilder::input(double elements) {
  ValueId id = block_.add_value(elements, setting_.type);
  block_.inputs.push_back(id);
  return id;
}

ValueId BlockBuilder::weight(double elements, DataType stored) {
  ValueId id = block_.add_value(elements, stored, TensorKind::Weight);
  block_.values[id].trainable = setting_.trainable;
  return id;
}

void BlockBuilder::step(std::string_view name, const OperatorShape& shape, std::vector<ValueId> inputs,
                        std::vector<ValueId> outputs) {
  Step step;
  step.name = name;
  step.kernel.parts = {shape};
  step.inputs = std::move(inputs);
  step.outputs = std::move(outputs);
  block_.forward.push_back(std::move(step));
}

ValueId BlockBuilder::vector(std::string_view name, OperatorKind kind, const VectorSize& size,
                             std::vector<ValueId> inputs) {
  ValueId out = activation(elements(size.rows, size.columns));
  step(name, make(kind, size, setting_.type), std::move(inputs), {out});
  return out;
}

ValueId BlockBuilder::narrowed(ValueId x, int64_t rows, int64_t columns, DataType type) {
  if (!is_narrow(type)) return x;
  for (auto [wide, narrow] : narrow_) {
    if (wide == x) return narrow;
  }
  ValueId out = block_.add_value(elements(rows, columns), type);
  OperatorShape shape =
      make(OperatorKind::Quantize, VectorSize{.rows = rows, .columns = columns}, setting_.type);
  shape.stored = type;
  step("quantize", shape, {x}, {out});
  narrow_.emplace_back(x, out);
  return out;
}

ValueId BlockBuilder::product(std::string_view name, ValueId x, const Product& p) {
  int64_t rows = p.rows ? p.rows : setting_.rows();
  ModuleFormat format = module_format(setting_.model, p.module, setting_.quantized);
  if (setting_.train())
    format = {setting_.type, setting_.type};  // quantized checkpoints are trained in their own type
  x = narrowed(x, rows, p.k, format.activations);
  std::vector<ValueId> inputs = {x, weight(elements(p.n, p.k), format.weights)};
  if (p.bias) inputs.push_back(weight(static_cast<double>(p.n)));
  ValueId out = activation(elements(rows, p.n));
  step(name, make(GemmSize{.m = rows, .n = p.n, .k = p.k}, format.activations, format.weights),
       std::move(inputs), {out});
  block_.forward.back().merge = p.merge;
  block_.forward.back().merged_name = p.merged_name;
  return split_rule(p.role).reduce_output && p.reduce ? all_reduce("tensor_parallel.all_reduce", out) : out;
}

ValueId BlockBuilder::product(std::string_view name, const GemmSize& size, ValueId lhs, ValueId rhs) {
  ValueId out = activation(elements(size.batch * size.m, size.n));
  step(name, make(size, setting_.type, setting_.type), {lhs, rhs}, {out});
  return out;
}

ValueId BlockBuilder::normalize(std::string_view name, ValueId x, int64_t rows, int64_t columns) {
  bool layer_norm = setting_.tower.normalization == Normalization::LayerNorm;
  std::vector<ValueId> inputs = {x, weight(static_cast<double>(columns))};
  if (layer_norm) inputs.push_back(weight(static_cast<double>(columns)));
  return vector(name, layer_norm ? OperatorKind::LayerNorm : OperatorKind::RmsNorm,
                {.rows = rows, .columns = columns, .broadcast = columns * (layer_norm ? 2 : 1)},
                std::move(inputs));
}

ValueId BlockBuilder::add(std::string_view name, ValueId a, ValueId b) {
  auto columns = static_cast<int64_t>(setting_.tower.hidden);
  auto rows = static_cast<int64_t>(block_.values[a].elements) / columns;
  return vector(name, OperatorKind::Add, {.rows = rows, .columns = columns, .inputs = 2}, {a, b});
}

ValueId BlockBuilder::dropout(std::string_view name, ValueId x, int64_t rows, int64_t columns) {
  if (!setting_.train() || !setting_.work.eager.dropout) return x;
  // The mask beside the result is a byte an element.
  double mask = elements(rows, columns) / bytes_per_element(setting_.type);
  VectorSize size{.rows = rows, .columns = columns, .broadcast = static_cast<int64_t>(mask)};
  if (setting_.work.eager.idle_dropout) size.broadcast = 0;
  return vector(name, OperatorKind::Dropout, size, {x});
}

ValueId BlockBuilder::enter_group(ValueId x) {
  if (setting_.share.tensor == 1) return x;
  ValueId out = block_.add_value(block_.values[x].elements, block_.values[x].type);
  OperatorShape shape;  // dims[1]: the group over which the gradient is reduced
  shape.dims = {static_cast<int64_t>(block_.values[x].bytes().value()), setting_.share.tensor};
  step("tensor_parallel.enter", shape, {x}, {out});
  return out;
}

ValueId BlockBuilder::all_reduce(std::string_view name, ValueId x) {
  if (setting_.share.tensor == 1) return x;
  ValueId out = block_.add_value(block_.values[x].elements, block_.values[x].type);
  CollectiveSize size{static_cast<int64_t>(block_.values[x].bytes().value()), setting_.share.tensor};
  step(name, make(OperatorKind::AllReduce, size), {x}, {out});
  return out;
}

void BlockBuilder::end_core() {
  for (size_t i = core_from_; i < block_.forward.size(); ++i) block_.forward[i].core = true;
}

}  // namespace orrery::graph
