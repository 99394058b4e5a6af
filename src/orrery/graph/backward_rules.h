// What the gradient of each kind of operator is: one row a kind. backward.cc applies the rows.
#pragma once

#include <array>
#include <cstdint>

#include "orrery/graph/operator_shape.h"

namespace orrery::graph {

enum class Flow : uint8_t {
  None,      // nothing flows: indices, fills, what training does not run
  Through,   // the output's gradient is the input's (reduced where the input was broadcast)
  Each,      // `operators` once for each input
  Joint,     // one operator for all inputs
  Products,  // of matrices: dA = dC·Bᵀ, dB = Aᵀ·dC
};
enum class Saved : uint8_t {
  Nothing,
  Inputs,
  Output,
  Both
};  // what the operator reads beside the output's gradient
enum class WeightFlow : uint8_t { None, Product, Reduction, Scatter };

struct BackwardRule {
  OperatorKind kind;
  Flow flow;
  std::array<OperatorKind, 3> operators;  // View ends the list
  Saved saved;
  WeightFlow weight;
};
const BackwardRule& backward_rule(OperatorKind kind);

}  // namespace orrery::graph
