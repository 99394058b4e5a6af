// The optimum of a chain of coupled layers, where the placements of a layer can be listed: a dynamic program
// from layer to layer over all ways to fill the places exactly.
#pragma once

#include <optional>
#include <span>

#include "orrery/solve/coupled_layers.h"

namespace orrery::solve {

// How many ways there are to put `items` items on places with `room[g]` slots, all filled; infinite when
// huge.
double count_placements(int items, std::span<const int> room);

struct CoupledOptimum {
  Placement placement;
  double cost = 0;
};
// The best placement within all caps, of all placements; nothing when no layer placement meets a cap or the
// context stops it. Needs the same number of items in every layer, Σ room of them, and no twins. Time is
// layers · states², one addition each.
std::optional<CoupledOptimum> solve_coupled_exact(const CoupledLayers& problem, std::span<const int> room,
                                                  const RunContext& context);

}  // namespace orrery::solve
