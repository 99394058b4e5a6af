#include "orrery/place/experts_caps.h"

#include <gtest/gtest.h>

#include "orrery/place/experts_report.h"

namespace orrery::place {
namespace {

trace::RoutingProfile synthetic(uint64_t seed) {
  return trace::profile_tokens(std::make_shared<trace::TokenTrace>(trace::synthesize_routing(
                                   {.layers = 2, .experts = 8, .top_k = 2, .tokens = 1500}, Seed{seed})),
                               trace::WeightRule::AllPairs, "synthetic", 100);
}

ExpertReport report_of(int ranks, Dispatch dispatch, double max_load) {
  ExpertRequest request;
  request.profiles = {synthetic(1), synthetic(2)};
  request.problem.grid = {ranks, ranks, 1, 1};
  request.problem.dispatch = dispatch;
  request.problem.max_load = max_load;
  request.problem.sweeps = 100;
  request.problem.balance_weight = 0;
  return report_experts(std::move(request), {});
}

TEST(ExpertCaps, plan_that_no_cap_allows_says_so_and_is_bounded_among_its_likes) {
  for (const Dispatch dispatch : {Dispatch::Home, Dispatch::Stay}) {
    const ExpertReport report = report_of(8, dispatch, 1.05);  // one expert a rank: no choice at all
    ASSERT_TRUE(report.shortfall);
    EXPECT_GT(report.shortfall->reached, 1.05);
    EXPECT_NEAR(report.shortfall->reached, report.shortfall->least, 1e-9);
    EXPECT_NE(report.shortfall_note.find("smallest cap that can be met"), std::string::npos);
    EXPECT_NE(report.search.proven_over.find("raised"), std::string::npos);
    EXPECT_LE(report.search.bound, report.search.objective * (1 + 1e-6));
    // Every cap is the asked one or what the plan carries.
    EXPECT_EQ(report.load_caps.size(), 2U);
    for (const std::vector<double>& caps : report.load_caps)
      for (double cap : caps) EXPECT_GE(cap, 1.05 - 1e-9);
    // The cap that it names can be met, and no smaller one.
    EXPECT_FALSE(report_of(8, dispatch, report.shortfall->least * (1 + 1e-9)).shortfall);
    EXPECT_TRUE(report_of(8, dispatch, report.shortfall->least * .999).shortfall);
  }
}

TEST(ExpertCaps, nothing_is_told_of_a_cap_that_is_met) {
  const ExpertReport report = report_of(2, Dispatch::Stay, 3);
  EXPECT_FALSE(report.shortfall);
  EXPECT_EQ(report.shortfall_note, "");
  EXPECT_EQ(report.search.proven_over.find("raised"), std::string::npos);
}

TEST(ExpertCaps, no_map_is_below_the_least_that_is_told) {
  const trace::RoutingProfile profile = synthetic(3);
  ExpertProblem problem;
  problem.profiles = {&profile};
  problem.grid = {4, 4, 1, 1};
  problem.max_load = 1;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    ExpertPlan plan;
    plan.experts = 8;
    plan.ranks = 4;
    plan.layer_ids = profile.layer_ids;
    Random random(Seed{seed});
    for (int l = 0; l < 2; ++l) {
      std::vector<int> slots{0, 1, 2, 3, 4, 5, 6, 7};
      for (size_t k = 7; k > 0; --k) std::swap(slots[k], slots[random.index(k + 1)]);
      plan.slot_to_expert.push_back(slots);
    }
    const auto shortfall = cap_shortfall(problem, plan);
    ASSERT_TRUE(shortfall);
    EXPECT_LE(shortfall->least, shortfall->reached * (1 + 1e-12));
  }
}

}  // namespace
}  // namespace orrery::place
