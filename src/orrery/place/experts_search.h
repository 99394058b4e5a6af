// Where experts go: the joint planner, and what a plan of its kind can reach at best.
//
// `stay` minimizes crossings of transitions (a token stays where its last expert is), `home` the distinct
// ranks that a token's choices lie on (it returns after each layer, so transitions play no role), `naive` and
// `replicated` the largest load only: no placement changes their traffic.
#pragma once

#include <optional>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/place/experts_plan.h"
#include "orrery/solve/coupled_layers.h"
#include "orrery/solve/search_result.h"

namespace orrery::place {

enum class Dispatch : uint8_t { Home, Stay, Naive, Replicated };
const char* name(Dispatch dispatch);

struct ExpertProblem {
  std::vector<const trace::RoutingProfile*> profiles;  // the cap holds for each; traffic is their mean
  RankGrid grid;
  Dispatch dispatch = Dispatch::Home;
  int groups = 1;           // of consecutive experts, as many each, that lie whole on a node; 1: free
  int slots = 0;            // a layer; 0 = as many as experts
  double max_load = 1.05;   // of the mean load; where LPT itself is above, LPT's largest load
  bool cap_of_lpt = false;  // the cap is LPT's largest load, exactly
  bool exact = true;        // the chain program where placements are few; off for its own test
  // Waiting for the fullest rank, step by step, against traffic: one percent of the one is worth
  // `balance_weight` percent of the other, both of what LPT has. Absent: the least weight that is as balanced
  // as LPT on steps that were not planned on (choose_balance). Without steps it plays no role.
  std::optional<double> balance_weight;
  size_t most_steps = 128;  // steps that are weighed; of more, as many evenly spread ones
  double sweeps = 8000;     // of annealing, over all restarts
  int restarts = 8;
  bool bound = true;
  Seconds bound_time{3};
  int cut_rounds = 0;
};

// objective and bound are per transition (`stay`, by the grid's costs), distinct ranks per token and layer
// (`home`) or mean max/mean load (`naive`, `replicated`). Throws InputError for what cannot be planned:
// experts that do not divide over ranks without extra slots, traffic asked of counts under `home`.
struct ExpertSearch : solve::SearchResult<ExpertPlan> {
  double balance_weight = 0;  // that the plan was made with
};
ExpertSearch plan_experts(const ExpertProblem& problem, const RunContext& context);

// The chain that `stay` is planned and bounded on, scaled so that its cost is Σ over layer steps of the cost
// per transition; and plans as its placements.
solve::CoupledLayers coupled_problem(const ExpertProblem& problem);
solve::Placement placement_of(const ExpertPlan& plan);
ExpertPlan plan_of(const solve::Placement& placement, const trace::RoutingProfile& profile, int ranks);

// θ by optimal split kept least: copies placed so that more slots never raise it and EPLB's is never lower.
ExpertPlan replicate_experts(const trace::RoutingProfile& profile, const RankGrid& grid, int slots);

// The plan that lowers the largest loads of `current` most under a new profile with at most `most_moved`
// experts fetched by a rank that has not held them, over all layers. Swaps, the most relief first.
ExpertPlan rebalance_experts(const ExpertPlan& current, const trace::RoutingProfile& profile,
                             size_t most_moved);

// The same plan with ranks renamed to keep most experts where they are: nodes as wholes and ranks within
// them, layer by layer, or with one name for all layers where transitions count (`together`).
ExpertPlan relabel_ranks(const ExpertPlan& plan, const ExpertPlan& current, const RankGrid& grid,
                         bool together);

}  // namespace orrery::place
