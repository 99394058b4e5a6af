#include "orrery/place/experts_paper.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "orrery/solve/coupled_relabel.h"

namespace orrery::place {
namespace {

struct Chain {
  std::vector<std::vector<double>> flow, size;
};
Chain random_chain(Random& random, int ranks, int layers) {
  Chain chain;
  for (int l = 0; l + 1 < layers; ++l) {
    chain.flow.emplace_back();
    for (int k = 0; k < ranks * ranks; ++k)
      chain.flow.back().push_back(static_cast<double>(random.index(100)));
  }
  chain.size.assign(static_cast<size_t>(layers), std::vector<double>(static_cast<size_t>(ranks), 2));
  return chain;
}

TEST(PaperPrograms, clusters_have_the_least_deviation_of_all) {
  Random random(Seed{41});
  for (int round = 0; round < 2; ++round) {
    std::vector<double> load;
    for (int i = 0; i < 6; ++i) load.push_back(static_cast<double>(1 + random.index(50)));
    const double mean = std::accumulate(load.begin(), load.end(), 0.0) / 2;
    for (const bool equal : {false, true}) {
      double best = 1e9;
      for (unsigned members = 1; members < 63; ++members) {
        if (equal && std::popcount(members) != 3) continue;
        double carried = 0;
        for (size_t i = 0; i < 6; ++i) carried += (members >> i & 1) ? load[i] : 0;
        best = std::min(best, 2 * std::abs(carried - mean));
      }
      const ClusterProgram found = cluster_by_program(load, 2, equal, {});
      EXPECT_TRUE(found.optimal);
      EXPECT_NEAR(found.deviation, best, 1e-6 * mean);
    }
  }
}

TEST(PaperPrograms, sum_over_alike_links_equals_the_chain_of_matchings) {
  Random random(Seed{42});
  for (int round = 0; round < 6; ++round) {
    const int ranks = 2 + static_cast<int>(random.index(3)), layers = 2 + static_cast<int>(random.index(3));
    const Chain chain = random_chain(random, ranks, layers);
    double matched = 0;
    for (const std::vector<double>& flow : chain.flow)
      matched += std::accumulate(flow.begin(), flow.end(), 0.0) -
                 solve::best_relabelling(flow, {{1, 1}}, ranks).saved;
    const RankProgram found = rank_by_program(chain.flow, chain.size, {ranks, ranks, 1, 1},
                                              Linearization::Strong, LinkObjective::Sum, {});
    EXPECT_TRUE(found.optimal);
    EXPECT_NEAR(found.cost, matched, 1e-6 * matched);
  }
}

TEST(PaperPrograms, both_linearizations_and_objectives_equal_brute_force) {
  Random random(Seed{43});
  const Chain chain = random_chain(random, 3, 3);
  const RankGrid grid{3, 3, 1, 1};
  for (const LinkObjective objective : {LinkObjective::LargestPair, LinkObjective::Sum}) {
    double best = 1e9;
    std::vector<int> a{0, 1, 2};
    do {
      std::vector<int> b{0, 1, 2};
      do {
        best = std::min(best, rank_program_cost(chain.flow, grid, objective, {{0, 1, 2}, a, b}));
      } while (std::next_permutation(b.begin(), b.end()));
    } while (std::next_permutation(a.begin(), a.end()));
    for (const Linearization linearization : {Linearization::Naive, Linearization::Strong}) {
      const RankProgram found = rank_by_program(chain.flow, chain.size, grid, linearization, objective, {});
      EXPECT_TRUE(found.optimal);
      EXPECT_NEAR(found.cost, best, 1e-6 * best);
      EXPECT_LE(found.bound, best * (1 + 1e-6));
    }
  }
}

}  // namespace
}  // namespace orrery::place
