#include "orrery/graph/block.h"

namespace orrery::graph {

ValueId Block::add_value(double elements, DataType type, TensorKind kind) {
  auto id = static_cast<ValueId>(values.size());
  values.push_back({elements, type, kind, id, false});
  return id;
}

ValueId Block::add_view(ValueId of, double elements) {
  auto id = static_cast<ValueId>(values.size());
  values.push_back({elements, values[of].type, values[of].kind, values[of].storage, false});
  return id;
}

const Assembler::Interned& Assembler::interned(const Block& block) {
  for (const Interned& known : interned_) {
    if (known.block == &block) return known;
  }
  Interned fresh{&block, {}, {}, {}};
  uint32_t operators = 0;
  for (const Step& step : block.forward) {
    fresh.offsets.push_back(operators);
    operators += step.is_view() ? 0 : 1;
  }
  for (const auto* steps : {&block.forward, &block.backward, &block.optimizer}) {
    for (const Step& step : *steps) {
      fresh.kernels.push_back(step.is_view() ? kNone : builder_.intern(step.kernel));
      fresh.names.push_back(step.is_view() ? kNone : builder_.intern(step.name));
    }
  }
  interned_.push_back(std::move(fresh));
  return interned_.back();
}

TensorId Assembler::make(Instance& instance, ValueId value, OperatorId producer) {
  Graph& graph = builder_.unchecked();
  const Value& v = instance.block->values[value];
  auto id = static_cast<TensorId>(graph.tensors.size());
  TensorId storage = id;
  if (v.storage != value) {
    TensorId base = instance.tensors[v.storage];
    if (base == kNone) base = make(instance, v.storage, producer);
    storage = graph.tensors[base].storage;
    producer = graph.tensors[base].producer;
    id = static_cast<TensorId>(graph.tensors.size());
  }
  graph.tensors.push_back({v.bytes(), producer, storage, v.kind});
  instance.tensors[value] = id;
  return id;
}

void Assembler::stamp(Instance& instance, std::span<const Step> steps, size_t first_of_interned) {
  Graph& graph = builder_.unchecked();
  const Interned& ids = interned(*instance.block);
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    for (ValueId value : step.inputs) {
      if (instance.tensors[value] == kNone) make(instance, value, kNone);  // a weight, a cache, or a view
    }
    if (step.is_view()) {
      instance.tensors[step.outputs[0]] = instance.tensors[step.inputs[0]];
      continue;
    }
    auto id = static_cast<OperatorId>(graph.operators.size());
    Operator op;
    op.kernel = ids.kernels[first_of_interned + i];
    op.name = ids.names[first_of_interned + i];
    op.layer = instance.layer;
    op.mirror = step.mirror == kNone ? kNone : instance.first_operator + ids.offsets[step.mirror];
    op.first_use = static_cast<uint32_t>(graph.uses.size());
    op.inputs = static_cast<uint16_t>(step.inputs.size());
    op.outputs = static_cast<uint16_t>(step.outputs.size());
    for (ValueId value : step.inputs) graph.uses.push_back(instance.tensors[value]);
    for (ValueId value : step.outputs) graph.uses.push_back(make(instance, value, id));
    graph.operators.push_back(op);
  }
}

Instance Assembler::forward(const Block& block, int layer, std::span<const TensorId> inputs) {
  Instance instance;
  instance.block = &block;
  instance.layer = layer;
  instance.first_operator = static_cast<OperatorId>(builder_.graph().operators.size());
  instance.tensors.assign(block.values.size(), kNone);
  for (size_t i = 0; i < inputs.size(); ++i) instance.tensors[block.inputs[i]] = inputs[i];
  stamp(instance, block.forward, 0);
  for (ValueId value : block.outputs) {
    if (instance.tensors[value] == kNone) make(instance, value, kNone);  // a view that only later blocks read
  }
  return instance;
}

void Assembler::backward(Instance& instance, std::span<const TensorId> output_gradients,
                         std::span<const TensorId> running) {
  const Block& block = *instance.block;
  for (size_t i = 0; i < output_gradients.size(); ++i) {
    if (block.output_gradients[i] != kNone) instance.tensors[block.output_gradients[i]] = output_gradients[i];
  }
  for (size_t i = 0; i < running.size(); ++i) {
    if (block.running[i] != kNone) instance.tensors[block.running[i]] = running[i];
  }
  stamp(instance, block.backward, block.forward.size());
}

void Assembler::optimizer(Instance& instance) {
  stamp(instance, instance.block->optimizer,
        instance.block->forward.size() + instance.block->backward.size());
}

}  // namespace orrery::graph
