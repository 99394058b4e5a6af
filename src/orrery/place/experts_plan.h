// Which expert lies on which rank: the value that a planner makes and an engine loads, and what it is worth
// on a profile. Nothing here searches.
//
// A layer has ranks · slots_per_rank slots; slot s lies on rank s / slots_per_rank. An expert may hold
// several slots (copies), never two on one rank; every expert holds one at least.
#pragma once

#include <string>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/trace/expert_map.h"
#include "orrery/trace/routing.h"

namespace orrery::place {

// Ranks that hold experts, in nodes of equal size. Costs are those of a byte inside and between nodes.
struct RankGrid {
  int ranks = 1, ranks_per_node = 1;
  double inside = 1, between = 1;  // relative cost of a crossing; equal = uniform links
  int nodes() const { return ranks / ranks_per_node; }
  double distance(int g, int h) const {
    return g == h ? 0 : g / ranks_per_node == h / ranks_per_node ? inside : between;
  }
};

struct ExpertPlan {
  int experts = 0, ranks = 0;
  std::vector<int> layer_ids;
  std::vector<std::vector<int>> slot_to_expert;  // [layer][slot]
  std::string planner;                           // "contiguous", "lpt", "eplb", "two-stage", "joint", ...

  int layers() const { return static_cast<int>(layer_ids.size()); }
  int slots() const { return slot_to_expert.empty() ? 0 : static_cast<int>(slot_to_expert[0].size()); }
  int slots_per_rank() const { return slots() / ranks; }
  // Ranks of each expert of a layer, rising.
  std::vector<std::vector<int>> ranks_of(int layer) const;
};

// What is wrong with a plan as a sentence, empty when it is valid: every expert placed, ids in range, equal
// slots a rank, no two copies on one rank.
std::string plan_fault(const ExpertPlan& plan);

// --- What it is worth

enum class Split { Equal, Optimal };  // tokens of an expert over its copies: evenly, or as evens the ranks

struct LoadFigures {
  std::vector<double> max_over_mean;           // [layer]
  std::vector<std::vector<double>> rank_load;  // [layer][rank], tokens
  double mean = 1, worst = 1;                  // of max_over_mean over layers
};
LoadFigures load_figures(const ExpertPlan& plan, const trace::RoutingProfile& profile,
                         Split split = Split::Equal);

// Balance as it is waited for: mean load over largest load, step by step and layer by layer, weighted alike.
struct Balancedness {
  double mean = 1;
  double p95 = 1;  // 95 % of steps and layers are at least so balanced
  size_t steps = 0;
};
// [step * layers + layer]: mean load over largest load.
std::vector<double> step_balance(const ExpertPlan& plan, const trace::RoutingProfile& profile);
Balancedness balancedness(const ExpertPlan& plan, const trace::RoutingProfile& profile);

// Transitions between experts of adjacent layers, under the assumption that a token stays where its expert
// is; a token prefers a copy on the rank where it stands.
struct CrossingFigures {
  double total = 0;       // transitions, Σ W
  double cross_gpu = 0;   // share that leaves the rank
  double cross_node = 0;  // share that leaves the node
  double cost = 0;        // Σ W d / Σ W, by the grid's costs
};
CrossingFigures crossing_figures(const ExpertPlan& plan, const trace::RoutingProfile& profile,
                                 const RankGrid& grid);

// Experts whose weights a rank must fetch to go from one plan to another, over all layers.
size_t moved_experts(const ExpertPlan& from, const ExpertPlan& to);

// --- On disk

std::string plan_map_json(
    const ExpertPlan& plan);  // {"physical_to_logical_map": [[...]]}: SGLang, --init-expert-location
// Reads that form (layers 0 .. L−1 unless the file names layer_ids) or a bare list of lists (vLLM's proposal
// vllm-project/vllm#49572). Throws InputError at the place of what is wrong.
// The same map as a value of `trace`, which writes and reads every engine's form; layers are those of `like`.
// Throws InputError where the map does not fit `like`'s experts and layers on so many ranks.
trace::ExpertMap map_of(const ExpertPlan& plan);
ExpertPlan read_current_map(const std::string& path, const trace::RoutingProfile& like, int ranks);
ExpertPlan read_plan_map(const std::string& path, int ranks);
ExpertPlan plan_of_map(const Node& map, int ranks);

}  // namespace orrery::place
