#include "orrery/place/experts_groups.h"

#include <fmt/format.h>

#include <algorithm>

#include "orrery/base/error.h"
#include "orrery/base/threads.h"
#include "orrery/base/time_budget.h"
#include "orrery/place/experts_balance.h"
#include "orrery/place/experts_baselines.h"
#include "orrery/place/experts_chain.h"
#include "orrery/solve/coupled_exact.h"
#include "orrery/solve/coupled_relabel.h"

namespace orrery::place {
namespace {

using Pairs = std::vector<std::vector<float>>;

// Items of a smaller problem: to which each expert of a layer belongs, −1 where it takes no part.
struct Selection {
  int items = 0;
  std::vector<std::vector<int>> item_of;  // [layer][expert]
};

// The experts of a group as one.
Selection by_group(const ExpertProblem& problem) {
  const trace::RoutingProfile& first = *problem.profiles[0];
  Selection selection{problem.groups, {}};
  std::vector<int> group(static_cast<size_t>(first.experts));
  for (int e = 0; e < first.experts; ++e)
    group[static_cast<size_t>(e)] = e / (first.experts / problem.groups);
  selection.item_of.assign(first.layer_ids.size(), group);
  return selection;
}

// The experts of a node in rising order.
Selection on_node(const ExpertProblem& problem, const solve::Placement& node_of_group, int node) {
  const trace::RoutingProfile& first = *problem.profiles[0];
  const int in_group = first.experts / problem.groups;
  Selection selection{first.experts / problem.grid.nodes(), {}};
  for (const std::vector<int>& nodes : node_of_group) {
    std::vector<int>& item_of = selection.item_of.emplace_back(static_cast<size_t>(first.experts), -1);
    int next = 0;
    for (int e = 0; e < first.experts; ++e) {
      if (nodes[static_cast<size_t>(e / in_group)] == node) item_of[static_cast<size_t>(e)] = next++;
    }
  }
  return selection;
}

std::vector<float> selected_pairs(const std::vector<float>& pairs, const std::vector<int>& rows,
                                  const std::vector<int>& columns, int items) {
  const auto n = static_cast<size_t>(items);
  std::vector<double> sum(n * n, 0);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0) continue;
    for (size_t j = 0; j < columns.size(); ++j) {
      if (columns[j] >= 0)
        sum[static_cast<size_t>(rows[i]) * n + static_cast<size_t>(columns[j])] +=
            static_cast<double>(pairs[i * columns.size() + j]);
    }
  }
  return {sum.begin(), sum.end()};
}

// Loads, transitions and steps of the items; tokens do not carry over.
trace::RoutingProfile selected(const trace::RoutingProfile& whole, const Selection& selection) {
  trace::RoutingProfile part;
  part.name = whole.name;
  part.experts = selection.items;
  part.top_k = whole.top_k;
  part.rule = whole.rule;
  part.layer_ids = whole.layer_ids;
  part.step_tokens = whole.step_tokens;
  const auto items = static_cast<size_t>(selection.items), experts = static_cast<size_t>(whole.experts);
  for (size_t l = 0; l < whole.load.size(); ++l) {
    std::vector<double>& load = part.load.emplace_back(items, 0);
    for (size_t e = 0; e < experts; ++e) {
      if (selection.item_of[l][e] >= 0)
        load[static_cast<size_t>(selection.item_of[l][e])] += whole.load[l][e];
    }
  }
  for (size_t l = 0; l < whole.transition.size(); ++l)
    part.transition.push_back(
        selected_pairs(whole.transition[l], selection.item_of[l], selection.item_of[l + 1], selection.items));
  for (const std::vector<float>& step : whole.steps) {
    std::vector<float>& of_part = part.steps.emplace_back(items * whole.load.size(), 0.F);
    for (size_t l = 0; l < whole.load.size(); ++l) {
      for (size_t e = 0; e < experts; ++e) {
        if (selection.item_of[l][e] >= 0)
          of_part[l * items + static_cast<size_t>(selection.item_of[l][e])] += step[l * experts + e];
      }
    }
  }
  return part;
}

// A problem over the items of a selection on places that are alike. It holds the profiles that the problem
// points to, so it is not copied.
struct Part {
  Part(const ExpertProblem& whole, const Selection& chosen, int places) : problem(whole), selection(chosen) {
    for (const trace::RoutingProfile* profile : whole.profiles)
      profiles.push_back(selected(*profile, selection));
    problem.profiles.clear();
    for (const trace::RoutingProfile& profile : profiles) problem.profiles.push_back(&profile);
    problem.grid = {places, places, 1, 1};
    problem.groups = 1;
    problem.slots = 0;
    problem.bound = false;
    lpt = placement_of(lpt_plan(problem.profiles, places));
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  int places() const { return problem.grid.ranks; }

  ExpertProblem problem;
  Selection selection;
  std::vector<trace::RoutingProfile> profiles;
  solve::Placement lpt;
};

solve::CoupledLayers chain_of(const Part& part, const LoadCaps& caps, const Pairs& pairs) {
  solve::CoupledLayers chain;
  chain.places = part.places();
  chain.levels = {{1, 1}};
  chain.items.assign(part.lpt.size(), part.selection.items);
  for (size_t l = 0; l < pairs.size(); ++l)
    chain.coupling.push_back(selected_pairs(pairs[l], part.selection.item_of[l],
                                            part.selection.item_of[l + 1], part.selection.items));
  for (const trace::RoutingProfile& profile : part.profiles) chain.load.push_back(profile.load);
  chain.cap = caps;
  chain.finish();
  return chain;
}

solve::Placement place_chain(const Part& part, const LoadCaps& caps, const Pairs& pairs,
                             const RunContext& context) {
  solve::CoupledLayers chain = chain_of(part, caps, pairs);
  weigh_balance(chain, part.problem, part.lpt);
  const std::vector<int> room(static_cast<size_t>(part.places()), part.selection.items / part.places());
  if (part.problem.exact && solve::count_placements(part.selection.items, room) <= kMostListed) {
    if (auto optimum = solve::solve_coupled_exact(chain, room, context)) return std::move(optimum->placement);
  }
  return anneal_chain(chain, part.lpt, part.problem, TimeBudget(context)).placement;
}

solve::Placement place_layers(const Part& part, const LoadCaps& caps, const Pairs& pairs,
                              const RunContext& context) {
  solve::Placement placement(part.lpt.size());
  const std::vector<solve::Scenarios> scenarios = step_scenarios(part.problem);
  const RunContext of_layer = TimeBudget(context).each_of(placement.size());
  parallel_for(placement.size(), 1, context.threads, [&](size_t begin, size_t end, size_t) {
    for (size_t l = begin; l < end; ++l) {
      solve::AffinityProblem layer;
      layer.places = part.places();
      layer.levels = {{1, 1}};
      layer.affinity = selected_pairs(pairs[l], part.selection.item_of[l], part.selection.item_of[l],
                                      part.selection.items);
      for (size_t p = 0; p < part.profiles.size(); ++p) {
        layer.load.push_back(part.profiles[p].load[l]);
        layer.cap.push_back(caps[p][l]);
      }
      RunContext own = of_layer;
      own.seed = context.seed.derive(l);
      placement[l] = anneal_layer(std::move(layer), scenarios[l], part.lpt[l], part.problem, own);
    }
  });
  return placement;
}

solve::Placement place(const Part& part, const LoadCaps& caps, const Pairs& pairs,
                       const RunContext& context) {
  const Dispatch dispatch = part.problem.dispatch;
  if (!pairs.empty())
    return dispatch == Dispatch::Stay ? place_chain(part, caps, pairs, context)
                                      : place_layers(part, caps, pairs, context);
  ExpertProblem balance = part.problem;
  balance.dispatch = Dispatch::Naive;
  balance.balance_weight = part.problem.balance_weight.value_or(0);
  return placement_of(*plan_experts(balance, context).best);
}

// What a node may carry. A rank's cap leaves room above the mean; a node takes half of that, so that its
// ranks have the other half, and LPT's load where it is above.
LoadCaps node_caps(const ExpertProblem& problem, const LoadCaps& caps, const Part& groups) {
  LoadCaps result = caps;
  for (size_t p = 0; p < caps.size(); ++p) {
    const int nodes = problem.grid.nodes();
    for (size_t l = 0; l < caps[p].size(); ++l) {
      std::vector<double> of_lpt(static_cast<size_t>(nodes), 0);
      for (size_t q = 0; q < groups.lpt[l].size(); ++q)
        of_lpt[static_cast<size_t>(groups.lpt[l][q])] += groups.profiles[p].load[l][q];
      const double mean = problem.profiles[p]->total(static_cast<int>(l)) / nodes,
                   asked = caps[p][l] * problem.grid.ranks_per_node;
      result[p][l] = std::max(.5 * (mean + asked), *std::max_element(of_lpt.begin(), of_lpt.end()));
    }
  }
  return result;
}

// Experts on ranks, from those of each node on its own ranks.
class Assembly {
 public:
  explicit Assembly(const ExpertProblem& problem)
      : first_(*problem.profiles[0]), per_node_(problem.grid.ranks_per_node) {
    placement_.assign(first_.layer_ids.size(), std::vector<int>(static_cast<size_t>(first_.experts), 0));
  }
  void add(int node, const Selection& selection, const solve::Placement& inside) {
    for (size_t l = 0; l < placement_.size(); ++l) {
      for (size_t e = 0; e < placement_[l].size(); ++e) {
        const int item = selection.item_of[l][e];
        if (item >= 0) placement_[l][e] = node * per_node_ + inside[l][static_cast<size_t>(item)];
      }
    }
  }
  ExpertPlan plan(int ranks) const { return plan_of(placement_, first_, ranks); }

 private:
  const trace::RoutingProfile& first_;
  int per_node_;
  solve::Placement placement_;
};

ExpertPlan place_inside(const ExpertProblem& problem, const solve::Placement& split, const LoadCaps& caps,
                        const Pairs& pairs, const RunContext& context) {
  const TimeBudget budget(context);
  Assembly assembly(problem);
  const int nodes = problem.grid.nodes();
  for (int node = 0; node < nodes; ++node) {
    const Part part(problem, on_node(problem, split, node), problem.grid.ranks_per_node);
    RunContext own = budget.part(1. / (nodes - node));
    own.seed = context.seed.derive(static_cast<uint64_t>(node));
    assembly.add(node, part.selection, place(part, caps, pairs, own));
  }
  return assembly.plan(problem.grid.ranks);
}

// Layers in which a rank is above its cap take LPT's split, whose nodes are then named as suits the layers
// beside. True where one did.
bool take_split_of_lpt(const ExpertProblem& problem, const ExpertPlan& plan, const LoadCaps& caps,
                       const Pairs& pairs, const Part& groups, solve::Placement& split) {
  bool changed = false;
  for (size_t p = 0; p < caps.size(); ++p) {
    const LoadFigures figures = load_figures(plan, *problem.profiles[p]);
    for (size_t l = 0; l < split.size(); ++l) {
      const std::vector<double>& loads = figures.rank_load[l];
      if (*std::max_element(loads.begin(), loads.end()) <= caps[p][l] * (1 + 1e-9) ||
          split[l] == groups.lpt[l])
        continue;
      split[l] = groups.lpt[l];
      changed = true;
    }
  }
  if (changed && problem.dispatch == Dispatch::Stay && !pairs.empty())
    solve::relabel_suffixes(chain_of(groups, caps, pairs), split);
  return changed;
}

}  // namespace

bool groups_matter(const ExpertProblem& problem) {
  return problem.groups > 1 && problem.grid.nodes() > 1;
}

void check_groups(const ExpertProblem& problem) {
  const int experts = problem.profiles[0]->experts, nodes = problem.grid.nodes();
  if (problem.groups < 1 || experts % problem.groups != 0)
    throw InputError(fmt::format("{} experts do not divide into {} groups; expected a divisor of {}", experts,
                                 problem.groups, experts));
  if (groups_matter(problem) && problem.groups % nodes != 0)
    throw InputError(
        fmt::format("{} groups of experts do not divide over {} nodes, so none can hold its groups whole; "
                    "expected a multiple of {} groups, or plan without them",
                    problem.groups, nodes, nodes));
}

ExpertPlan lpt_keeping_groups(const ExpertProblem& problem) {
  if (!groups_matter(problem)) return lpt_plan(problem.profiles, problem.grid.ranks);
  const Part groups(problem, by_group(problem), problem.grid.nodes());
  Assembly assembly(problem);
  for (int node = 0; node < problem.grid.nodes(); ++node) {
    const Part part(problem, on_node(problem, groups.lpt, node), problem.grid.ranks_per_node);
    assembly.add(node, part.selection, part.lpt);
  }
  ExpertPlan plan = assembly.plan(problem.grid.ranks);
  plan.planner = "lpt";
  return plan;
}

ExpertPlan plan_keeping_groups(const ExpertProblem& problem, const LoadCaps& caps, const Pairs& pairs,
                               const RunContext& context) {
  const TimeBudget budget(context);
  const Part groups(problem, by_group(problem), problem.grid.nodes());
  solve::Placement split = place(groups, node_caps(problem, caps, groups), pairs, budget.part(.2));
  ExpertPlan plan = place_inside(problem, split, caps, pairs, budget.part(.5));
  if (take_split_of_lpt(problem, plan, caps, pairs, groups, split))
    plan = place_inside(problem, split, caps, pairs, budget.part(1));
  return plan;
}

ExpertPlan copies_keeping_groups(const ExpertProblem& problem) {
  const int nodes = problem.grid.nodes(), per_node = problem.grid.ranks_per_node;
  const Part groups(problem, by_group(problem), nodes);
  const solve::Placement split = place(groups, {}, {}, {});
  ExpertPlan plan = plan_of({}, *problem.profiles[0], problem.grid.ranks);
  plan.slot_to_expert.resize(split.size());
  for (int node = 0; node < nodes; ++node) {
    const Selection selection = on_node(problem, split, node);
    const ExpertPlan inside = replicate_experts(selected(*problem.profiles[0], selection),
                                                {per_node, per_node, 1, 1}, problem.slots / nodes);
    for (size_t l = 0; l < split.size(); ++l) {
      std::vector<int> expert_of(static_cast<size_t>(selection.items));
      for (size_t e = 0; e < selection.item_of[l].size(); ++e) {
        if (selection.item_of[l][e] >= 0)
          expert_of[static_cast<size_t>(selection.item_of[l][e])] = static_cast<int>(e);
      }
      for (int item : inside.slot_to_expert[l])
        plan.slot_to_expert[l].push_back(expert_of[static_cast<size_t>(item)]);
    }
  }
  return plan;
}

std::string group_fault(const ExpertPlan& plan, int groups, const RankGrid& grid) {
  const int in_group = plan.experts / groups;
  for (int l = 0; l < plan.layers(); ++l) {
    std::vector<int> node_of(static_cast<size_t>(groups), -1);
    const auto ranks = plan.ranks_of(l);
    for (int e = 0; e < plan.experts; ++e) {
      int& node = node_of[static_cast<size_t>(e / in_group)];
      for (int rank : ranks[static_cast<size_t>(e)]) {
        if (node >= 0 && node != rank / grid.ranks_per_node)
          return fmt::format("layer {}: group {} lies on nodes {} and {}", l, e / in_group, node,
                             rank / grid.ranks_per_node);
        node = rank / grid.ranks_per_node;
      }
    }
  }
  return {};
}

}  // namespace orrery::place
