#include "orrery/graph/optimizer_step.h"

namespace orrery::graph {

OptimizerBytes optimizer_bytes(Optimizer optimizer, DataType type) {
  double each = bytes_per_element(type);
  switch (optimizer) {
    case Optimizer::None:
      return {};
    case Optimizer::Sgd:
      return {3 * each, 0};
    case Optimizer::Momentum:
      return {5 * each, each};
    case Optimizer::Adam:
      return {7 * each, 2 * each};
    case Optimizer::MixedAdam:
      return {24 + 2 * each, 12};
  }
  return {};
}

void add_optimizer(Block& block, Optimizer optimizer, DataType type) {
  if (optimizer == Optimizer::None || block.weight_gradients.empty()) return;
  double elements = 0;
  for (ValueId gradient : block.weight_gradients) elements += block.values[gradient].elements;
  OptimizerBytes bytes = optimizer_bytes(optimizer, type);
  Step step;
  step.name = "optimizer";
  OperatorShape shape{OperatorKind::OptimizerStep,
                      type,
                      type,
                      Pass::Optimizer,
                      {static_cast<int64_t>(elements), static_cast<int64_t>(bytes.moved)}};
  step.kernel.parts = {shape};
  step.inputs = block.weight_gradients;
  if (bytes.state > 0) {
    step.inputs.push_back(
        block.add_value(elements * bytes.state, DataType::INT8, TensorKind::OptimizerState));
  }
  block.optimizer = {std::move(step)};
}

}  // namespace orrery::graph
