// The fewest ranks that a token's choices can lie on, over all placements: what `home` dispatch can reach.
#pragma once

#include <span>
#include <vector>

#include "orrery/base/run_context.h"

namespace orrery::place {

// One layer of a recording.
struct CompanionLayer {
  int experts = 0, ranks = 0, top_k = 0;
  double tokens = 0;
  std::vector<float> together;            // [i * experts + j]: tokens that choose both, symmetric
  std::vector<std::vector<double>> load;  // [profile][expert]
  std::vector<double> cap;                // [profile]: what a rank may carry
};

// Mean distinct ranks a token, at least. Two steps:
//   1. how many pairs of choices can share a rank in all: pairs (i, j) of one rank obey the b-matching, load
//   and
//      transitivity rows of coupled_bound.h, so its program bounds Σ_{i<j} A_ij z_ij;
//   2. a token on d ranks, with at most experts/ranks choices on each, has at most so many pairs that share
//   one;
//      the least convex function under these points, at the mean number of pairs, is a bound (Jensen).
double distinct_ranks_bound(const CompanionLayer& layer, Seconds limit, int cut_rounds,
                            const RunContext& context);

// The convex function of step 2 at `pairs`: k choices, at most `most` of them on a rank.
double least_ranks_of_pairs(double pairs, int k, int most);

}  // namespace orrery::place
