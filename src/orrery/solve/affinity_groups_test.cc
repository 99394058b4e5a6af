#include "orrery/solve/affinity_groups.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace orrery::solve {
namespace {

TEST(AffinityGroups, comes_to_the_best_partition_of_small_graphs_within_the_cap) {
  Random random(Seed{21});
  for (int round = 0; round < 20; ++round) {
    AffinityProblem problem{4, {{1, 1}, {2, 3}}, std::vector<float>(64, 0.F), {std::vector<double>(8)}, {0}};
    for (size_t i = 0; i < 8; ++i) {
      problem.load[0][i] = 1 + random.uniform();
      problem.cap[0] += problem.load[0][i] / 4 * 1.15;
      for (size_t j = 0; j < i; ++j)
        problem.affinity[i * 8 + j] = problem.affinity[j * 8 + i] = static_cast<float>(random.index(10));
    }
    auto fits = [&](const std::vector<int>& place) {
      std::vector<double> load(4, 0);
      for (size_t i = 0; i < 8; ++i) load[static_cast<size_t>(place[i])] += problem.load[0][i];
      return *std::max_element(load.begin(), load.end()) <= problem.cap[0] * (1 + 1e-9);
    };
    std::vector<int> place{0, 0, 1, 1, 2, 2, 3, 3};
    double best = 1e300;
    std::vector<int> first_fit;
    do {
      if (!fits(place)) continue;
      if (first_fit.empty()) first_fit = place;
      best = std::min(best, affinity_cost(problem, place));
    } while (std::next_permutation(place.begin(), place.end()));
    if (first_fit.empty()) continue;
    RunContext context;
    double found = 1e300;
    for (uint64_t seed = 0; seed < 4; ++seed) {
      context.seed = Seed{seed};
      const std::vector<int> answer = anneal_affinity(problem, first_fit, 400, context);
      EXPECT_TRUE(fits(answer));
      found = std::min(found, affinity_cost(problem, answer));
    }
    EXPECT_NEAR(found, best, .02 * best);
    EXPECT_GE(found, best - 1e-6);
  }
}

}  // namespace
}  // namespace orrery::solve
