// Searches of one chain of layers, and of one layer, that planners of whole maps and of parts of them share.
#pragma once

#include "orrery/base/time_budget.h"
#include "orrery/place/experts_search.h"
#include "orrery/solve/affinity_groups.h"

namespace orrery::place {

// Placements of a layer up to which all are gone through.
constexpr double kMostListed = 6000;

// Waiting for the fullest place, step by step, weighed against the chain's crossings by the problem's
// balance_weight; both are counted as `lpt` has them.
void weigh_balance(solve::CoupledLayers& chain, const ExpertProblem& problem, const solve::Placement& lpt);

// Annealed from `start` by the problem's sweeps and restarts; the run that is least above the caps wins, then
// the cheapest, mixed with the others where that is better.
solve::AnnealResult anneal_chain(const solve::CoupledLayers& chain, const solve::Placement& start,
                                 const ExpertProblem& problem, const TimeBudget& budget);

// The same for a layer whose experts have affinity to one another. `scenarios` may be empty.
std::vector<int> anneal_layer(solve::AffinityProblem layer, const solve::Scenarios& scenarios,
                              const std::vector<int>& start, const ExpertProblem& problem,
                              const RunContext& context);

}  // namespace orrery::place
