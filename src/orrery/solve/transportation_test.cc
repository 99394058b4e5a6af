#include "orrery/solve/transportation.h"

#include <gtest/gtest.h>

#include <functional>

#include "orrery/base/random.h"
#include "orrery/solve/assignment.h"

namespace orrery::solve {
namespace {

double brute_force(const std::vector<double>& cost, int items, std::vector<int> room) {
  double best = kForbidden;
  const auto places = room.size();
  std::function<void(int, double)> place = [&](int i, double sum) {
    if (i == items) {
      best = std::min(best, sum);
      return;
    }
    for (size_t g = 0; g < places; ++g) {
      if (room[g] == 0) continue;
      --room[g];
      place(i + 1, sum + cost[static_cast<size_t>(i) * places + g]);
      ++room[g];
    }
  };
  place(0, 0);
  return best;
}

// The same problem as a network, for MinCostFlow.
double as_network(const std::vector<double>& cost, int items, const std::vector<int>& room) {
  const int places = static_cast<int>(room.size()), source = items + places, sink = source + 1;
  MinCostFlow flow(items + places + 2);
  for (int i = 0; i < items; ++i) {
    flow.add_arc(source, i, 1, 0);
    for (int g = 0; g < places; ++g) {
      const double c = cost[static_cast<size_t>(i * places + g)];
      if (c < kForbidden) flow.add_arc(i, items + g, 1, c);
    }
  }
  for (int g = 0; g < places; ++g) flow.add_arc(items + g, sink, room[static_cast<size_t>(g)], 0);
  const MinCostFlow::Result result = flow.solve(source, sink, items);
  return result.flow == items ? result.cost : kForbidden;
}

TEST(Transportation, equals_brute_force_and_the_general_flow) {
  Random random(Seed{3});
  for (int round = 0; round < 300; ++round) {
    const int items = 1 + static_cast<int>(random.index(6)), places = 1 + static_cast<int>(random.index(4));
    std::vector<int> room(static_cast<size_t>(places));
    for (int& r : room) r = static_cast<int>(random.index(4));
    std::vector<double> cost(static_cast<size_t>(items * places));
    for (double& c : cost)
      c = round % 4 == 0 && random.uniform() < .3 ? kForbidden : static_cast<double>(random.index(30)) - 9;
    const double best = brute_force(cost, items, room);
    const Transport plan = solve_transportation(cost, items, room);
    ASSERT_EQ(plan.feasible, best < kForbidden);
    EXPECT_EQ(as_network(cost, items, room), best);
    if (plan.feasible) {
      EXPECT_NEAR(plan.cost, best, 1e-9);
    }
  }
}

TEST(Transportation, fills_no_place_beyond_its_room_at_size) {
  Random random(Seed{4});
  const int items = 256, places = 32;
  std::vector<int> room(places, 8);
  std::vector<double> cost(items * places);
  for (double& c : cost) c = random.uniform();
  const Transport plan = solve_transportation(cost, items, room);
  ASSERT_TRUE(plan.feasible);
  for (int g : plan.place_of_item) EXPECT_GE(--room[static_cast<size_t>(g)], 0);
  EXPECT_NEAR(plan.cost, as_network(cost, items, std::vector<int>(places, 8)), 1e-9);
}

TEST(MinCostFlow, reports_flows_that_obey_capacities) {
  MinCostFlow flow(4);
  const int cheap = flow.add_arc(0, 1, 2, 1), dear = flow.add_arc(0, 2, 5, 3);
  flow.add_arc(1, 3, 9, 0);
  flow.add_arc(2, 3, 9, 0);
  const MinCostFlow::Result result = flow.solve(0, 3, 4);
  EXPECT_EQ(result.flow, 4);
  EXPECT_EQ(flow.flow(cheap), 2);
  EXPECT_EQ(flow.flow(dear), 2);
  EXPECT_EQ(result.cost, 8);
}

}  // namespace
}  // namespace orrery::solve
