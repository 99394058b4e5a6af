#include "orrery/solve/coupled_relabel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace orrery::solve {
namespace {

CoupledLayers random_chain(Random& random, int layers, int items, int places, bool nodes) {
  CoupledLayers problem;
  problem.places = places;
  problem.levels = {{1, 1}};
  if (nodes) problem.levels.push_back({places / 2, 8});
  problem.items.assign(static_cast<size_t>(layers), items);
  for (int l = 0; l + 1 < layers; ++l) {
    std::vector<float> w(static_cast<size_t>(items * items));
    for (float& v : w) v = static_cast<float>(random.index(20));
    problem.coupling.push_back(std::move(w));
  }
  problem.finish();
  return problem;
}

Placement random_placement(Random& random, const CoupledLayers& problem) {
  Placement placement;
  for (int n : problem.items) {
    std::vector<int> place(static_cast<size_t>(n));
    for (size_t i = 0; i < place.size(); ++i) place[i] = static_cast<int>(i) % problem.places;
    for (size_t i = place.size(); i > 1; --i) std::swap(place[i - 1], place[random.index(i)]);
    placement.push_back(std::move(place));
  }
  return placement;
}

TEST(CoupledRelabel, best_names_equal_the_best_of_all_renamings_that_keep_groups) {
  Random random(Seed{21});
  for (int round = 0; round < 30; ++round) {
    const bool nodes = random.index(2) > 0;
    const CoupledLayers problem = random_chain(random, 2, 8, 4, nodes);
    Placement placement = random_placement(random, problem);
    double best = 1e300;
    std::vector<int> name(4);
    std::iota(name.begin(), name.end(), 0);
    do {
      if (nodes && name[0] / 2 != name[1] / 2) continue;
      Placement other = placement;
      for (int& g : other[1]) g = name[static_cast<size_t>(g)];
      best = std::min(best, coupled_cost(problem, other));
    } while (std::next_permutation(name.begin(), name.end()));
    relabel_suffixes(problem, placement);
    EXPECT_NEAR(coupled_cost(problem, placement), best, 1e-6);
  }
}

TEST(CoupledRelabel, moves_tell_their_change_and_descents_never_raise_the_cost) {
  Random random(Seed{22});
  for (int round = 0; round < 30; ++round) {
    const CoupledLayers problem = random_chain(random, 5, 8, 4, random.index(2) > 0);
    Placement placement = random_placement(random, problem);
    double cost = coupled_cost(problem, placement);
    for (int k = 0; k < 40; ++k) {
      const size_t first = random.index(5), last = first + 1 + random.index(5 - first);
      cost += swap_names(problem, placement, first, last, 100, random);
      EXPECT_NEAR(cost, coupled_cost(problem, placement), 1e-5);
    }
    exchange_places(problem, placement);
    EXPECT_LE(coupled_cost(problem, placement), cost + 1e-6);
    cost = coupled_cost(problem, placement);
    relabel_suffixes(problem, placement);
    EXPECT_LE(coupled_cost(problem, placement), cost + 1e-6);
  }
}

TEST(CoupledRelabel, recombining_is_never_worse_than_the_best_it_was_given) {
  Random random(Seed{23});
  for (int round = 0; round < 20; ++round) {
    const CoupledLayers problem = random_chain(random, 6, 8, 4, random.index(2) > 0);
    std::vector<Placement> found;
    double best = 1e300;
    for (int k = 0; k < 5; ++k) {
      found.push_back(random_placement(random, problem));
      best = std::min(best, coupled_cost(problem, found.back()));
    }
    EXPECT_LE(coupled_cost(problem, recombine(problem, found)), best + 1e-6);
  }
}

TEST(CoupledRelabel, changes_of_all_layers_together_only_improve_and_leave_minima_of_swaps) {
  Random random(Seed{29});
  int left = 0;
  for (int round = 0; round < 20; ++round) {
    const CoupledLayers problem = random_chain(random, 6, 8, 4, random.index(2) > 0);
    Placement placement = random_placement(random, problem);
    const double cost = descend_coupled(problem, placement, {});
    double violated = 0, violated_after = 0;
    for (int l = 0; l < 6; ++l) violated += cap_violation(problem, placement, l);
    left += descend_together(problem, placement, {}) ? 1 : 0;
    for (int l = 0; l < 6; ++l) violated_after += cap_violation(problem, placement, l);
    EXPECT_TRUE(coupled_cost(problem, placement) <= cost + 1e-6 || violated_after < violated);
    EXPECT_LE(violated_after, violated + 1e-9);
  }
  EXPECT_GT(left, 0);
}

}  // namespace
}  // namespace orrery::solve
