// Lower bounds on a chain of coupled layers, layer step by layer step and distance level by distance level.
//
// For one step and one level, let z_ij = 1 when i and j sit in the same group, of which each holds m items of
// a layer. Every placement satisfies
//   Σ_j z_ij = m,  Σ_i z_ij = m,  0 <= z <= 1                                             (b-matching)
//   n̲ <= Σ_j n_j z_ij <= cap,  n̲ = total − (groups − 1) cap, and the same for columns       (loads)
//   z_ij + z_ij' + z_i'j − z_i'j' <= 2      (two items that share a successor's group share all)
// so step · (Σ W − max Σ W z) bounds that part of the cost. The program with all rows goes to the linear
// solver; without it, or where it is cut off, prices u, v prove  max Σ W z <= m Σ u + m Σ v + Σ (W − u − v)⁺.
#pragma once

#include "orrery/solve/coupled_layers.h"

namespace orrery::solve {

struct CoupledBoundOptions {
  Seconds limit{5};    // for all layer steps together
  int cut_rounds = 0;  // of the transitivity rows; each adds at most `cuts`
  int cuts = 1500;
  int largest_program = 128;  // items above which only prices are used
};
// Needs Σ items = places · m in every layer, all places filled. Own costs are not in the bound (they are
// never negative). Never above the optimum within the caps.
double coupled_lower_bound(const CoupledLayers& problem, const CoupledBoundOptions& options,
                           const RunContext& context);

// Σ W z at most, for one b-matching by prices alone; `weight` is items × others, row-major. Exposed for
// tests.
double matching_price_bound(const std::vector<float>& weight, int items, int others, int block_of_items,
                            int block_of_others);

}  // namespace orrery::solve
