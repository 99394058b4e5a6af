// Items put on places so that those with affinity share one: min Σ_{i<j} A_ij d(place of i, place of j) with
// the tree distance of coupled layers, rooms kept by swaps and a cap on the load of a place. Graph
// partitioning into equal parts is the case of one level.
#pragma once

#include <vector>

#include "orrery/solve/coupled_layers.h"
#include "orrery/solve/scenario_peaks.h"

namespace orrery::solve {

struct AffinityProblem {
  int places = 0;
  std::vector<DistanceLevel> levels;
  std::vector<float> affinity;            // [i * items + j], symmetric, diagonal ignored
  std::vector<std::vector<double>> load;  // [profile][item]
  std::vector<double> cap;                // [profile]
  const Scenarios* scenarios = nullptr;   // may be null
  double waiting = 0;                     // cost of a mean peak of 1
  int items() const;
};

// Affinity apart and waiting.
double affinity_cost(const AffinityProblem& problem, const std::vector<int>& place);

// Annealed swaps and a descent from `start`; a swap that raises a violation of the caps is refused. A limit
// of time in the context cools faster where it would cut the schedule, and leaves the descent out.
std::vector<int> anneal_affinity(const AffinityProblem& problem, std::vector<int> start, double sweeps,
                                 const RunContext& context);

}  // namespace orrery::solve
