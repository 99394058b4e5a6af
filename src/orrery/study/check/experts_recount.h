// What an expert map is worth on recorded routing, counted by the definitions and one event at a time: the
// oracle of `check`. Slow and plain on purpose.
#pragma once

#include <string>
#include <vector>

#include "orrery/trace/routing.h"

namespace orrery::study {

struct ExpertMapOnRanks {
  int experts = 0, ranks = 1, ranks_per_node = 1;
  double inside = 1, between = 1;      // cost of a crossing within and between nodes
  std::vector<std::vector<int>> slot;  // [layer][slot] expert; slot s is on rank s / (slots / ranks)

  int slots() const { return slot.empty() ? 0 : static_cast<int>(slot[0].size()); }
  int rank_of_slot(int s) const { return s / (slots() / ranks); }
  int node(int rank) const { return rank / ranks_per_node; }
};

// Each is a sentence about the first offence, empty where there is none.
struct MapFaults {
  std::string shape;       // equal slots in all layers that divide over the ranks
  std::string identifier;  // expert numbers in 0 .. experts − 1
  std::string missing;     // every expert lies somewhere
  std::string doubled;     // none twice on a rank
};
MapFaults map_faults(const ExpertMapOnRanks& map);
// A group of consecutive experts, as many each, that lies on more than one node; empty when none does.
std::string cut_group(const ExpertMapOnRanks& map, int groups);

// A part of the recording: what was planned on, or what came after it.
struct RoutingPart {
  int experts = 0, top_k = 0;                   // top_k: of what counts as load
  std::vector<std::vector<double>> load;        // [layer][expert]
  std::vector<std::vector<double>> transition;  // [layer][from * experts + to]; empty: unknown
  std::vector<std::vector<double>> step_load;   // [step][layer * experts + expert]
  const trace::TokenTrace* tokens = nullptr;    // null: counts alone
  size_t first = 0, last = 0;                   // of the tokens
  bool empty() const { return load.empty(); }
};
struct RoutingParts {
  RoutingPart planned, later;  // later is empty where nothing was held out
};
// The first 1 − hold_out of tokens, or of steps, and the rest.
RoutingParts split_routing(const trace::RoutingProfile& profile, double hold_out, size_t step_tokens);

// Load of every rank in a layer. Copies share evenly, or so that the largest load is least.
std::vector<double> rank_load(const ExpertMapOnRanks& map, int layer, const std::vector<double>& load);
double least_largest_load(const ExpertMapOnRanks& map, int layer, const std::vector<double>& load);

struct LoadRecount {
  double mean = 0, worst = 0;  // largest over mean load of a rank: mean and worst of the layers
  std::vector<double> of_layer;
};
LoadRecount recount_load(const ExpertMapOnRanks& map, const std::vector<std::vector<double>>& load,
                         bool copies_evenly);

struct BalancednessRecount {
  double mean = 0, p95 = 0;
  size_t steps = 0;
};
BalancednessRecount recount_balancedness(const ExpertMapOnRanks& map, const RoutingPart& part);

struct CrossingRecount {
  double total = 0, gpu = 0, node = 0, cost = 0;  // shares of transitions; cost per transition
};
CrossingRecount recount_crossings(const ExpertMapOnRanks& map, const RoutingPart& part);

struct BytesRecount {
  double total = 0, network = 0, distinct_ranks = 0;
  size_t tokens = 0;
};
// dispatch: home, stay, naive or replicated.
BytesRecount recount_bytes(const ExpertMapOnRanks& map, const RoutingPart& part, const std::string& dispatch,
                           double bytes_per_vector);

}  // namespace orrery::study
