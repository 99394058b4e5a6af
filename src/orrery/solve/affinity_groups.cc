#include "orrery/solve/affinity_groups.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

namespace orrery::solve {

int AffinityProblem::items() const {
  return static_cast<int>(std::lround(std::sqrt(static_cast<double>(affinity.size()))));
}

double affinity_cost(const AffinityProblem& problem, const std::vector<int>& place) {
  const size_t n = place.size();
  double cost = 0;
  for (const DistanceLevel& level : problem.levels) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i + 1; j < n; ++j) {
        if (place[i] / level.group != place[j] / level.group)
          cost += level.step * static_cast<double>(problem.affinity[i * n + j]);
      }
    }
  }
  if (problem.scenarios && problem.waiting > 0)
    cost += problem.waiting * mean_peak(*problem.scenarios, place, problem.places);
  return cost;
}

namespace {

class Search {
 public:
  Search(const AffinityProblem& problem, std::vector<int> start)
      : problem_(problem), n_(start.size()), place_(std::move(start)) {
    for (const DistanceLevel& level : problem.levels) {
      std::vector<float> kept(static_cast<size_t>(problem.places / level.group) * n_, 0.F);
      for (size_t j = 0; j < n_; ++j) {
        float* to = kept.data() + static_cast<size_t>(place_[j] / level.group) * n_;
        for (size_t i = 0; i < n_; ++i) to[i] += i == j ? 0.F : problem.affinity[j * n_ + i];
      }
      kept_.push_back(std::move(kept));
    }
    if (problem.scenarios && problem.waiting > 0 && problem.scenarios->count() > 0) {
      peaks_.emplace(*problem.scenarios, problem.places);
      peaks_->begin(place_);
    }
    load_.assign(problem.load.size() * static_cast<size_t>(problem.places), 0);
    for (size_t p = 0; p < problem.load.size(); ++p) {
      for (size_t i = 0; i < n_; ++i) load(p, place_[i]) += problem.load[p][i];
    }
  }
  size_t items() const { return n_; }
  const std::vector<int>& place() const { return place_; }
  bool same(size_t i, size_t j) const { return place_[i] == place_[j]; }

  double change(size_t i, size_t j) const {
    double sum = 0;
    for (size_t v = 0; v < kept_.size(); ++v) {
      const DistanceLevel& level = problem_.levels[v];
      const auto g = static_cast<size_t>(place_[i] / level.group),
                 h = static_cast<size_t>(place_[j] / level.group);
      if (g == h) continue;
      const float* k = kept_[v].data();
      sum += level.step * static_cast<double>(k[g * n_ + i] - k[h * n_ + i] + k[h * n_ + j] - k[g * n_ + j] +
                                              2 * problem_.affinity[i * n_ + j]);
    }
    if (peaks_) sum += problem_.waiting * peaks_->change(i, place_[i], j, place_[j]);
    return sum;
  }
  int caps_after(size_t i, size_t j) const {  // −1 better, 0 same, 1 worse
    double before = 0, after = 0;
    for (size_t p = 0; p < problem_.load.size(); ++p) {
      const double limit = problem_.cap[p] * (1 + 1e-12), delta = problem_.load[p][j] - problem_.load[p][i];
      const double at_g = load(p, place_[i]), at_h = load(p, place_[j]);
      before += (std::max(0.0, at_g - limit) + std::max(0.0, at_h - limit)) / limit;
      after += (std::max(0.0, at_g + delta - limit) + std::max(0.0, at_h - delta - limit)) / limit;
    }
    return after > before ? 1 : after < before - 1e-12 ? -1 : 0;
  }
  void swap(size_t i, size_t j) {
    for (size_t v = 0; v < kept_.size(); ++v) {
      const int group = problem_.levels[v].group;
      if (place_[i] / group == place_[j] / group) continue;
      float* at_g = kept_[v].data() + static_cast<size_t>(place_[i] / group) * n_;
      float* at_h = kept_[v].data() + static_cast<size_t>(place_[j] / group) * n_;
      const float *row_i = problem_.affinity.data() + i * n_, *row_j = problem_.affinity.data() + j * n_;
      for (size_t q = 0; q < n_; ++q) {
        const float d = (q == j ? 0.F : row_j[q]) - (q == i ? 0.F : row_i[q]);
        at_g[q] += d;
        at_h[q] -= d;
      }
    }
    for (size_t p = 0; p < problem_.load.size(); ++p) {
      const double delta = problem_.load[p][j] - problem_.load[p][i];
      load(p, place_[i]) += delta;
      load(p, place_[j]) -= delta;
    }
    if (peaks_) peaks_->swap(i, place_[i], j, place_[j]);
    std::swap(place_[i], place_[j]);
  }

 private:
  double& load(size_t p, int g) {
    return load_[p * static_cast<size_t>(problem_.places) + static_cast<size_t>(g)];
  }
  double load(size_t p, int g) const {
    return load_[p * static_cast<size_t>(problem_.places) + static_cast<size_t>(g)];
  }
  const AffinityProblem& problem_;
  size_t n_;
  std::vector<int> place_;
  std::vector<std::vector<float>> kept_;  // [level][group * items + i]: affinity of i to the group's items
  std::vector<double> load_;
  std::optional<ScenarioPeaks> peaks_;
};

}  // namespace

std::vector<int> anneal_affinity(const AffinityProblem& problem, std::vector<int> start, double sweeps,
                                 const RunContext& context) {
  Search search(problem, std::move(start));
  Random random(context.seed);
  const size_t n = search.items();
  std::vector<double> sample;
  for (int k = 0; k < 256; ++k) {
    const size_t i = random.index(n), j = random.index(n);
    if (!search.same(i, j)) sample.push_back(std::abs(search.change(i, j)));
  }
  if (sample.empty()) return search.place();
  std::nth_element(sample.begin(), sample.begin() + static_cast<ptrdiff_t>(sample.size() / 2), sample.end());
  const double hot = .6 * sample[sample.size() / 2] + 1e-12, cold = .004 * hot;
  const auto proposals = static_cast<size_t>(sweeps * static_cast<double>(n * n) / 2);
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  auto share_spent = [&] {  // of the time; 0 where it is not limited
    if (!context.time) return 0.0;
    return std::chrono::duration<double>(Clock::now() - began).count() / context.time->value();
  };
  double temperature = hot;
  for (size_t k = 0; k < proposals; ++k) {
    if (k % 1024 == 0) {
      const double spent = share_spent(),
                   progress = std::max(spent, static_cast<double>(k) / static_cast<double>(proposals));
      temperature = hot * std::pow(cold / hot, progress);
      if (spent > 1 || context.stop.stop_requested()) break;
    }
    const size_t i = random.index(n), j = random.index(n);
    if (search.same(i, j)) continue;
    const double change = search.change(i, j);
    const bool likely = change <= 0 || random.uniform() < std::exp(-change / temperature);
    const int caps = search.caps_after(i, j);
    if (caps > 0 || (!likely && caps == 0)) continue;
    search.swap(i, j);
  }
  for (bool changed = true; changed && share_spent() <= 1 && !context.stop.stop_requested();) {
    changed = false;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i + 1; j < n; ++j) {
        if (search.same(i, j) || search.change(i, j) >= -1e-6 * hot || search.caps_after(i, j) > 0) continue;
        search.swap(i, j);
        changed = true;
      }
    }
  }
  return search.place();
}

}  // namespace orrery::solve
