#include "orrery/place/experts_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "orrery/base/threads.h"
#include "orrery/base/time_budget.h"
#include "orrery/place/experts_balance.h"
#include "orrery/place/experts_baselines.h"
#include "orrery/place/experts_caps.h"
#include "orrery/place/experts_chain.h"
#include "orrery/place/experts_groups.h"
#include "orrery/place/experts_home_bound.h"
#include "orrery/solve/affinity_groups.h"
#include "orrery/solve/coupled_bound.h"
#include "orrery/solve/coupled_exact.h"
#include "orrery/solve/coupled_relabel.h"

namespace orrery::place {

const char* name(Dispatch dispatch) {
  switch (dispatch) {
    case Dispatch::Home:
      return "home";
    case Dispatch::Stay:
      return "stay";
    case Dispatch::Naive:
      return "naive";
    case Dispatch::Replicated:
      return "replicated";
  }
  return "";
}

solve::Placement placement_of(const ExpertPlan& plan) {
  solve::Placement placement;
  for (int l = 0; l < plan.layers(); ++l) {
    placement.emplace_back();
    for (const std::vector<int>& ranks : plan.ranks_of(l)) placement.back().push_back(ranks[0]);
  }
  return placement;
}

ExpertPlan plan_of(const solve::Placement& placement, const trace::RoutingProfile& profile, int ranks) {
  ExpertPlan plan;
  plan.experts = profile.experts;
  plan.ranks = ranks;
  plan.layer_ids = profile.layer_ids;
  plan.planner = "joint";
  for (const std::vector<int>& place : placement) {
    plan.slot_to_expert.emplace_back();
    for (int g = 0; g < ranks; ++g) {
      for (size_t e = 0; e < place.size(); ++e) {
        if (place[e] == g) plan.slot_to_expert.back().push_back(static_cast<int>(e));
      }
    }
  }
  return plan;
}

namespace {

std::vector<solve::DistanceLevel> levels_of(const RankGrid& grid) {
  std::vector<solve::DistanceLevel> levels{{1, grid.inside}};
  if (grid.nodes() > 1 && grid.between > grid.inside)
    levels.push_back({grid.ranks_per_node, grid.between - grid.inside});
  return levels;
}

constexpr const char* kRaised = " (raised to what this plan carries where it is above)";

class Planner {
 public:
  Planner(const ExpertProblem& problem, const RunContext& context)
      : problem_(problem),
        context_(context),
        budget_(context),
        profile_(*problem.profiles[0]),
        lpt_(lpt_keeping_groups(problem)) {}

  solve::SearchResult<ExpertPlan> stay() {
    solve::CoupledLayers chain = coupled_problem(problem_);
    weigh_balance(chain, problem_, placement_of(lpt_));
    const double steps = std::max<double>(1, static_cast<double>(chain.coupling.size()));
    solve::SearchResult<ExpertPlan> result;
    const std::vector<int> room(static_cast<size_t>(problem_.grid.ranks),
                                profile_.experts / problem_.grid.ranks);
    const double states = solve::count_placements(profile_.experts, room);
    if (problem_.exact && states <= kMostListed) {
      if (auto optimum = solve::solve_coupled_exact(chain, room, context_)) {
        result.best = plan_of(optimum->placement, profile_, problem_.grid.ranks);
        result.objective = result.bound = solve::crossing_cost(chain, optimum->placement) / steps;
        result.stop = solve::Stop::Proven;
        if (chain.waiting > 0) {  // the best of traffic and waiting; the bound is of traffic alone
          chain.waiting = 0;
          if (const auto least = solve::solve_coupled_exact(chain, room, context_))
            result.bound = least->cost / steps;
          result.stop = solve::Stop::WorkLimit;
        }
        result.evaluations = static_cast<uint64_t>(states * states * steps);
        result.proven_over = fmt::format(
            "all {:.0f} placements a layer within the load cap, transitions of the profile", states);
        return result;
      }
    }
    anneal(chain, result);
    result.objective /= steps;
    return result;
  }

  // A lower bound beside a plan; those that were proven already keep theirs.
  void add_bound(solve::SearchResult<ExpertPlan>& result) const {
    if (!result.proven_over.empty()) return;
    if (problem_.dispatch == Dispatch::Stay) {
      solve::CoupledLayers chain = coupled_problem(problem_);
      const double steps = std::max<double>(1, static_cast<double>(chain.coupling.size()));
      const bool raised = raise_caps(chain.cap, problem_, *result.best);
      const double bound = solve::coupled_lower_bound(
          chain, {.limit = problem_.bound_time, .cut_rounds = problem_.cut_rounds}, context_);
      result.bound = bound / steps;
      result.proven_over =
          fmt::format("all placements of {} experts a rank within the load cap{}, transitions of the profile",
                      profile_.experts / problem_.grid.ranks, raised ? kRaised : "");
      return;
    }
    LoadCaps caps = load_caps(problem_, lpt_);
    const bool raised = raise_caps(caps, problem_, *result.best);
    bound_home(caps, result);
    result.proven_over = fmt::format(
        "all placements of {} experts a rank within the load cap{}, tokens of the profile; "
        "traffic alone",
        profile_.experts / problem_.grid.ranks, raised ? kRaised : "");
  }

  solve::SearchResult<ExpertPlan> home() {
    const LoadCaps caps = load_caps(problem_, lpt_);
    const solve::Placement start = placement_of(lpt_);
    solve::Placement best(start.size());
    const std::vector<std::vector<float>> together = chosen_together();
    const std::vector<solve::Scenarios> scenarios = step_scenarios(problem_);
    const RunContext of_layer = budget_.each_of(start.size());
    parallel_for(start.size(), 1, context_.threads, [&](size_t begin, size_t end, size_t) {
      for (size_t l = begin; l < end; ++l) {
        solve::AffinityProblem affinity;
        affinity.places = problem_.grid.ranks;
        affinity.levels = levels_of(problem_.grid);
        affinity.affinity = together[l];
        for (size_t p = 0; p < problem_.profiles.size(); ++p) {
          affinity.load.push_back(problem_.profiles[p]->load[l]);
          affinity.cap.push_back(caps[p][l]);
        }
        RunContext part = of_layer;
        part.seed = context_.seed.derive(l);
        best[l] = anneal_layer(std::move(affinity), scenarios[l], start[l], problem_, part);
      }
    });
    const bool cut = budget_.spent();
    solve::SearchResult<ExpertPlan> result;
    result.best = plan_of(best, profile_, problem_.grid.ranks);
    result.objective = distinct_ranks(best);
    result.stop = stopped(cut);
    return result;
  }

  solve::SearchResult<ExpertPlan> balance() {
    solve::SearchResult<ExpertPlan> result;
    result.best = lpt_;
    // Swaps that relieve the heaviest rank close what LPT leaves open.
    if (problem_.profiles.size() == 1)
      result.best = rebalance_experts(*result.best, profile_, std::numeric_limits<size_t>::max());
    if (problem_.balance_weight.value_or(0) > 0) level_steps(*result.best);
    result.best->planner = "joint";
    judge_balance(result);
    return result;
  }

  // A map with every group whole on a node; the bound of all maps holds for it too.
  solve::SearchResult<ExpertPlan> in_groups() {
    solve::SearchResult<ExpertPlan> result;
    std::vector<std::vector<float>> pairs;
    const bool stay = problem_.dispatch == Dispatch::Stay && profile_.layers() > 1,
               home = problem_.dispatch == Dispatch::Home;
    if (stay) pairs = coupled_problem(problem_).coupling;
    if (home) pairs = chosen_together();
    result.best = plan_keeping_groups(problem_, load_caps(problem_, lpt_), pairs, budget_.part(1));
    result.stop = stopped(budget_.spent());
    if (stay) {
      const solve::CoupledLayers chain = coupled_problem(problem_);
      result.objective = solve::crossing_cost(chain, placement_of(*result.best)) /
                         static_cast<double>(chain.coupling.size());
    } else if (home) {
      result.objective = distinct_ranks(placement_of(*result.best));
    } else {
      judge_balance(result);
    }
    return result;
  }

 private:
  void judge_balance(solve::SearchResult<ExpertPlan>& result) const {
    for (const trace::RoutingProfile* profile : problem_.profiles)
      result.objective = std::max(result.objective, load_figures(*result.best, *profile).mean);
    double bound = 0;
    for (int l = 0; l < profile_.layers(); ++l) {
      const auto& load = profile_.load[static_cast<size_t>(l)];
      const double mean = std::max(1e-300, profile_.total(l) / problem_.grid.ranks);
      bound += std::max(1.0, *std::max_element(load.begin(), load.end()) / mean) / profile_.layers();
    }
    result.bound = bound;
    result.stop = result.objective <= bound * (1 + 1e-9) ? solve::Stop::Proven : solve::Stop::WorkLimit;
    result.proven_over = "all placements without copies: the mean load, and the busiest expert";
  }

  // Swaps that lower the fullest rank step by step, within the caps.
  void level_steps(ExpertPlan& plan) const {
    const std::vector<solve::Scenarios> scenarios = step_scenarios(problem_);
    const LoadCaps caps = load_caps(problem_, lpt_);
    solve::Placement placement = placement_of(plan);
    const auto experts = static_cast<size_t>(profile_.experts);
    const RunContext of_layer = TimeBudget(context_).each_of(placement.size());
    parallel_for(placement.size(), 1, context_.threads, [&](size_t begin, size_t end, size_t) {
      for (size_t l = begin; l < end; ++l) {
        if (scenarios[l].count() == 0) continue;
        solve::AffinityProblem affinity;
        affinity.places = problem_.grid.ranks;
        affinity.affinity.assign(experts * experts, 0.F);
        affinity.scenarios = &scenarios[l];
        affinity.waiting = 1;
        for (size_t p = 0; p < problem_.profiles.size(); ++p) {
          affinity.load.push_back(problem_.profiles[p]->load[l]);
          affinity.cap.push_back(caps[p][l]);
        }
        RunContext part = of_layer;
        part.seed = context_.seed.derive(l);
        placement[l] = solve::anneal_affinity(affinity, placement[l], problem_.sweeps / 64, part);
      }
    });
    plan = plan_of(placement, profile_, problem_.grid.ranks);
  }

  void anneal(const solve::CoupledLayers& chain, solve::SearchResult<ExpertPlan>& result) {
    const solve::AnnealResult found = anneal_chain(chain, placement_of(two_stage_start()), problem_, budget_);
    result.evaluations += found.proposals;
    result.best = plan_of(found.placement, profile_, problem_.grid.ranks);
    result.objective = solve::crossing_cost(chain, found.placement);
    result.stop = stopped(found.cut);
  }

  solve::Stop stopped(bool cut) const {
    return context_.stop.stop_requested() ? solve::Stop::Interrupted
           : cut                          ? solve::Stop::TimeLimit
                                          : solve::Stop::WorkLimit;
  }

  ExpertPlan two_stage_start() const { return two_stage_plan(problem_.profiles, problem_.grid); }

  // coactivation() of all profiles together.
  std::vector<std::vector<float>> chosen_together() const {
    std::vector<std::vector<float>> sum;
    for (const trace::RoutingProfile* profile : problem_.profiles) {
      auto of_profile = trace::coactivation(*profile->tokens);
      if (sum.empty()) {
        sum = std::move(of_profile);
        continue;
      }
      for (size_t l = 0; l < sum.size(); ++l) {
        for (size_t k = 0; k < sum[l].size(); ++k) sum[l][k] += of_profile[l][k];
      }
    }
    return sum;
  }

  void bound_home(const LoadCaps& caps, solve::SearchResult<ExpertPlan>& result) const {
    std::vector<std::vector<float>> together = chosen_together();
    double tokens = 0;
    for (const trace::RoutingProfile* profile : problem_.profiles)
      tokens += static_cast<double>(profile->tokens->tokens());
    std::vector<double> bound(together.size());
    parallel_for(together.size(), 1, context_.threads, [&](size_t begin, size_t end, size_t) {
      for (size_t l = begin; l < end; ++l) {
        CompanionLayer layer{profile_.experts,
                             problem_.grid.ranks,
                             profile_.tokens->top_k,
                             tokens,
                             std::move(together[l]),
                             {},
                             {}};
        for (size_t p = 0; p < problem_.profiles.size(); ++p) {
          layer.load.push_back(problem_.profiles[p]->load[l]);
          layer.cap.push_back(caps[p][l]);
        }
        RunContext part = context_;
        part.threads = 1;
        bound[l] = distinct_ranks_bound(
            layer, Seconds(problem_.bound_time.value() / static_cast<double>(together.size())),
            problem_.cut_rounds, part);
      }
    });
    for (double b : bound) result.bound += b / static_cast<double>(bound.size());
  }

  double distinct_ranks(const solve::Placement& placement) const {
    double sum = 0, count = 0;
    for (const trace::RoutingProfile* profile : problem_.profiles) {
      const trace::TokenTrace& trace = *profile->tokens;
      std::vector<int> ranks(static_cast<size_t>(trace.top_k));
      for (size_t t = 0; t < trace.tokens(); ++t) {
        for (int l = 0; l < trace.layers(); ++l) {
          for (int r = 0; r < trace.top_k; ++r)
            ranks[static_cast<size_t>(r)] = placement[static_cast<size_t>(l)][trace.at(t, l)[r]];
          std::sort(ranks.begin(), ranks.end());
          sum += static_cast<double>(std::unique(ranks.begin(), ranks.end()) - ranks.begin());
          count += 1;
        }
      }
    }
    return count > 0 ? sum / count : 0;
  }

  const ExpertProblem& problem_;
  const RunContext& context_;
  TimeBudget budget_;  // of all that is annealed
  const trace::RoutingProfile& profile_;
  ExpertPlan lpt_;
};

void check(const ExpertProblem& problem) {
  check_groups(problem);
  const trace::RoutingProfile& first = *problem.profiles.at(0);
  const int ranks = problem.grid.ranks, slots = std::max(problem.slots, first.experts);
  for (const trace::RoutingProfile* profile : problem.profiles) {
    if (profile->experts != first.experts || profile->layer_ids != first.layer_ids)
      throw InputError(
          fmt::format("profile '{}' has other layers or experts than '{}'; expected profiles of one model",
                      profile->name, first.name));
    if (problem.dispatch == Dispatch::Stay && profile->transition.empty() && profile->layers() > 1)
      throw InputError(
          fmt::format("profile '{}' holds counts of experts alone, without transitions: it can claim load "
                      "only; use --dispatch naive, or record tokens",
                      profile->name));
    if (problem.dispatch == Dispatch::Home && !profile->tokens)
      throw InputError(
          fmt::format("profile '{}' has no tokens, and traffic under --dispatch home needs them (who is "
                      "chosen together); use --dispatch naive for load only, or stay",
                      profile->name));
  }
  if (slots % ranks != 0 || (slots == first.experts && first.experts % ranks != 0))
    throw InputError(
        fmt::format("{} slots do not divide over {} ranks; give --redundant {} or another number of ranks",
                    slots, ranks, (slots + ranks - 1) / ranks * ranks - first.experts));
  const int distinct = groups_matter(problem) ? first.experts / problem.grid.nodes() : first.experts;
  if (slots / ranks > distinct)
    throw InputError(
        fmt::format("{} slots a rank for {} experts that may lie on it would hold one twice; expected "
                    "--redundant {} at most",
                    slots / ranks, distinct, distinct * ranks - first.experts));
}

}  // namespace

solve::CoupledLayers coupled_problem(const ExpertProblem& problem) {
  const trace::RoutingProfile& first = *problem.profiles[0];
  solve::CoupledLayers chain;
  chain.places = problem.grid.ranks;
  chain.levels = levels_of(problem.grid);
  chain.items.assign(first.layer_ids.size(), first.experts);
  const auto cells = static_cast<size_t>(first.experts) * static_cast<size_t>(first.experts);
  for (size_t l = 0; l + 1 < first.layer_ids.size(); ++l) {
    std::vector<double> sum(cells, 0);
    for (const trace::RoutingProfile* profile : problem.profiles) {
      double total = 0;
      for (float w : profile->transition[l]) total += static_cast<double>(w);
      const double scale = total > 0 ? 1 / (total * static_cast<double>(problem.profiles.size())) : 0;
      for (size_t k = 0; k < cells; ++k) sum[k] += scale * static_cast<double>(profile->transition[l][k]);
    }
    chain.coupling.emplace_back(sum.begin(), sum.end());
  }
  for (const trace::RoutingProfile* profile : problem.profiles) chain.load.push_back(profile->load);
  chain.cap = load_caps(problem, lpt_keeping_groups(problem));
  chain.finish();
  return chain;
}

namespace {

solve::SearchResult<ExpertPlan> plan_once(const ExpertProblem& problem, const RunContext& context) {
  if (problem.slots > problem.profiles[0]->experts) {
    solve::SearchResult<ExpertPlan> result;
    result.best = groups_matter(problem)
                      ? copies_keeping_groups(problem)
                      : replicate_experts(*problem.profiles[0], problem.grid, problem.slots);
    result.objective = load_figures(*result.best, *problem.profiles[0], Split::Optimal).mean;
    result.bound = 1;
    result.stop = result.objective <= 1 + 1e-9 ? solve::Stop::Proven : solve::Stop::WorkLimit;
    result.proven_over = "all placements with copies: the mean load";
    return result;
  }
  Planner planner(problem, context);
  if (groups_matter(problem)) return planner.in_groups();
  switch (problem.dispatch) {
    case Dispatch::Stay:
      return problem.profiles[0]->layers() > 1 ? planner.stay() : planner.balance();
    case Dispatch::Home:
      return planner.home();
    default:
      return planner.balance();
  }
}

// Weighs balance as heavily as later steps need it.
ExpertSearch plan_by_lead(ExpertProblem& problem, const RunContext& context) {
  const TimeBudget budget(context);
  const BalanceChoice choice = choose_balance(problem, budget.part(kWeighingShare));
  problem.balance_weight = choice.weight;
  // Of a limited time, another plan is begun only in the first half.
  const TimeBudget first_half(budget.part(.5));
  for (;;) {
    ExpertSearch result{plan_once(problem, budget.part(1)), *problem.balance_weight};
    const double heavier = heavier_weight(result.balance_weight);
    if (first_half.spent() || context.stop.stop_requested() || heavier == result.balance_weight ||
        balance_lead(problem, *result.best) >= choice.lead)
      return result;
    problem.balance_weight = heavier;
  }
}

}  // namespace

ExpertSearch plan_experts(const ExpertProblem& problem, const RunContext& context) {
  check(problem);
  ExpertProblem weighed = problem;
  ExpertSearch result = problem.balance_weight
                            ? ExpertSearch{plan_once(problem, context), *problem.balance_weight}
                            : plan_by_lead(weighed, context);
  if (problem.bound) Planner(weighed, context).add_bound(result);
  return result;
}

}  // namespace orrery::place
