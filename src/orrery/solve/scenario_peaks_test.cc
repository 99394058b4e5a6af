#include "orrery/solve/scenario_peaks.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "orrery/base/random.h"

namespace orrery::solve {
namespace {

double brute_peak(const std::vector<float>& amount, const std::vector<int>& place, int places) {
  const size_t items = place.size();
  double sum = 0;
  int counted = 0;
  for (size_t s = 0; s < amount.size() / items; ++s) {
    std::vector<double> load(static_cast<size_t>(places), 0);
    double total = 0;
    for (size_t i = 0; i < items; ++i) {
      load[static_cast<size_t>(place[i])] += static_cast<double>(amount[s * items + i]);
      total += static_cast<double>(amount[s * items + i]);
    }
    if (total == 0) continue;
    sum += *std::max_element(load.begin(), load.end()) * places / total;
    ++counted;
  }
  return counted ? sum / counted : 0;
}

TEST(ScenarioPeaks, changes_and_swaps_equal_a_count_anew_and_nothing_is_below_the_bound) {
  Random random(Seed{7});
  for (int round = 0; round < 40; ++round) {
    const size_t items = 4 + random.index(12), steps = 1 + random.index(20);
    const int places = 2 + static_cast<int>(random.index(4));
    std::vector<float> amount;
    for (size_t k = 0; k < items * steps; ++k)
      amount.push_back(static_cast<float>(random.index(3) ? random.index(30) : 0));
    if (steps > 2) std::fill(amount.begin(), amount.begin() + static_cast<ptrdiff_t>(items), 0.F);
    std::vector<int> place;
    for (size_t i = 0; i < items; ++i)
      place.push_back(static_cast<int>(random.index(static_cast<size_t>(places))));
    const Scenarios scenarios(amount, items, places);
    ScenarioPeaks peaks(scenarios, places);
    peaks.begin(place);
    for (int k = 0; k < 30; ++k) {
      EXPECT_NEAR(peaks.mean(), brute_peak(amount, place, places), 1e-5);
      EXPECT_GE(peaks.mean(), scenarios.least_mean_peak() - 1e-5);
      const size_t i = random.index(items), j = random.index(items);
      if (place[i] == place[j]) continue;
      const double foretold = peaks.mean() + peaks.change(i, place[i], j, place[j]);
      peaks.swap(i, place[i], j, place[j]);
      std::swap(place[i], place[j]);
      EXPECT_NEAR(peaks.mean(), foretold, 1e-5);
    }
  }
}

TEST(ScenarioPeaks, without_scenarios_nothing_waits) {
  const Scenarios none(std::vector<float>{}, 4, 2);
  EXPECT_EQ(mean_peak(none, std::vector<int>{0, 0, 1, 1}, 2), 0);
}

}  // namespace
}  // namespace orrery::solve
