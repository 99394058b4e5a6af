// Moves on a chain of coupled layers that rename the places of whole layers. A renaming that keeps groups
// whole changes neither the loads nor what a layer costs among those renamed with it: only the step into the
// block and the step out of it change. Swaps of items alone seldom find these: every one in between costs
// more.
#pragma once

#include "orrery/solve/coupled_layers.h"

namespace orrery::solve {

// The best names for the places of a layer whose flow from the layer before is flow[g * places + h]:
// name_of[h] is the new name of place h. Among all renamings that keep the groups of `levels`, the cheapest:
// an assignment in each group, nested.
struct Relabelling {
  std::vector<int> name_of;
  double saved = 0;  // Σ over levels of step · flow inside groups; more is cheaper
};
Relabelling best_relabelling(const std::vector<double>& flow, const std::vector<DistanceLevel>& levels,
                             int places);

// Each step's later layers renamed as is best, from the first step to the last, until nothing improves. Needs
// no own costs; with them it changes nothing. True when something changed.
bool relabel_suffixes(const CoupledLayers& problem, Placement& placement);

// Any two places exchanged in one layer where that is cheaper, until nothing improves. True when something
// changed. For few places: O(layers · places² · items²) a round.
bool exchange_places(const CoupledLayers& problem, Placement& placement);

// Metropolis step: two sibling groups change names in the layers [first, last), or any two places in the
// layer `first` alone. Returns the change, 0 when refused.
double swap_names(const CoupledLayers& problem, Placement& placement, size_t first, size_t last,
                  double temperature, Random& random);

// Of each layer of the result one of the given placements has chosen the partition: the best such chain by a
// dynamic program over them with the best renaming in each step. Never worse than the best of `found` but for
// rounding.
Placement recombine(const CoupledLayers& problem, const std::vector<Placement>& found);

// Every layer changed at once by at most one swap of two items, or of two places in different groups, and
// renamed, as is best for all of them together (recombine), until nothing improves. It leaves local minima of
// single swaps, which a chain of few items has many of. Only where a layer has at most 64 such changes and
// the chain neither own costs nor twins; else it changes nothing. True when something changed.
bool descend_together(const CoupledLayers& problem, Placement& placement, const RunContext& context);

}  // namespace orrery::solve
