#include "orrery/graph/experts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <vector>

namespace orrery::graph {
namespace {

struct Loads {
  double active = 0, fullest = 0;
};

Loads simulated(int tokens, int experts, int chosen) {
  constexpr int kRuns = 400;
  std::mt19937 random(7);
  std::vector<int> order(static_cast<size_t>(experts)), load(static_cast<size_t>(experts));
  std::iota(order.begin(), order.end(), 0);
  Loads mean;
  for (int run = 0; run < kRuns; ++run) {
    std::ranges::fill(load, 0);
    for (int token = 0; token < tokens; ++token) {
      for (int k = 0; k < chosen; ++k) {  // the first `chosen` of a shuffle
        std::swap(order[static_cast<size_t>(k)],
                  order[static_cast<size_t>(k) + random() % static_cast<size_t>(experts - k)]);
        ++load[static_cast<size_t>(order[static_cast<size_t>(k)])];
      }
    }
    mean.active += static_cast<double>(std::ranges::count_if(load, [](int l) { return l > 0; })) / kRuns;
    mean.fullest += static_cast<double>(std::ranges::max(load)) / kRuns;
  }
  return mean;
}

TEST(Experts, expectations_agree_with_simulated_routing) {
  for (auto [tokens, experts, chosen] : {std::array{1, 8, 2},
                                         {4, 8, 2},
                                         {64, 8, 2},
                                         {1000, 8, 2},
                                         {16, 60, 4},
                                         {64, 128, 8},
                                         {1, 256, 8},
                                         {32, 256, 8},
                                         {2048, 256, 8}}) {
    Loads loads = simulated(tokens, experts, chosen);
    EXPECT_NEAR(expected_active_experts(tokens, experts, chosen) / loads.active, 1, 0.02)
        << tokens << " of " << experts;
    double mean = static_cast<double>(tokens) * chosen / experts;
    EXPECT_NEAR(expected_fullest_expert(tokens, experts, chosen) / loads.fullest, 1, mean >= 8 ? 0.01 : 0.05)
        << tokens << " of " << experts;
  }
}

TEST(Experts, borders) {
  EXPECT_EQ(expected_active_experts(1, 8, 8), 8);
  EXPECT_EQ(expected_fullest_expert(17, 4, 4), 17);
  EXPECT_NEAR(expected_active_experts(1, 256, 8), 8, 1e-9);
  EXPECT_EQ(expected_fullest_expert(1, 256, 8), 1);
  EXPECT_NEAR(expected_fullest_expert(1'000'000, 8, 2) / 250'000, 1, 0.01);
}

}  // namespace
}  // namespace orrery::graph
