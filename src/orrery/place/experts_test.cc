#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "orrery/place/experts_balance.h"
#include "orrery/place/experts_baselines.h"
#include "orrery/place/experts_replay.h"
#include "orrery/place/experts_search.h"
#include "orrery/trace/readers/routing.h"

namespace orrery::place {
namespace {

trace::RoutingProfile synthetic(int layers, int experts, int top_k, size_t tokens, uint64_t seed,
                                trace::WeightRule rule = trace::WeightRule::AllPairs) {
  return trace::profile_tokens(
      std::make_shared<trace::TokenTrace>(trace::synthesize_routing(
          {.layers = layers, .experts = experts, .top_k = top_k, .tokens = tokens}, Seed{seed})),
      rule, "synthetic");
}

TEST(Eplb, published_example_comes_out_slot_for_slot) {
  const auto map = eplb({{90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86},
                         {20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}},
                        16, 4, 2, 8);
  EXPECT_THAT(map[0], testing::ElementsAre(5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1));
  EXPECT_THAT(map[1], testing::ElementsAre(7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1));
}

TEST(Eplb, every_expert_has_a_copy_and_every_rank_its_slots) {
  Random random(Seed{3});
  for (int round = 0; round < 50; ++round) {
    const int nodes = 1 + static_cast<int>(random.index(2)),
              ranks = nodes * (1 + static_cast<int>(random.index(4)));
    const int groups = nodes * (1 + static_cast<int>(random.index(2))), experts = groups * ranks;
    const int slots = experts + ranks * static_cast<int>(random.index(3));
    std::vector<double> weight;
    for (int e = 0; e < experts; ++e) weight.push_back(static_cast<double>(random.index(100)));
    const auto map = eplb({weight}, slots, groups, nodes, ranks)[0];
    EXPECT_EQ(map.size(), static_cast<size_t>(slots));
    EXPECT_EQ(std::set<int>(map.begin(), map.end()).size(), static_cast<size_t>(experts));
  }
}

TEST(Experts, every_planner_makes_valid_plans_and_the_joint_one_is_within_its_bound) {
  const trace::RoutingProfile p = synthetic(4, 16, 2, 4000, 5);
  for (const Dispatch dispatch : {Dispatch::Stay, Dispatch::Home, Dispatch::Naive, Dispatch::Replicated}) {
    ExpertProblem problem;
    problem.profiles = {&p};
    problem.grid = {4, 2, 1, 9};
    problem.dispatch = dispatch;
    problem.sweeps = 200;
    const auto result = plan_experts(problem, {});
    ASSERT_TRUE(result.best);
    EXPECT_EQ(plan_fault(*result.best), "") << name(dispatch);
    EXPECT_LE(result.bound, result.objective * (1 + 1e-9)) << name(dispatch);
    EXPECT_LE(load_figures(*result.best, p).mean,
              std::max(1.05, load_figures(lpt_plan(problem.profiles, 4), p).mean) + .02);
    if (dispatch == Dispatch::Stay) {
      EXPECT_NEAR(result.objective, crossing_figures(*result.best, p, problem.grid).cost, 1e-4);
    }
    if (dispatch == Dispatch::Home) {
      EXPECT_NEAR(result.objective,
                  replay_tokens(*p.tokens, *result.best, Dispatch::Home, problem.grid, 1).distinct_ranks,
                  1e-9);
    }
  }
  const std::vector<const trace::RoutingProfile*> profiles{&p};
  for (const ExpertPlan& plan :
       {contiguous_plan(p, 4, 20), random_plan(p, 4, Seed{1}), lpt_plan(profiles, 4),
        two_stage_plan(profiles, {4, 4, 1, 1}), replicate_experts(p, {4, 4, 1, 1}, 24)})
    EXPECT_EQ(plan_fault(plan), "") << plan.planner;
}

TEST(Experts, annealing_comes_within_half_a_percent_of_the_exact_chain) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    const trace::RoutingProfile p = synthetic(12, 8, 2, 600, seed);
    ExpertProblem problem;
    problem.profiles = {&p};
    problem.grid = seed % 2 ? RankGrid{4, 2, 1, 9} : RankGrid{4, 4, 1, 1};
    problem.dispatch = Dispatch::Stay;
    const auto exact = plan_experts(problem, {});
    EXPECT_EQ(exact.stop, solve::Stop::Proven);
    problem.exact = false;
    problem.sweeps = 20000;
    problem.restarts = 8;
    const auto annealed = plan_experts(problem, {});
    EXPECT_GE(annealed.objective, exact.objective * (1 - 1e-6));
    EXPECT_LE(annealed.objective, exact.objective * 1.005);
    EXPECT_LE(annealed.bound, exact.objective * (1 + 1e-6));
  }
}

TEST(Experts, a_spent_limit_of_time_still_gives_a_plan_and_few_trials) {
  const trace::RoutingProfile p =
      trace::profile_tokens(std::make_shared<trace::TokenTrace>(trace::synthesize_routing(
                                {.layers = 3, .experts = 16, .top_k = 2, .tokens = 4000}, Seed{6})),
                            trace::WeightRule::AllPairs, "synthetic", 100);
  RunContext context;
  context.time = Seconds(1e-6);
  for (const Dispatch dispatch : {Dispatch::Stay, Dispatch::Home, Dispatch::Naive}) {
    ExpertProblem problem;
    problem.profiles = {&p};
    problem.grid = {4, 4, 1, 1};
    problem.dispatch = dispatch;
    problem.bound = false;
    EXPECT_EQ(balance_trials(problem, p, context).size(), 2U) << name(dispatch);  // the first and LPT's
    const auto result = plan_experts(problem, context);
    ASSERT_TRUE(result.best);
    EXPECT_EQ(plan_fault(*result.best), "") << name(dispatch);
    if (dispatch != Dispatch::Naive) {
      EXPECT_EQ(result.stop, solve::Stop::TimeLimit) << name(dispatch);
    }
  }
}

TEST(ExpertBalance, weight_trades_traffic_for_steps_that_wait_less_on_later_steps_too) {
  const auto tokens = std::make_shared<trace::TokenTrace>(
      trace::synthesize_routing({.layers = 3, .experts = 16, .top_k = 4, .tokens = 8000}, Seed{31}));
  const trace::RoutingProfile early =
      trace::profile_tokens(tokens, trace::WeightRule::AllPairs, "e", 100, 0, 6000);
  const trace::RoutingProfile late =
      trace::profile_tokens(tokens, trace::WeightRule::AllPairs, "l", 100, 6000);
  for (const Dispatch dispatch : {Dispatch::Home, Dispatch::Stay}) {
    ExpertProblem problem;
    problem.profiles = {&early};
    problem.grid = {4, 4, 1, 1};
    problem.dispatch = dispatch;
    problem.sweeps = 3200;
    const std::vector<BalanceTrial> trials = balance_trials(problem, late, {});
    EXPECT_LT(trials.front().traffic, trials[trials.size() - 2].traffic);
    EXPECT_GT(trials[trials.size() - 2].balance.mean, trials.front().balance.mean);
    for (const BalanceTrial& trial : trials) EXPECT_EQ(plan_fault(trial.plan), "");
    // Chosen without the later part, it waits hardly longer than LPT on it and moves less.
    const BalanceChoice choice = choose_balance(problem, {});
    const ExpertSearch found = plan_experts(problem, {});
    EXPECT_GE(found.balance_weight, choice.weight);
    EXPECT_GE(balance_lead(problem, *found.best), choice.lead) << name(dispatch);
    EXPECT_GE(balancedness(*found.best, late).mean, trials.back().balance.mean) << name(dispatch);
    RunContext two;
    two.threads = 2;
    EXPECT_EQ(found.balance_weight, plan_experts(problem, two).balance_weight);
  }
}

TEST(ExpertBalance, of_many_steps_as_many_are_weighed_as_asked) {
  const trace::RoutingProfile p =
      trace::profile_tokens(std::make_shared<trace::TokenTrace>(trace::synthesize_routing(
                                {.layers = 2, .experts = 8, .top_k = 2, .tokens = 3000}, Seed{32})),
                            trace::WeightRule::AllPairs, "p", 10);
  ExpertProblem problem;
  problem.profiles = {&p, &p};
  problem.grid = {4, 4, 1, 1};
  problem.most_steps = 64;
  for (const solve::Scenarios& layer : step_scenarios(problem)) EXPECT_EQ(layer.count(), 64U);
}

// Bytes counted again, one choice at a time, by the definitions.
std::map<std::pair<int, int>, double> brute_bytes(const trace::TokenTrace& tokens, const ExpertPlan& plan,
                                                  Dispatch dispatch, int ranks) {
  std::map<std::pair<int, int>, double> bytes;
  auto rank = [&](int l, int e) {
    for (int s = 0;; ++s) {
      if (plan.slot_to_expert[static_cast<size_t>(l)][static_cast<size_t>(s)] == e)
        return s / plan.slots_per_rank();
    }
  };
  for (size_t t = 0; t < tokens.tokens(); ++t) {
    int last = -1;
    for (int l = 0; l < tokens.layers(); ++l) {
      const int home = static_cast<int>(tokens.sequence[t]) % ranks, first = rank(l, tokens.at(t, l)[0]);
      std::set<int> seen;
      for (int r = 0; r < tokens.top_k; ++r) {
        const int g = rank(l, tokens.at(t, l)[r]);
        if (dispatch != Dispatch::Naive && !seen.insert(g).second) continue;
        const int source = dispatch == Dispatch::Stay ? (last < 0 ? first : last) : home;
        const int sum_at = dispatch == Dispatch::Stay ? first : home;
        if (source != g) bytes[{source, g}] += 3;
        if (sum_at != g) bytes[{g, sum_at}] += 3;
      }
      last = first;
    }
  }
  return bytes;
}

TEST(Replay, bytes_equal_a_count_by_the_definitions) {
  const trace::RoutingProfile p = synthetic(5, 12, 3, 700, 8);
  const ExpertPlan plan = random_plan(p, 4, Seed{2});
  for (const Dispatch dispatch : {Dispatch::Stay, Dispatch::Home, Dispatch::Naive}) {
    const Replay replay = replay_tokens(*p.tokens, plan, dispatch, {4, 2, 1, 9}, 3);
    const auto counted = brute_bytes(*p.tokens, plan, dispatch, 4);
    double total = 0;
    for (const auto& [pair, bytes] : counted) {
      EXPECT_EQ(replay.pair[static_cast<size_t>(pair.first * 4 + pair.second)], bytes) << name(dispatch);
      total += bytes;
    }
    EXPECT_EQ(replay.total, total);
    EXPECT_LE(replay.network, replay.cross_node);
  }
  const Replay a = replay_tokens(*p.tokens, plan, Dispatch::Replicated, {4, 4, 1, 1}, 3);
  const Replay b =
      replay_tokens(*p.tokens, random_plan(p, 4, Seed{9}), Dispatch::Replicated, {4, 4, 1, 1}, 3);
  EXPECT_EQ(a.total, b.total);
}

TEST(Experts, copies_never_raise_the_largest_load_and_never_lose_to_eplb) {
  const trace::RoutingProfile p = synthetic(2, 32, 4, 3000, 10);
  for (const int ranks : {4, 8, 16}) {
    const RankGrid grid{ranks, ranks, 1, 1};
    double before = 1e9;
    for (int extra = 0; extra <= 32; extra += ranks) {
      const double ours = load_figures(replicate_experts(p, grid, 32 + extra), p, Split::Optimal).mean;
      EXPECT_LE(ours, before + 1e-9);
      EXPECT_LE(ours, load_figures(eplb_plan(p, grid, 32 + extra), p).mean + 1e-9);
      before = ours;
    }
  }
}

TEST(Experts, rebalancing_obeys_its_budget_and_relabelling_only_saves_moves) {
  const trace::RoutingProfile a = synthetic(3, 32, 4, 3000, 11), b = synthetic(3, 32, 4, 3000, 12);
  const ExpertPlan running = lpt_plan(std::vector<const trace::RoutingProfile*>{&a}, 8);
  for (const size_t budget : {size_t{0}, size_t{4}, size_t{16}}) {
    const ExpertPlan next = rebalance_experts(running, b, budget);
    EXPECT_EQ(plan_fault(next), "");
    EXPECT_LE(moved_experts(running, next), budget);
    EXPECT_LE(load_figures(next, b).mean, load_figures(running, b).mean + 1e-12);
  }
  const ExpertPlan fresh = lpt_plan(std::vector<const trace::RoutingProfile*>{&b}, 8);
  const RankGrid grid{8, 4, 1, 9};
  for (const bool together : {false, true}) {
    const ExpertPlan named = relabel_ranks(fresh, running, grid, together);
    EXPECT_EQ(plan_fault(named), "");
    EXPECT_LE(moved_experts(running, named), moved_experts(running, fresh));
    EXPECT_DOUBLE_EQ(load_figures(named, b).mean, load_figures(fresh, b).mean);
    if (together) {
      EXPECT_NEAR(crossing_figures(named, b, grid).cost, crossing_figures(fresh, b, grid).cost, 1e-9);
    }
  }
}

TEST(Experts, what_cannot_be_planned_is_said) {
  trace::RoutingProfile counts = synthetic(3, 16, 2, 500, 13);
  counts.tokens = nullptr;
  ExpertProblem problem;
  problem.profiles = {&counts};
  problem.grid = {4, 4, 1, 1};
  EXPECT_THROW(plan_experts(problem, {}), InputError);  // home needs tokens
  problem.dispatch = Dispatch::Stay;
  problem.grid = {3, 3, 1, 1};
  EXPECT_THROW(plan_experts(problem, {}), InputError);  // 16 experts over 3 ranks
  counts.transition.clear();
  problem.grid = {4, 4, 1, 1};
  EXPECT_THROW(plan_experts(problem, {}), InputError);
}

TEST(ExpertPlan, maps_are_read_back_and_broken_ones_refused) {
  const trace::RoutingProfile p = synthetic(2, 8, 2, 500, 14);
  const ExpertPlan plan = random_plan(p, 4, Seed{4});
  const ExpertPlan back = plan_of_map(parse_json(plan_map_json(plan), "m.json"), 4);
  EXPECT_EQ(back.slot_to_expert, plan.slot_to_expert);
  EXPECT_THROW(plan_of_map(parse_json("[[0, 0, 1, 2]]", "m.json"), 2), InputError);  // twice on one rank
  EXPECT_THROW(plan_of_map(parse_json("[[0, 1, 3, 1]]", "m.json"), 2), InputError);  // 2 lies nowhere
  EXPECT_THROW(plan_of_map(parse_json("[[0, 1, 2]]", "m.json"), 2), InputError);
}

}  // namespace
}  // namespace orrery::place
