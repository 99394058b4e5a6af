#include "orrery/solve/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "orrery/base/random.h"

namespace orrery::solve {
namespace {

std::vector<double> random_costs(Random& random, int rows, int columns, double forbidden) {
  std::vector<double> cost(static_cast<size_t>(rows * columns));
  for (double& c : cost)
    c = random.uniform() < forbidden ? kForbidden : static_cast<double>(random.index(40)) - 10;
  return cost;
}

// Over all injections of rows into columns: the least sum and the least largest cost.
std::pair<double, double> brute_force(const std::vector<double>& cost, int rows, int columns) {
  std::vector<int> order(static_cast<size_t>(columns));
  std::iota(order.begin(), order.end(), 0);
  double sum = kForbidden, largest = kForbidden;
  do {
    double s = 0, l = -kForbidden;
    for (int r = 0; r < rows; ++r) {
      const double c = cost[static_cast<size_t>(r * columns + order[static_cast<size_t>(r)])];
      s += c;
      l = std::max(l, c);
    }
    sum = std::min(sum, s);
    largest = std::min(largest, l);
  } while (std::next_permutation(order.begin(), order.end()));
  return {sum, largest};
}

TEST(Assignment, equals_brute_force_and_its_prices_prove_it) {
  Random random(Seed{1});
  for (int round = 0; round < 400; ++round) {
    const int columns = 1 + static_cast<int>(random.index(6));
    const int rows = 1 + static_cast<int>(random.index(static_cast<uint64_t>(columns)));
    const std::vector<double> cost = random_costs(random, rows, columns, round % 3 == 0 ? .4 : 0);
    const auto [sum, largest] = brute_force(cost, rows, columns);
    const Assignment least = solve_assignment(cost, rows, columns);
    const Assignment even = solve_bottleneck_assignment(cost, rows, columns);
    ASSERT_EQ(least.feasible(), sum < kForbidden);
    ASSERT_EQ(even.feasible(), sum < kForbidden);
    if (!least.feasible()) continue;
    EXPECT_NEAR(least.cost, sum, 1e-9);
    EXPECT_EQ(even.cost, largest);
    double prices = 0;
    for (int r = 0; r < rows; ++r) prices += least.row_price[static_cast<size_t>(r)];
    for (int c = 0; c < columns; ++c) {
      prices += least.column_price[static_cast<size_t>(c)];
      for (int r = 0; r < rows; ++r)
        EXPECT_LE(least.row_price[static_cast<size_t>(r)] + least.column_price[static_cast<size_t>(c)],
                  cost[static_cast<size_t>(r * columns + c)] + 1e-9);
    }
    EXPECT_NEAR(prices, sum, 1e-9);
  }
}

TEST(Assignment, every_row_has_a_column_of_its_own) {
  Random random(Seed{2});
  const std::vector<double> cost = random_costs(random, 60, 80, 0);
  for (const Assignment& a : {solve_assignment(cost, 60, 80), solve_bottleneck_assignment(cost, 60, 80)}) {
    std::vector<int> columns = a.column_of_row;
    std::sort(columns.begin(), columns.end());
    EXPECT_EQ(std::unique(columns.begin(), columns.end()), columns.end());
  }
}

}  // namespace
}  // namespace orrery::solve
