// Items of a chain of layers on shared places: layer l holds items_l items, coupling W_l[i][j] >= 0 between
// item i of layer l and item j of layer l + 1 costs W_l[i][j] · d(place of i, place of j). Layers have loads
// that no place may exceed. Experts on GPUs are one instance; layers of a pipeline on devices another.
//
// Distance is a tree: places are numbered so that those of a group are consecutive, and
//   d(g, h) = Σ over levels of step · [g / group != h / group].
// Uniform links are the one level {1, 1}; two nodes of four with crossing costs 1 and 9 are {1, 1}, {4, 8}.
#pragma once

#include <cstdint>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/solve/scenario_peaks.h"

namespace orrery::solve {

struct DistanceLevel {
  int group = 1;    // places of a group; divides the number of places, and grows from level to level
  double step = 1;  // cost of leaving the group
};

// place_of[layer][item].
using Placement = std::vector<std::vector<int>>;

struct CoupledLayers {
  int places = 0;
  std::vector<DistanceLevel> levels;
  std::vector<int> items;                      // size layers
  std::vector<std::vector<float>> coupling;    // size layers − 1; [l][i * items[l + 1] + j]
  std::vector<std::vector<float>> transposed;  // [l][j * items[l] + i]; filled by finish()
  // load[p][l][i]: what item i weighs under profile p; cap[p][l]: the most that a place may carry of it.
  std::vector<std::vector<std::vector<double>>> load;
  std::vector<std::vector<double>> cap;
  // own[l][i * places + g]: cost of the item alone on a place (moving it there); empty = none.
  std::vector<std::vector<float>> own;
  // twins[l][i]: items of one layer with the same number may not share a place (copies); −1 and empty = free.
  std::vector<std::vector<int>> twins;
  // Scenarios of each layer, empty = none: `waiting` · the mean peak of a layer is added to the cost.
  std::vector<Scenarios> scenarios;
  double waiting = 0;

  int layers() const { return static_cast<int>(items.size()); }
  double distance(int g, int h) const;
  void finish();  // checks shapes (std::logic_error) and fills `transposed`
};

// Crossings, own costs and waiting.
double coupled_cost(const CoupledLayers& problem, const Placement& placement);
double crossing_cost(const CoupledLayers& problem, const Placement& placement);

// table[g * items[layer] + i]: the cost of item i on place g while the neighbouring layers stay where they
// are. Within a layer items do not interact, so the cost of any change of one layer is exact from it.
void coupled_table(const CoupledLayers& problem, const Placement& placement, int layer,
                   std::vector<float>& table);

// Σ over profiles and places of the load above the cap, relative to it. 0 = all caps hold.
double cap_violation(const CoupledLayers& problem, const Placement& placement, int layer);

// Swaps of two items of a layer under Metropolis' rule, temperature falling geometrically, then descent.
// A swap that raises a violation of the caps is refused, one that lowers it taken. Layers of one parity are
// independent given the others: they are annealed side by side against fixed tables, which are then made
// anew, so a swap costs O(1) and the answer does not depend on the number of threads. Between the phases
// whole blocks of layers change names (coupled_relabel.h).
struct AnnealOptions {
  double sweeps = 300;      // of layers · items² / 2 proposals
  double hottest = 0.6;     // of the median |change| of a swap
  double coldest = 0.0024;  // of the same
  double proposals = 4;     // an item and phase
  double time_share = 1;    // of the context's time, after which the temperature reaches its end
};
struct AnnealResult {
  Placement placement;
  double cost = 0;
  uint64_t proposals = 0;
  bool cut = false;  // by time or interruption
};
AnnealResult anneal_coupled(const CoupledLayers& problem, Placement start, const AnnealOptions& options,
                            const RunContext& context);

// Best swaps layer by layer, forth and back, and best names, until none improves. Returns the cost. Stops
// early when the context says so.
double descend_coupled(const CoupledLayers& problem, Placement& placement, const RunContext& context);

}  // namespace orrery::solve
