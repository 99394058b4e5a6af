#include "orrery/solve/scenario_peaks.h"

#include <algorithm>

namespace orrery::solve {
namespace {

constexpr size_t kLanes = 8;  // sums are kept in lanes, so that they vectorize and stay the same everywhere

}  // namespace

Scenarios::Scenarios(std::span<const float> amount, size_t items, int places) {
  const size_t given = items > 0 ? amount.size() / items : 0;
  std::vector<size_t> kept;
  std::vector<float> scale;
  for (size_t s = 0; s < given; ++s) {
    double total = 0;
    float largest = 0;
    for (size_t i = 0; i < items; ++i) {
      total += static_cast<double>(amount[s * items + i]);
      largest = std::max(largest, amount[s * items + i]);
    }
    if (total <= 0) continue;
    kept.push_back(s);
    scale.push_back(static_cast<float>(places / total));
    least_ += std::max(1.0, static_cast<double>(largest) * places / total);
  }
  count_ = kept.size();
  if (count_ > 0) least_ /= static_cast<double>(count_);
  padded_ = (count_ + kLanes - 1) / kLanes * kLanes;
  amount_.assign(items * padded_, 0.F);
  for (size_t k = 0; k < count_; ++k) {
    for (size_t i = 0; i < items; ++i) amount_[i * padded_ + k] = amount[kept[k] * items + i] * scale[k];
  }
}

double mean_peak(const Scenarios& scenarios, std::span<const int> place, int places) {
  ScenarioPeaks peaks(scenarios, places);
  peaks.begin(place);
  return peaks.mean();
}

void ScenarioPeaks::begin(std::span<const int> place) {
  const size_t n = scenarios_->padded();
  load_.assign(places_ * n, 0.F);
  for (size_t i = 0; i < place.size(); ++i) {
    float* to = load_.data() + static_cast<size_t>(place[i]) * n;
    const float* from = scenarios_->of(i);
    for (size_t s = 0; s < n; ++s) to[s] += from[s];
  }
  first_at_.resize(n);
  second_at_.resize(n);
  for (std::vector<float>* v : {&first_, &second_, &third_}) v->resize(n);
  rank_places();
}

void ScenarioPeaks::rank_places() {
  const size_t n = scenarios_->padded();
  std::fill(first_.begin(), first_.end(), 0.F);
  std::fill(second_.begin(), second_.end(), 0.F);
  std::fill(third_.begin(), third_.end(), 0.F);
  std::fill(first_at_.begin(), first_at_.end(), -1);
  std::fill(second_at_.begin(), second_at_.end(), -1);
  for (size_t g = 0; g < places_; ++g) {
    const float* load = load_.data() + g * n;
    const int at = static_cast<int>(g);
    for (size_t s = 0; s < n; ++s) {
      const float v = load[s];
      const bool first = v > first_[s], second = v > second_[s];
      third_[s] = second ? second_[s] : std::max(third_[s], v);
      second_at_[s] = first ? first_at_[s] : second ? at : second_at_[s];
      second_[s] = first ? first_[s] : second ? v : second_[s];
      first_at_[s] = first ? at : first_at_[s];
      first_[s] = first ? v : first_[s];
    }
  }
}

double ScenarioPeaks::mean() const {
  double sum = 0;
  for (float v : first_) sum += static_cast<double>(v);
  return scenarios_->count() > 0 ? sum / static_cast<double>(scenarios_->count()) : 0;
}

double ScenarioPeaks::change(size_t i, int g, size_t j, int h) const {
  const size_t n = scenarios_->padded();
  if (n == 0) return 0;
  const float *xi = scenarios_->of(i), *xj = scenarios_->of(j);
  const float *at_g = load_.data() + static_cast<size_t>(g) * n,
              *at_h = load_.data() + static_cast<size_t>(h) * n;
  float sum[kLanes] = {};
  for (size_t from = 0; from < n; from += kLanes) {
    for (size_t k = 0; k < kLanes; ++k) {
      const size_t s = from + k;
      const float moved = xj[s] - xi[s];
      const int first_moves = (first_at_[s] == g) + (first_at_[s] == h);
      const int second_moves = (second_at_[s] == g) + (second_at_[s] == h);
      const float others = first_moves == 0 ? first_[s] : second_moves == 0 ? second_[s] : third_[s];
      const float a = at_g[s] + moved, b = at_h[s] - moved;
      const float larger = a > b ? a : b;
      sum[k] += (others > larger ? others : larger) - first_[s];
    }
  }
  float total = 0;
  for (float v : sum) total += v;
  return static_cast<double>(total) / static_cast<double>(scenarios_->count());
}

void ScenarioPeaks::swap(size_t i, int g, size_t j, int h) {
  const size_t n = scenarios_->padded();
  const float *xi = scenarios_->of(i), *xj = scenarios_->of(j);
  float *at_g = load_.data() + static_cast<size_t>(g) * n, *at_h = load_.data() + static_cast<size_t>(h) * n;
  for (size_t s = 0; s < n; ++s) {
    const float moved = xj[s] - xi[s];
    at_g[s] += moved;
    at_h[s] -= moved;
  }
  rank_places();
}

}  // namespace orrery::solve
