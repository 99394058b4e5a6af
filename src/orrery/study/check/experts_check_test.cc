#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "orrery/base/random.h"
#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"
#include "orrery/study/check/check.h"
#include "orrery/study/check/experts_bound.h"
#include "orrery/study/check/experts_recount.h"

namespace orrery::study {
namespace {

using json = nlohmann::json;
using testing::HasSubstr;

// Six tokens of one prompt each, two layers, four experts, top-1: small enough to count on paper.
//   layer 0: 0 0 1 2 3 0    layer 1: 0 1 1 2 2 3
constexpr const char* kRouting =
    "problem\ttoken\tlayer\texpert_1\n"
    "0\t0\t0\t0\n0\t0\t1\t0\n1\t0\t0\t0\n1\t0\t1\t1\n2\t0\t0\t1\n2\t0\t1\t1\n"
    "3\t0\t0\t2\n3\t0\t1\t2\n4\t0\t0\t3\n4\t0\t1\t2\n5\t0\t0\t0\n5\t0\t1\t3\n";

// Experts 0, 1 on GPU 0 and 2, 3 on GPU 1. Layer 0 carries 4 and 2 tokens, layer 1 three each; only the last
// token changes GPU. Home of token t is GPU t mod 2.
json true_plan(const std::string& routing) {
  return {{"schema", "orrery.experts/1"},
          {"routing", {routing}},
          {"dispatch", "stay"},
          {"ranks", 2},
          {"ranks_per_node", 2},
          {"experts", 4},
          {"layer_ids", {0, 1}},
          {"distance", {{"inside", 1}, {"between", 1}}},
          {"recording", {{"hold_out", 0}, {"step_tokens", 0}, {"transitions", "all-pairs"}}},
          {"bytes_per_vector", 10},
          {"planner", "joint"},
          {"max_over_mean_load", (4 / 3. + 1) / 2},
          {"max_over_mean_load_worst_layer", 4 / 3.},
          {"cross_gpu_fraction", 1 / 6.},
          {"all_to_all_bytes", 20},  // there, and the partial sum stays with the owner
          {"ranks_per_token", 1},
          {"objective_name", "transition cost"},
          {"objective", 1 / 6.},
          {"lower_bound", 1 / 6.},
          {"gap", 0},
          {"map", {{0, 1, 2, 3}, {0, 1, 2, 3}}}};
}

class Check : public testing::Test {
 protected:
  Check() : folder_("check"), routing_(folder_.file("r.tsv")) {
    write_file(routing_, kRouting);
    plan_ = true_plan(routing_);
  }
  Verification verify() {
    write_file(folder_.file("plan.json"), plan_.dump(1));
    return check_plan(folder_.file("plan.json"));
  }
  std::string failing() {
    std::string names;
    for (const Claim& claim : verify().claims) {
      if (claim.verdict == Verdict::Fails) names += claim.name + ";";
    }
    return names;
  }
  TemporaryFolder folder_;
  std::string routing_;
  json plan_;
};

TEST_F(Check, figures_counted_on_paper_hold) {
  plan_["all_to_all_bytes"] = 10;
  const Verification result = verify();
  for (const Claim& claim : result.claims)
    EXPECT_EQ(claim.verdict, Verdict::Holds)
        << claim.name << ": " << claim.claimed << " / " << claim.recomputed;
  EXPECT_TRUE(result.holds());
  EXPECT_GE(result.claims.size(), 12U);
}

TEST_F(Check, every_false_claim_is_found_and_no_other) {
  plan_["all_to_all_bytes"] = 10;
  const json good = plan_;
  const std::pair<const char*, const char*> claims[] = {
      {"max_over_mean_load", "max/mean load;"},
      {"max_over_mean_load_worst_layer", "max/mean load, worst layer;"},
      {"cross_gpu_fraction", "transitions that leave their GPU;"},
      {"all_to_all_bytes", "all-to-all bytes;"},
      {"ranks_per_token", "GPUs of a token;"}};
  for (const auto& [key, found] : claims) {
    plan_ = good;
    plan_[key] = plan_[key].get<double>() * .99;
    EXPECT_EQ(failing(), found);
  }
  plan_ = good;
  plan_["lower_bound"] = .2;  // above what this plan itself reaches
  EXPECT_THAT(failing(), HasSubstr("lower bound;"));
  plan_ = good;
  plan_["load_caps"] = {{1.05, 1.05}};
  EXPECT_EQ(failing(), "load cap;");
}

TEST_F(Check, maps_that_are_none_are_found) {
  plan_["map"][1] = {0, 1, 1, 3};
  EXPECT_EQ(failing(), "every expert placed;");
  plan_["map"][1] = {0, 0, 2, 3};
  EXPECT_THAT(failing(), HasSubstr("no expert twice on a GPU;"));
  plan_["map"][1] = {0, 1, 2, 4};
  EXPECT_THAT(failing(), HasSubstr("expert numbers;"));
  plan_["map"][1] = {0, 1, 2};
  EXPECT_EQ(failing(), "slots;");
  plan_["map"][1] = {0, 1, 2, 3};
  plan_["weights"] = {{"expert_bytes", 30}, {"gpu_memory_bytes", 100}};
  EXPECT_THAT(failing(), HasSubstr("weights fit a GPU;"));
}

TEST_F(Check, a_group_on_two_nodes_is_found) {
  plan_["all_to_all_bytes"] = 10;
  plan_["ranks_per_node"] = 1;
  plan_["expert_groups"] = 2;
  EXPECT_EQ(failing(), "");
  plan_["expert_groups"] = 1;
  EXPECT_EQ(failing(), "groups of experts whole on nodes;");
  plan_["ranks_per_node"] = 2;
  EXPECT_EQ(failing(), "");
  plan_["expert_groups"] = 3;
  EXPECT_THAT(error_of([&] { verify(); }), HasSubstr("4 experts do not divide into 3 groups"));
}

TEST_F(Check, a_bound_above_what_is_proven_is_neither_true_nor_false) {
  plan_["all_to_all_bytes"] = 10;
  plan_["objective_name"] = "max over mean load";
  plan_["objective"] = (4 / 3. + 1) / 2;
  plan_["lower_bound"] = 1.1;  // the mean load and the busiest expert prove 1
  plan_["gap"] = 1 - 1.1 / ((4 / 3. + 1) / 2);
  const Verification result = verify();
  EXPECT_TRUE(result.holds());
  EXPECT_EQ(std::count_if(
                result.claims.begin(), result.claims.end(),
                [](const Claim& c) { return c.verdict == Verdict::NotProven && c.name == "lower bound"; }),
            1);
}

TEST_F(Check, what_cannot_be_read_is_refused_at_its_place) {
  plan_["schema"] = "orrery.other/1";
  EXPECT_THAT(error_of([&] { verify(); }), HasSubstr("plan.json:"));
  EXPECT_THAT(error_of([&] { verify(); }), HasSubstr("orrery.experts/1"));
  plan_ = true_plan(routing_);
  for (const char* key :
       {"map", "experts", "ranks", "dispatch", "routing", "recording", "distance", "objective_name"}) {
    plan_ = true_plan(routing_);
    plan_.erase(key);
    EXPECT_THAT(error_of([&] { verify(); }), HasSubstr(key));
  }
  plan_ = true_plan(folder_.file("absent.tsv"));
  EXPECT_THAT(error_of([&] { verify(); }), HasSubstr("absent.tsv"));
  plan_ = true_plan(routing_);
  plan_["map"].push_back({0, 1, 2, 3});
  plan_["layer_ids"].push_back(2);
  EXPECT_THAT(error_of([&] { verify(); }), HasSubstr("2 layers, the plan 3"));
  for (const char* text : {"", "[]", "{}", "{\"schema\": 1}", "nonsense"}) {
    write_file(folder_.file("bad.json"), text);
    EXPECT_NE(error_of([&] { check_plan(folder_.file("bad.json")); }), "") << text;
  }
}

// --- the oracle against itself

RoutingPart random_part(int layers, int experts, Random& random) {
  RoutingPart part;
  part.experts = experts;
  part.top_k = 1;
  const auto n = static_cast<size_t>(experts);
  part.load.assign(static_cast<size_t>(layers), std::vector<double>(n, 0));
  part.transition.assign(static_cast<size_t>(layers) - 1, std::vector<double>(n * n, 0));
  for (std::vector<double>& w : part.transition) {
    for (double& v : w) v = static_cast<double>(random.index(20));
  }
  for (std::vector<double>& load : part.load) {
    for (double& v : load) v = 1 + static_cast<double>(random.index(9));
  }
  return part;
}

TEST(Bound, the_linear_program_is_never_above_the_least_cost_of_all_maps) {
  Random random(Seed{5});
  for (int round = 0; round < 30; ++round) {
    const ExpertMapOnRanks shape{6, 3, round % 2 ? 3 : 1, 1, round % 2 ? 1.0 : 4.0, {{0, 1, 2, 3, 4, 5}}};
    const std::vector<RoutingPart> parts{random_part(3, 6, random)};
    const LoadCaps caps = round % 3 ? LoadCaps{{1.4, 1.4, 1.4}} : LoadCaps{};
    const auto least = least_crossing_cost(shape, parts, caps);
    if (!least) continue;
    EXPECT_EQ(crossing_bound(shape, parts, caps, Seconds(10)).cost, *least) << "few placements: exact";
  }
  for (int round = 0; round < 10; ++round) {
    // One GPU less makes the same loads a larger problem; copies of it past the limit use the program.
    const ExpertMapOnRanks shape{12, 4, 4, 1, 1, {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {}, {}}};
    ExpertMapOnRanks map = shape;
    const std::vector<RoutingPart> parts{random_part(3, 12, random)};
    const CrossingBound bound = crossing_bound(shape, parts, {}, Seconds(10));
    EXPECT_FALSE(bound.exact);
    for (int attempt = 0; attempt < 50; ++attempt) {
      for (std::vector<int>& layer : map.slot) {
        layer.resize(12);
        for (int e = 0; e < 12; ++e) layer[static_cast<size_t>(e)] = e;
        for (size_t i = 11; i > 0; --i) std::swap(layer[i], layer[random.index(i + 1)]);
      }
      double cost = 0;  // each layer step alike
      for (size_t l = 0; l < 2; ++l) {
        RoutingPart one;
        one.transition = {parts[0].transition[l]};
        ExpertMapOnRanks two = map;
        two.slot = {map.slot[l], map.slot[l + 1]};
        cost += recount_crossings(two, one).cost / 2;
      }
      EXPECT_LE(bound.cost, cost + 1e-9);
    }
  }
}

TEST(Recount, the_best_split_of_copies_is_never_worse_than_an_even_one) {
  Random random(Seed{6});
  for (int round = 0; round < 20; ++round) {
    ExpertMapOnRanks map{5, 3, 3, 1, 1, {{0, 1, 2, 0, 3, 4}}};
    const RoutingPart part = random_part(2, 5, random);
    const std::vector<double> even = rank_load(map, 0, part.load[0]);
    double total = 0;
    for (double n : part.load[0]) total += n;
    const double least = least_largest_load(map, 0, part.load[0]);
    EXPECT_LE(least, *std::max_element(even.begin(), even.end()) + 1e-6);
    EXPECT_GE(least, total / 3 - 1e-6);
  }
}

}  // namespace
}  // namespace orrery::study
