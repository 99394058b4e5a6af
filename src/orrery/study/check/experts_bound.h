// Lower bounds of our own on what any expert map can reach, for `check` to hold a plan's bound against.
#pragma once

#include <optional>
#include <vector>

#include "orrery/base/units.h"
#include "orrery/study/check/experts_recount.h"

namespace orrery::study {

// What a rank may carry, over the mean load: [recording][layer]; empty where the plan has no cap.
using LoadCaps = std::vector<std::vector<double>>;

// Cost per transition (mean of the recordings, each layer step alike) that no map with experts / ranks
// experts a rank within the caps goes below. Where a layer has few placements all are gone through, layer
// by layer (exact); else each layer step is the linear program
//   most Σ W z,  Σ_j z_ij = m,  Σ_i z_ij = m,  0 <= z <= 1,  total − (groups − 1) cap <= Σ_j n_j z_ij <= cap
// for groups that are GPUs, and again for nodes.
struct CrossingBound {
  double cost = 0;
  bool exact = false;
};
CrossingBound crossing_bound(const ExpertMapOnRanks& shape, const std::vector<RoutingPart>& recordings,
                             const LoadCaps& caps, Seconds limit);
// By going through all placements; nothing where they are too many or none is within the caps.
std::optional<double> least_crossing_cost(const ExpertMapOnRanks& shape,
                                          const std::vector<RoutingPart>& recordings, const LoadCaps& caps);

// Mean number of distinct ranks per token and layer: what the linear program above keeps of the pairs of a
// token's choices (an expert always with itself), and the fewest ranks that so many pairs allow.
double distinct_rank_bound(const ExpertMapOnRanks& shape, const std::vector<RoutingPart>& recordings,
                           const LoadCaps& caps, Seconds limit);

// Largest over mean load, mean of layers: 1, or the busiest expert where it has one slot.
double load_bound(const ExpertMapOnRanks& shape, const RoutingPart& recording);

}  // namespace orrery::study
