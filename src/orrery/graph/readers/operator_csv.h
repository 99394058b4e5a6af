// A list of operators as CSV, for models that no reader knows: one row an operator, run in order.
//
//   op,batch,m,n,k,rows,columns,count,dtype
//   gemm,,2048,6144,4096,,,32,bf16
//   rms_norm,,,,,2048,4096,64,bf16
//
// `op` is a kind as OperatorTraits names it, the other columns are its sizes by name; cells of other kinds'
// sizes stay empty. Beside them: `count` (repetitions, 1), `dtype` and `weights_dtype` (bf16, and as dtype),
// `name`, `layer` (0), `pass` (forward, input_gradient, weight_gradient, accumulate, recompute, optimizer).
//
// Each operator depends on the one before it. Errors: InputError with file:line:column for an unknown kind,
// column or type, a size that is missing, not whole or out of range, and for more than a million operators in
// all.
#pragma once

#include <string>

#include "orrery/graph/graph.h"

namespace orrery::graph {

Graph read_operator_csv(const std::string& path);
Graph parse_operator_csv(std::string text, const std::string& path);

}  // namespace orrery::graph
