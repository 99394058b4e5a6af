// Group-limited routing (DeepSeek-V2 and V3): experts come in groups of consecutive numbers, and a token
// chooses from at most M of them. Where every group lies whole on a node, a token leaves for at most M nodes.
//
// A map that keeps groups whole is made from outside in: first groups to nodes, as few crossings between
// nodes as the load of nodes allows, then the experts of each node to its ranks. What crosses nodes does so
// whatever the ranks, so the nodes of a split are independent of each other.
#pragma once

#include <vector>

#include "orrery/place/experts_caps.h"
#include "orrery/place/experts_search.h"

namespace orrery::place {

// Whether groups limit the map at all: one node holds every group whole.
bool groups_matter(const ExpertProblem& problem);

// Throws InputError where experts do not divide into the groups, or the groups over nodes.
void check_groups(const ExpertProblem& problem);

// LPT's map, its groups first to nodes where they matter: what every plan is measured against.
ExpertPlan lpt_keeping_groups(const ExpertProblem& problem);

// `pairs`: under `stay` the coupling of each layer step, under `home` the affinity of each layer, over all
// experts; unused (empty) where only balance counts. Caps are those of a rank; a layer whose split leaves a
// rank above its cap takes LPT's split.
ExpertPlan plan_keeping_groups(const ExpertProblem& problem, const LoadCaps& caps,
                               const std::vector<std::vector<float>>& pairs, const RunContext& context);

// Copies lie on their expert's node too; as many slots on every node.
ExpertPlan copies_keeping_groups(const ExpertProblem& problem);

// The first group that lies on more than one node, as a sentence; empty when all are whole.
std::string group_fault(const ExpertPlan& plan, int groups, const RankGrid& grid);

}  // namespace orrery::place
