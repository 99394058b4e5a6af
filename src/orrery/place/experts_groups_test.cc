#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "orrery/base/test_support.h"
#include "orrery/place/experts_baselines.h"
#include "orrery/place/experts_groups.h"
#include "orrery/place/experts_replay.h"

namespace orrery::place {
namespace {

using testing::HasSubstr;

trace::RoutingProfile synthetic(int layers, int experts, int top_k, size_t tokens, uint64_t seed,
                                size_t step_tokens = 0) {
  return trace::profile_tokens(
      std::make_shared<trace::TokenTrace>(trace::synthesize_routing(
          {.layers = layers, .experts = experts, .top_k = top_k, .tokens = tokens}, Seed{seed})),
      trace::WeightRule::AllPairs, "synthetic", step_tokens);
}

ExpertProblem problem_of(const trace::RoutingProfile& profile, RankGrid grid, int groups, Dispatch dispatch) {
  ExpertProblem problem;
  problem.profiles = {&profile};
  problem.grid = grid;
  problem.groups = groups;
  problem.dispatch = dispatch;
  problem.sweeps = 400;
  problem.balance_weight = 0;
  return problem;
}

// All ways to put 8 experts of 4 groups on 2 x 2 ranks, two a rank and groups whole on nodes.
std::vector<std::vector<int>> all_whole() {
  std::vector<std::vector<int>> found;
  std::vector<int> rank{0, 0, 1, 1, 2, 2, 3, 3};
  do {
    bool whole = true;
    for (size_t e = 0; e < rank.size(); e += 2) whole = whole && rank[e] / 2 == rank[e + 1] / 2;
    if (whole) found.push_back(rank);
  } while (std::next_permutation(rank.begin(), rank.end()));
  return found;
}

// The least crossings between nodes, and the least between ranks of maps that have these.
std::pair<double, double> least_crossings(const trace::RoutingProfile& profile, const RankGrid& grid) {
  std::pair<double, double> least{2, 2};
  const auto all = all_whole();
  for (const auto& first : all) {
    for (const auto& second : all) {
      const CrossingFigures f =
          crossing_figures(plan_of({first, second}, profile, grid.ranks), profile, grid);
      if (f.cross_node < least.first - 1e-9) least = {f.cross_node, 2};
      if (f.cross_node < least.first + 1e-9) least.second = std::min(least.second, f.cross_gpu);
    }
  }
  return least;
}

TEST(ExpertGroups, stay_finds_the_least_of_all_maps_that_cut_no_group) {
  const RankGrid grid{4, 2, 1, 9};
  ASSERT_EQ(all_whole().size(), 216U);
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const trace::RoutingProfile p = synthetic(2, 8, 2, 3000, seed);
    ExpertProblem problem = problem_of(p, grid, 4, Dispatch::Stay);
    problem.max_load = 1e6;
    const auto result = plan_experts(problem, {});
    EXPECT_EQ(group_fault(*result.best, 4, grid), "");
    const CrossingFigures found = crossing_figures(*result.best, p, grid);
    const auto [node, gpu] = least_crossings(p, grid);
    EXPECT_NEAR(found.cross_node, node, 1e-6) << seed;
    EXPECT_NEAR(found.cross_gpu, gpu, 1e-6) << seed;
    EXPECT_NEAR(result.objective, found.cost, 1e-6);
    EXPECT_LE(result.bound, result.objective * (1 + 1e-9));
    EXPECT_GT(result.bound, 0);
  }
}

TEST(ExpertGroups, home_finds_the_least_of_all_maps_that_cut_no_group) {
  const RankGrid grid{4, 2, 1, 9};
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const trace::RoutingProfile p = synthetic(1, 8, 2, 2000, seed);
    ExpertProblem problem = problem_of(p, grid, 4, Dispatch::Home);
    problem.max_load = 1e6;
    const auto result = plan_experts(problem, {});
    // Of two choices, those on other ranks and on other nodes are pairs apart.
    const std::vector<float> together = trace::coactivation(*p.tokens)[0];
    auto apart = [&](const std::vector<int>& rank, int size) {
      double sum = 0;
      for (size_t i = 0; i < 8; ++i) {
        for (size_t j = 0; j < i; ++j)
          sum += rank[i] / size != rank[j] / size ? static_cast<double>(together[i * 8 + j]) : 0;
      }
      return sum;
    };
    std::pair<double, double> least{1e9, 1e9};
    for (const auto& rank : all_whole()) least = std::min(least, std::pair(apart(rank, 2), apart(rank, 1)));
    const std::vector<int> ours = placement_of(*result.best)[0];
    EXPECT_EQ(std::pair(apart(ours, 2), apart(ours, 1)), least) << seed;
    EXPECT_LE(result.bound, result.objective * (1 + 1e-9));
  }
}

TEST(ExpertGroups, no_group_is_cut_under_any_dispatch_with_caps_steps_and_copies) {
  const trace::RoutingProfile p = synthetic(3, 32, 4, 4000, 7, 250);
  const RankGrid grid{8, 4, 1, 9};
  for (const Dispatch dispatch : {Dispatch::Stay, Dispatch::Home, Dispatch::Naive, Dispatch::Replicated}) {
    for (const int slots : {0, 40, 48}) {
      ExpertProblem problem = problem_of(p, grid, 8, dispatch);
      problem.slots = slots;
      problem.balance_weight.reset();
      problem.sweeps = 100;
      const auto result = plan_experts(problem, {});
      EXPECT_EQ(plan_fault(*result.best), "");
      EXPECT_EQ(group_fault(*result.best, 8, grid), "") << name(dispatch) << slots;
      EXPECT_EQ(result.best->slots(), std::max(slots, 32));
      EXPECT_LE(result.bound, result.objective * (1 + 1e-9)) << name(dispatch) << slots;
      if (slots > 0) continue;
      const LoadCaps caps = load_caps(problem, lpt_keeping_groups(problem));
      const LoadFigures load = load_figures(*result.best, p);
      for (size_t l = 0; l < 3; ++l)
        EXPECT_LE(*std::max_element(load.rank_load[l].begin(), load.rank_load[l].end()),
                  caps[0][l] * (1 + 1e-9))
            << name(dispatch) << l;
    }
  }
}

TEST(ExpertGroups, names_of_groups_and_of_experts_in_them_do_not_matter) {
  const RankGrid grid{4, 2, 1, 9};
  const trace::TokenTrace trace =
      trace::synthesize_routing({.layers = 3, .experts = 8, .top_k = 2, .tokens = 3000}, Seed{4});
  trace::TokenTrace renamed = trace;
  const int name_of[] = {5, 4, 0, 1, 7, 6, 2, 3};
  for (uint16_t& e : renamed.choice) e = static_cast<uint16_t>(name_of[e]);
  auto objective = [&](const trace::TokenTrace& tokens, Dispatch dispatch) {
    const trace::RoutingProfile p = trace::profile_tokens(std::make_shared<trace::TokenTrace>(tokens),
                                                          trace::WeightRule::AllPairs, "renamed");
    return plan_experts(problem_of(p, grid, 4, dispatch), {}).objective;
  };
  EXPECT_NEAR(objective(trace, Dispatch::Stay), objective(renamed, Dispatch::Stay), 1e-6);
  EXPECT_NEAR(objective(trace, Dispatch::Home), objective(renamed, Dispatch::Home), 1e-6);
}

TEST(ExpertGroups, fewer_bytes_leave_nodes_than_where_groups_are_cut_and_no_token_leaves_for_more_than_m) {
  // Tokens choose four experts from two of four groups.
  trace::TokenTrace tokens;
  tokens.experts = 16, tokens.top_k = 4, tokens.layer_ids = {0, 1};
  Random random(Seed{2});
  for (uint32_t t = 0; t < 3000; ++t) {
    tokens.sequence.push_back(t);
    for (int l = 0; l < 2; ++l) {
      const size_t a = random.index(4), b = (a + 1 + random.index(3)) % 4;
      for (const size_t group : {a, b}) {
        const size_t one = random.index(4), two = (one + 1 + random.index(3)) % 4;
        tokens.choice.push_back(static_cast<uint16_t>(group * 4 + one));
        tokens.choice.push_back(static_cast<uint16_t>(group * 4 + two));
      }
    }
  }
  const trace::RoutingProfile p = trace::profile_tokens(std::make_shared<trace::TokenTrace>(tokens),
                                                        trace::WeightRule::AllPairs, "groups");
  const RankGrid grid{8, 2, 1, 9};
  const auto result = plan_experts(problem_of(p, grid, 4, Dispatch::Home), {});
  const solve::Placement place = placement_of(*result.best);
  for (size_t t = 0; t < tokens.tokens(); ++t) {
    for (int l = 0; l < 2; ++l) {
      std::vector<int> nodes;
      for (int r = 0; r < 4; ++r)
        nodes.push_back(place[static_cast<size_t>(l)][tokens.at(t, l)[r]] / grid.ranks_per_node);
      std::sort(nodes.begin(), nodes.end());
      ASSERT_LE(std::unique(nodes.begin(), nodes.end()) - nodes.begin(), 2);
    }
  }
  const double ours = replay_tokens(*p.tokens, *result.best, Dispatch::Home, grid, 1).network;
  ExpertPlan cut = *result.best;  // experts 0, 4, 8, 12 on the first node, and so on
  for (std::vector<int>& slots : cut.slot_to_expert) {
    for (int s = 0; s < 16; ++s) slots[static_cast<size_t>(s)] = s % 4 * 4 + s / 4;
  }
  EXPECT_THAT(group_fault(cut, 4, grid), HasSubstr("group 0"));
  EXPECT_LT(ours, .7 * replay_tokens(*p.tokens, cut, Dispatch::Home, grid, 1).network);
}

TEST(ExpertGroups, one_node_or_one_group_changes_nothing) {
  const trace::RoutingProfile p = synthetic(3, 16, 2, 2000, 3);
  for (const Dispatch dispatch : {Dispatch::Stay, Dispatch::Home, Dispatch::Naive}) {
    const RankGrid one{4, 4, 1, 1};
    EXPECT_EQ(plan_experts(problem_of(p, one, 4, dispatch), {}).best->slot_to_expert,
              plan_experts(problem_of(p, one, 1, dispatch), {}).best->slot_to_expert);
  }
}

TEST(ExpertGroups, threads_do_not_change_the_plan) {
  const trace::RoutingProfile p = synthetic(3, 32, 4, 2000, 9);
  for (const Dispatch dispatch : {Dispatch::Stay, Dispatch::Home}) {
    RunContext one, two;
    one.threads = 1, two.threads = 2;
    const ExpertProblem problem = problem_of(p, {8, 4, 1, 9}, 4, dispatch);
    EXPECT_EQ(plan_experts(problem, one).best->slot_to_expert,
              plan_experts(problem, two).best->slot_to_expert);
  }
}

TEST(ExpertGroups, what_does_not_divide_is_refused) {
  const trace::RoutingProfile p = synthetic(2, 16, 2, 500, 3);
  EXPECT_THAT(error_of([&] {
                plan_experts(problem_of(p, {4, 2, 1, 9}, 3, Dispatch::Stay), {});
              }),
              HasSubstr("16 experts do not divide into 3 groups"));
  EXPECT_THAT(error_of([&] {
                plan_experts(problem_of(p, {8, 2, 1, 9}, 2, Dispatch::Home), {});
              }),
              HasSubstr("2 groups of experts do not divide over 4 nodes"));
  ExpertProblem problem = problem_of(p, {4, 2, 1, 9}, 4, Dispatch::Naive);
  problem.slots = 36;
  EXPECT_THAT(error_of([&] { plan_experts(problem, {}); }), HasSubstr("--redundant 16 at most"));
  problem.groups = 1;
  EXPECT_EQ(plan_fault(*plan_experts(problem, {}).best), "");
  problem.slots = 68;
  EXPECT_THAT(error_of([&] { plan_experts(problem, {}); }), HasSubstr("--redundant 48 at most"));
}

}  // namespace
}  // namespace orrery::place
