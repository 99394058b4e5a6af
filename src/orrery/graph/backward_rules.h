// What the gradient of each kind of operator is: one row a kind, in two tables. backward.cc applies the rows.
//
// Derived: what differentiation asks for. PerOperator: the fixed lists by which NeuSight (arXiv 2407.13853)
// counts a training iteration: an addition brings a pass over memory for each operand, a multiplication
// itself again for each, a product two products and the accumulation of weight and bias, an embedding two
// passes over its whole table; nothing is summed over several users and nothing reduced.
#pragma once

#include <array>
#include <cstdint>

#include "orrery/graph/operator_shape.h"
#include "orrery/graph/workload.h"

namespace orrery::graph {

enum class Flow : uint8_t {
  None,      // nothing flows: indices, fills, what training does not run
  Through,   // the output's gradient is the input's (reduced where the input was broadcast)
  Each,      // `operators` once for each input
  First,     // `operators` once, for the first input; other activations take the same gradient
  Joint,     // one operator for all inputs
  Products,  // of matrices: dA = dC·Bᵀ, dB = Aᵀ·dC
};
enum class Saved : uint8_t {
  Nothing,
  Inputs,
  Output,
  Both
};  // what the operator reads beside the output's gradient
enum class WeightFlow : uint8_t {
  None,
  Product,
  Reduction,
  Scatter,
  Passes,      // two passes over the whole table
  Accumulated  // no operator computes it; it is accumulated alone
};

struct BackwardOperator {
  OperatorKind kind = OperatorKind::View;  // View ends a list
  int8_t inputs = -1;                      // tensors that it reads; −1: the gradient and what was saved
};
struct BackwardRule {
  OperatorKind kind;
  Flow flow;
  std::array<BackwardOperator, 3> operators;
  Saved saved;
  WeightFlow weight;
};

struct BackwardTable {
  std::array<BackwardRule, kOperatorKinds> rules;
  bool sums = true;             // gradients that several users give are added up
  bool reductions = true;       // gradients of what was broadcast, biases among it, are reduced
  bool needless = false;        // operators and operands that take no gradient have one too
  bool every_bias = false;      // a bias is accumulated for each weight of a product
  int64_t softmax_columns = 0;  // width of the gradient of softmax; 0: as forwards

  const BackwardRule& rule(OperatorKind kind) const { return rules[static_cast<size_t>(kind)]; }
};
// `heads`: of one device, for the fault of EagerOptions::repeated_score_shapes; 0: not divided.
BackwardTable backward_table(const EagerOptions& options, int64_t heads = 0);

}  // namespace orrery::graph
