#include "orrery/solve/max_flow.h"

#include <gtest/gtest.h>

#include "orrery/base/random.h"
#include "orrery/solve/linear_program.h"

namespace orrery::solve {
namespace {

TEST(MaxFlow, equals_the_least_cut_over_all_cuts) {
  Random random(Seed{5});
  for (int round = 0; round < 200; ++round) {
    const int nodes = 2 + static_cast<int>(random.index(6));
    struct Arc {
      int from, to;
      double capacity;
    };
    std::vector<Arc> arcs;
    MaxFlow flow(nodes);
    for (int k = 0; k < 3 * nodes; ++k) {
      Arc arc{static_cast<int>(random.index(static_cast<uint64_t>(nodes))),
              static_cast<int>(random.index(static_cast<uint64_t>(nodes))), random.uniform()};
      arcs.push_back(arc);
      flow.add_arc(arc.from, arc.to, arc.capacity);
    }
    double least = 1e300;
    for (int set = 0; set < 1 << nodes; ++set) {
      if (!(set & 1) || (set >> (nodes - 1) & 1)) continue;
      double cut = 0;
      for (const Arc& arc : arcs) cut += (set >> arc.from & 1) && !(set >> arc.to & 1) ? arc.capacity : 0;
      least = std::min(least, cut);
    }
    EXPECT_NEAR(flow.solve(0, nodes - 1), least, 1e-9);
  }
}

// min θ over splits as a linear program.
double by_linear_program(const std::vector<double>& amount, int places,
                         const std::vector<Holding>& holdings) {
  LinearProgram program;
  const int theta = program.add_column(0, kUnbounded, 1);
  for (size_t k = 0; k < holdings.size(); ++k) program.add_column(0, kUnbounded, 0);
  for (size_t i = 0; i < amount.size(); ++i) {
    std::vector<Term> terms;
    for (size_t k = 0; k < holdings.size(); ++k) {
      if (holdings[k].item == static_cast<int>(i)) terms.push_back({static_cast<int>(k) + 1, 1});
    }
    program.add_row(amount[i], amount[i], terms);
  }
  for (int g = 0; g < places; ++g) {
    std::vector<Term> terms{{theta, -1}};
    for (size_t k = 0; k < holdings.size(); ++k) {
      if (holdings[k].place == g) terms.push_back({static_cast<int>(k) + 1, 1});
    }
    program.add_row(-kUnbounded, 0, terms);
  }
  return LinearSolver(program).solve().objective;
}

TEST(FairSplit, equals_the_linear_program_and_serves_every_item) {
  Random random(Seed{6});
  for (int round = 0; round < 200; ++round) {
    const int items = 1 + static_cast<int>(random.index(8)), places = 1 + static_cast<int>(random.index(5));
    std::vector<double> amount(static_cast<size_t>(items));
    std::vector<Holding> holdings;
    for (int i = 0; i < items; ++i) {
      amount[static_cast<size_t>(i)] = random.index(5) == 0 ? 0 : random.uniform() * 100;
      const auto first = static_cast<int>(random.index(static_cast<uint64_t>(places)));
      for (int g = 0; g < places; ++g) {
        if (g == first || random.uniform() < .3) holdings.push_back({i, g});
      }
    }
    const FairSplit split = solve_fair_split(amount, places, holdings);
    EXPECT_NEAR(split.largest_load, by_linear_program(amount, places, holdings), 1e-6);
    std::vector<double> load(static_cast<size_t>(places)), served(static_cast<size_t>(items));
    for (size_t k = 0; k < holdings.size(); ++k) {
      load[static_cast<size_t>(holdings[k].place)] += split.amount[k];
      served[static_cast<size_t>(holdings[k].item)] += split.amount[k];
    }
    for (double l : load) EXPECT_LE(l, split.largest_load + 1e-6);
    for (size_t i = 0; i < amount.size(); ++i) EXPECT_NEAR(served[i], amount[i], 1e-6);
  }
}

}  // namespace
}  // namespace orrery::solve
