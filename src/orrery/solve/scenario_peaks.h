// Work that comes in scenarios (the steps of an engine, the hours of a day): in each, all places wait for the
// fullest. The mean over scenarios of the fullest place is what waiting costs, and it is not the fullest
// place of summed work: sums hide what waits.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace orrery::solve {

// What items carry in each scenario, scaled so that the mean place carries 1: a peak of 1 is perfect balance.
class Scenarios {
 public:
  Scenarios() = default;
  // amount[s * items + i], >= 0. Scenarios in which nothing is carried are left out.
  Scenarios(std::span<const float> amount, size_t items, int places);
  size_t count() const { return count_; }
  size_t padded() const { return padded_; }  // a multiple of 8; what lies past count() carries nothing
  const float* of(size_t item) const { return amount_.data() + item * padded_; }
  // No placement of items on places has a smaller mean peak: the mean place and the largest item of each.
  double least_mean_peak() const { return least_; }

 private:
  size_t count_ = 0, padded_ = 0;
  double least_ = 0;
  std::vector<float> amount_;  // [item][scenario]
};

double mean_peak(const Scenarios& scenarios, std::span<const int> place, int places);

// The peaks of one placement while items are swapped. A change costs O(scenarios), a swap O(scenarios ·
// places).
class ScenarioPeaks {
 public:
  ScenarioPeaks(const Scenarios& scenarios, int places)
      : scenarios_(&scenarios), places_(static_cast<size_t>(places)) {}
  void begin(std::span<const int> place);
  double mean() const;
  // Of the mean peak, when items i on g and j on h change places; g and h differ.
  double change(size_t i, int g, size_t j, int h) const;
  void swap(size_t i, int g, size_t j, int h);

 private:
  void rank_places();
  const Scenarios* scenarios_;
  size_t places_;
  std::vector<float> load_;                    // [place][scenario]
  std::vector<float> first_, second_, third_;  // the three largest loads of each scenario
  std::vector<int> first_at_, second_at_;      // and where the first two are
};

}  // namespace orrery::solve
