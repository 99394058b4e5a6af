// The plans that others make, for starts and for comparison.
#pragma once

#include <span>

#include "orrery/base/run_context.h"
#include "orrery/place/experts_plan.h"

namespace orrery::place {

// What engines do when nothing is asked: expert e on rank e / (E / ranks). Where E does not divide, or extra
// slots are asked, the surplus slots repeat experts from the first on (SGLang's trivial map).
ExpertPlan contiguous_plan(const trace::RoutingProfile& profile, int ranks, int slots);
ExpertPlan random_plan(const trace::RoutingProfile& profile, int ranks, Seed seed);

// Longest processing time first: experts by falling load, each to the lightest rank with a free slot. With
// several profiles, the load is the largest relative one.
ExpertPlan lpt_plan(std::span<const trace::RoutingProfile* const> profiles, int ranks);

// DeepSeek's EPLB, slot for slot with a stable sort and lowest index on ties: groups packed to nodes, copies
// given to the heaviest expert per copy, copies packed to ranks. weight: [layer][expert].
std::vector<std::vector<int>> eplb(const std::vector<std::vector<double>>& weight, int slots, int groups,
                                   int nodes, int ranks);
ExpertPlan eplb_plan(const trace::RoutingProfile& profile, const RankGrid& grid, int slots, int groups = 1);

// MoETuner's two stages by exact means where links are uniform: clusters for balance (LPT), then clusters to
// ranks layer by layer by the matching that keeps the most transitions. With two levels, clusters are
// matched to ranks against the previous layer by least cost.
ExpertPlan two_stage_plan(std::span<const trace::RoutingProfile* const> profiles, const RankGrid& grid);
// The same with given clusters: cluster_of[layer][expert].
ExpertPlan match_clusters(const std::vector<std::vector<int>>& cluster_of,
                          const trace::RoutingProfile& profile, const RankGrid& grid);

}  // namespace orrery::place
