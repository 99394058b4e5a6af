// Operators in the lettering of NeuSight's graph files (arXiv 2407.13853): what its tables of operators, its
// checksums and its predictor are written in.
//
//   Linear  (m, k, n)            a product with a weight: k the contraction, in the middle there
//   BMM     (batch, m, k, n)     a product of two activations
//   VECname (rows, columns)      a vector operator with a regressor of its own; a trailing u: one tensor and
//   a
//                                scalar
//   MEM     (elements)           what costs its bytes alone: elements read and written
//   ALLREDUCE, SENDRECV (elements)
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "orrery/graph/graph.h"

namespace orrery::graph {

struct TracedOperator {
  std::string_view name;  // of a literal
  std::array<int64_t, 4> dims{};
  auto operator<=>(const TracedOperator&) const = default;
};

// Free ones (views) have an empty name. Throws InputError for kinds that those files do not know (attention
// in one kernel, convolutions).
TracedOperator traced_operator(const OperatorShape& shape);
// How often each stands in a graph. Slices are left out: the files count them by what the tracer saw of
// Python.
std::map<TracedOperator, int64_t> traced_operators(const Graph& graph);
std::string to_string(const TracedOperator& op);  // "Linear(1024, 1280, 3840)"

}  // namespace orrery::graph
