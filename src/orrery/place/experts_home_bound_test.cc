#include "orrery/place/experts_home_bound.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace orrery::place {
namespace {

TEST(HomeBound, convex_function_is_below_every_way_to_lie_on_ranks) {
  EXPECT_DOUBLE_EQ(least_ranks_of_pairs(0, 4, 4), 4);
  EXPECT_DOUBLE_EQ(least_ranks_of_pairs(1, 4, 4), 3);
  EXPECT_DOUBLE_EQ(least_ranks_of_pairs(2, 4, 4), 2);
  EXPECT_DOUBLE_EQ(least_ranks_of_pairs(6, 4, 4), 1);
  EXPECT_DOUBLE_EQ(least_ranks_of_pairs(9, 4, 4), 1);
  EXPECT_DOUBLE_EQ(least_ranks_of_pairs(.5, 2, 2), 1.5);
  Random random(Seed{16});
  for (int round = 0; round < 3000; ++round) {
    const int k = 1 + static_cast<int>(random.index(8)), most = 1 + static_cast<int>(random.index(4));
    std::vector<int> on(8, 0);
    for (int c = 0; c < k;) {
      int& here = on[random.index(8)];
      if (here < most) ++here, ++c;
    }
    double pairs = 0, ranks = 0;
    for (int c : on) {
      pairs += .5 * c * (c - 1);
      ranks += c > 0;
    }
    EXPECT_LE(least_ranks_of_pairs(pairs, k, most), ranks + 1e-9);
  }
}

// All balanced placements against the bound; `choices` of `experts` on `ranks`.
void try_all_placements(int experts, int ranks, size_t choices, Random& random) {
  const auto n = static_cast<size_t>(experts);
  CompanionLayer layer{experts,
                       ranks,
                       static_cast<int>(choices),
                       40,
                       std::vector<float>(n * n, 0.F),
                       {std::vector<double>(n, 0)},
                       {40.0 * static_cast<double>(choices) / ranks * (1.1 + random.uniform())}};
  std::vector<std::set<int>> tokens;
  for (int t = 0; t < 40; ++t) {
    std::set<int> chosen;
    const auto topic = random.index(n);
    while (chosen.size() < choices)
      chosen.insert(
          static_cast<int>(random.index(4) ? (topic + random.index(choices + 1)) % n : random.index(n)));
    for (int a : chosen) {
      layer.load[0][static_cast<size_t>(a)] += 1;
      for (int b : chosen) layer.together[static_cast<size_t>(experts * a + b)] += a != b ? 1.F : 0.F;
    }
    tokens.push_back(std::move(chosen));
  }
  double best = 1e9;
  std::vector<int> place;
  for (int e = 0; e < experts; ++e) place.push_back(e / (experts / ranks));
  do {
    std::vector<double> load(static_cast<size_t>(ranks), 0);
    for (size_t e = 0; e < n; ++e) load[static_cast<size_t>(place[e])] += layer.load[0][e];
    if (*std::max_element(load.begin(), load.end()) > layer.cap[0]) continue;
    double sum = 0;
    for (const std::set<int>& token : tokens) {
      std::set<int> on;
      for (int e : token) on.insert(place[static_cast<size_t>(e)]);
      sum += static_cast<double>(on.size());
    }
    best = std::min(best, sum / 40);
  } while (std::next_permutation(place.begin(), place.end()));
  if (best > 1e8) return;
  for (const int cuts : {0, 3}) EXPECT_LE(distinct_ranks_bound(layer, Seconds(5), cuts, {}), best + 1e-9);
}

TEST(HomeBound, is_never_above_the_best_of_all_placements) {
  Random random(Seed{17});
  for (int round = 0; round < 40; ++round) {
    try_all_placements(6, 3, 3, random);
    try_all_placements(8, 2, 4, random);
    try_all_placements(8, 4, 4, random);
    try_all_placements(8, 2, 5, random);
  }
}

}  // namespace
}  // namespace orrery::place
