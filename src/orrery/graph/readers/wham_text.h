// WHAM's text of an operator graph (github.com/msr-fiddle/phaze, third_party_for_phaze/wham): an operator a
// line, then an indented line for each edge.
//
//   7 -- Linear -- output_act=[[8, 512, 1024]]; saved_tensors=[[8, 512, 4096], [1024, 4096]];
//   parameter=[[1024, 4096], [1024]] \t6 -- 7
//
// output_act and saved_tensors list shapes: of products the input (behind a bias, where three stand) and the
// right side; a Linear's weight is [n, k], that of Addmm, Mm and Bmm [k, n]. Convolutions have NCHW images,
// stride, padding; dilation above 1 is refused. `fused ~~ X` carries its epilogue in fused_operators as
// "name ~~ weights ~~ output" triples. activation_size, parameter_size and contiguous are read over.
// Views cost nothing, what moves bytes (Cat, Gather, Clone, ...) is a copy, AccumulateGrad and what hangs on
// it alone is a weight.
//
// Errors, with file:line:column: an operator that is not known (`unknown_as_vector` prices it as one cycle an
// element), a missing, empty or absurd shape, shapes that do not match, an edge to a node that is not there,
// a node twice, a cycle, of which one edge is named.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orrery/graph/single_block.h"

namespace orrery::graph {

struct WhamTextOptions : SingleBlockOptions {
  bool unknown_as_vector = false;
};

struct WhamTextModel {
  Graph graph;
  int64_t batch = 1;  // first size of the first operator's output
  double parameters = 0;
  std::vector<std::string> notes;  // operators that were taken as vector ones
};

// Whether a text is such a graph rather than another: its first line that is not blank holds " -- ".
bool is_wham_text(std::string_view text);
WhamTextModel parse_wham_text(std::string_view text, const std::string& path, const WhamTextOptions& options);

}  // namespace orrery::graph
