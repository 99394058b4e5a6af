// From a model's numbers to its operator graph. build_graph itself is declared in workload.h; here is what
// the memory footprint needs beside it.
#pragma once

#include "orrery/graph/split.h"
#include "orrery/graph/workload.h"

namespace orrery::graph {

// Throws InputError for sizes that no model has and for phases that this one lacks.
void check_workload(const ModelConfig& model, const Workload& work);

// Tokens of one sequence that a tower processes anew, and those cached before them.
struct TowerTokens {
  int64_t query = 0, cached = 0, cross = 0;  // query 0: the tower does not run
};
TowerTokens tokens_of(const ModelConfig& model, const Tower& tower, const Workload& work);

}  // namespace orrery::graph
