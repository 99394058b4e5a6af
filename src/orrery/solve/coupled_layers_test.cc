#include "orrery/solve/coupled_layers.h"

#include <gtest/gtest.h>

#include <functional>

#include "orrery/solve/coupled_bound.h"
#include "orrery/solve/coupled_exact.h"

namespace orrery::solve {
namespace {

CoupledLayers random_problem(Random& random, int layers, int items, int places, int profiles) {
  CoupledLayers problem;
  problem.places = places;
  problem.levels = {{1, 1 + random.uniform()}};
  if (places % 2 == 0 && random.index(2)) problem.levels.push_back({places / 2, 8});
  problem.items.assign(static_cast<size_t>(layers), items);
  for (int l = 0; l + 1 < layers; ++l) {
    std::vector<float> w(static_cast<size_t>(items * items));
    for (float& v : w) v = static_cast<float>(random.index(20));
    problem.coupling.push_back(w);
  }
  for (int p = 0; p < profiles; ++p) {
    std::vector<std::vector<double>> load(static_cast<size_t>(layers));
    std::vector<double> cap;
    for (auto& of_layer : load) {
      double sum = 0;
      for (int i = 0; i < items; ++i) sum += of_layer.emplace_back(1 + random.uniform());
      cap.push_back(sum / places * (1.02 + .2 * random.uniform()));
    }
    problem.load.push_back(load);
    problem.cap.push_back(cap);
  }
  problem.finish();
  return problem;
}

double brute_force(const CoupledLayers& problem, int room) {
  double best = 1e300;
  Placement placement(problem.items.size(), std::vector<int>(static_cast<size_t>(problem.items[0])));
  std::function<void(size_t, size_t)> place = [&](size_t l, size_t i) {
    if (l == placement.size()) {
      best = std::min(best, coupled_cost(problem, placement));
      return;
    }
    if (i == placement[l].size()) {
      if (cap_violation(problem, placement, static_cast<int>(l)) == 0) place(l + 1, 0);
      return;
    }
    for (int g = 0; g < problem.places; ++g) {
      if (std::count(placement[l].begin(), placement[l].begin() + static_cast<ptrdiff_t>(i), g) == room)
        continue;
      placement[l][i] = g;
      place(l, i + 1);
    }
  };
  place(0, 0);
  return best;
}

Placement contiguous(const CoupledLayers& problem, int room) {
  Placement placement(problem.items.size());
  for (size_t l = 0; l < placement.size(); ++l) {
    for (int i = 0; i < problem.items[l]; ++i) placement[l].push_back(i / room);
  }
  return placement;
}

TEST(CoupledLayers, exact_chain_equals_brute_force_under_caps) {
  Random random(Seed{11});
  int solved = 0;
  for (int round = 0; round < 60; ++round) {
    const int places = 2 + static_cast<int>(random.index(2)),
              room = places == 2 ? 2 : 1 + static_cast<int>(random.index(2));
    const int layers = room * places > 4 ? 2 : 3;
    const CoupledLayers problem =
        random_problem(random, layers, room * places, places, static_cast<int>(random.index(3)));
    const std::vector<int> rooms(static_cast<size_t>(places), room);
    const double best = brute_force(problem, room);
    const auto exact = solve_coupled_exact(problem, rooms, {});
    ASSERT_EQ(exact.has_value(), best < 1e300);
    if (!exact) continue;
    ++solved;
    EXPECT_NEAR(exact->cost, best, 1e-9 * best);
    EXPECT_NEAR(coupled_cost(problem, exact->placement), best, 1e-9 * best);
  }
  EXPECT_GT(solved, 20);
}

TEST(CoupledLayers, a_change_of_one_layer_is_exact_from_its_table) {
  Random random(Seed{12});
  const CoupledLayers problem = random_problem(random, 4, 12, 4, 0);
  Placement placement = contiguous(problem, 3);
  for (int l = 0; l < 4; ++l) {
    std::vector<float> table;
    coupled_table(problem, placement, l, table);
    auto alone = [&] {
      double sum = 0;
      for (size_t i = 0; i < 12; ++i)
        sum += static_cast<double>(table[static_cast<size_t>(placement[static_cast<size_t>(l)][i]) * 12 + i]);
      return sum;
    };
    const double before = coupled_cost(problem, placement), table_before = alone();
    for (int k = 0; k < 10; ++k)
      std::swap(placement[static_cast<size_t>(l)][random.index(12)],
                placement[static_cast<size_t>(l)][random.index(12)]);
    EXPECT_NEAR(coupled_cost(problem, placement) - before, alone() - table_before, 1e-2);
  }
}

TEST(CoupledLayers, annealing_keeps_caps_rooms_and_twins_apart_and_comes_near_the_optimum) {
  Random random(Seed{13});
  double worst = 0;
  for (int round = 0; round < 12; ++round) {
    CoupledLayers problem = random_problem(random, 5, 8, 4, 1);
    for (double& cap : problem.cap[0]) cap *= 1.05;
    const std::vector<int> rooms(4, 2);
    const auto exact = solve_coupled_exact(problem, rooms, {});
    if (!exact) continue;
    RunContext context;
    context.seed = Seed{static_cast<uint64_t>(round)};
    const AnnealResult result = anneal_coupled(problem, contiguous(problem, 2), {.sweeps = 1000}, context);
    for (int l = 0; l < 5; ++l) EXPECT_EQ(cap_violation(problem, result.placement, l), 0);
    EXPECT_NEAR(result.cost, coupled_cost(problem, result.placement), 1e-6 * result.cost);
    EXPECT_GE(result.cost, exact->cost * (1 - 1e-9));
    worst = std::max(worst, result.cost / exact->cost - 1);
  }
  EXPECT_LT(worst, .05);

  CoupledLayers problem = random_problem(random, 3, 8, 4, 0);
  problem.twins.assign(3, {0, 1, 2, 3, 0, 1, 2, 3});
  Placement start(3, std::vector<int>{0, 1, 2, 3, 1, 2, 3, 0});
  const AnnealResult result = anneal_coupled(problem, start, {}, {});
  for (const std::vector<int>& layer : result.placement) {
    for (size_t i = 0; i < 4; ++i) EXPECT_NE(layer[i], layer[i + 4]);
  }
}

TEST(CoupledLayers, no_bound_is_above_the_optimum) {
  Random random(Seed{15});
  int compared = 0;
  for (int round = 0; round < 1000; ++round) {
    const int places = 2 + static_cast<int>(random.index(2)), room = 1 + static_cast<int>(random.index(2));
    const CoupledLayers problem = random_problem(random, 2 + static_cast<int>(random.index(2)), room * places,
                                                 places, static_cast<int>(random.index(3)));
    const auto exact = solve_coupled_exact(problem, std::vector<int>(static_cast<size_t>(places), room), {});
    if (!exact) continue;
    ++compared;
    for (const int program : {0, 128}) {
      const double bound =
          coupled_lower_bound(problem, {.cut_rounds = round % 3, .largest_program = program}, {});
      EXPECT_LE(bound, exact->cost * (1 + 1e-6));
    }
  }
  EXPECT_GT(compared, 300);
}

TEST(CoupledLayers, the_answer_does_not_depend_on_threads) {
  Random random(Seed{14});
  const CoupledLayers problem = random_problem(random, 40, 256, 16, 1);
  RunContext one, two;
  one.threads = 1;
  two.threads = 2;
  const AnnealResult a = anneal_coupled(problem, contiguous(problem, 16), {.sweeps = .5}, one);
  const AnnealResult b = anneal_coupled(problem, contiguous(problem, 16), {.sweeps = .5}, two);
  EXPECT_EQ(a.placement, b.placement);
}

}  // namespace
}  // namespace orrery::solve
