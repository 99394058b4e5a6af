// SCALE-Sim topologies (github.com/scalesim-project/SCALE-Sim): one layer a row, by position, every row
// closed by a comma. Two forms, told by the header's second name:
//
//   Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
//   Layer, M, N, K,
//
// Convolutions have no padding; a layer whose name holds "DP" is depthwise: each channel by itself, with Num
// Filter filters. A last column "N:M" of sparsity is read when it says 1:1; other ratios are refused, since
// nothing here prices them. SCALE-Sim rounds the output's sides up, ceil((IH − FH + s) / s), where
// convolutions round down: the image is then taken as large as that output needs.
//
// Each layer depends on the one before it. Errors: InputError with file:line:column.
#pragma once

#include <string>
#include <string_view>

#include "orrery/graph/graph.h"

namespace orrery::graph {

// Whether a CSV is a topology rather than a list of operators, by its first cell.
bool is_scalesim_topology(std::string_view text);
Graph parse_scalesim_topology(std::string_view text, const std::string& path, DataType type = DataType::BF16);

}  // namespace orrery::graph
