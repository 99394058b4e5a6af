// The matrix products that an operator is, in every pass, with the tensors that they move.
//
// Convolution x[B, Cin, H, W], w[Cout, Cin/g, R, S], output P×Q, as products of g groups:
//   pass             M              N              K              at DRAM
//   forward          B·P·Q          Cout/g         Cin/g·R·S      image, weights, result
//   input gradient   B·P·Q          Cin/g·R·S      Cout/g         gradient of the result, weights, of the
//   image weight gradient  Cin/g·R·S      Cout/g         B·P·Q          image, gradient of the result, of the
//   weights
// The patches of an image are unfolded on the way into the array (im2col) and gradients scattered back on the
// way out, so DRAM sees the tensors themselves. Every pass has the forward's multiplications.
#pragma once

#include <vector>

#include "orrery/graph/operator_shape.h"

namespace orrery::cost {

struct MatrixWork {
  graph::GemmSize size;
  // Words of the tensors at DRAM, over the whole batch; 0 for what stays on chip (the scores of attention).
  double lhs_words = 0, rhs_words = 0, out_words = 0;
  bool groups = false;  // the batch is groups of one convolution: they may be packed
};

// Empty for operators without products.
std::vector<MatrixWork> matrix_work(const graph::OperatorShape&);

// The product of a convolution's pass, per group.
graph::GemmSize convolution_gemm(const graph::ConvolutionSize&, graph::Pass);

double multiply_accumulates(const graph::GemmSize&);

}  // namespace orrery::cost
