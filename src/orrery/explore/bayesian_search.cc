// Spotlight's search (Sakhuja, Shi, Lin, HPCA 2023) on our cost model: Bayesian linear regression of the
// logarithm of the objective over features of a design, the next design being the one of up to 1,000 random
// ones whose estimate plus one standard deviation is the greatest. After 10 random designs, one a step.
// Features are logarithms of the parameters, area and power; with graph features those of the critical path
// and of the work a core too, which cost a sweep a set of sizes.
#include <algorithm>
#include <cmath>

#include "orrery/explore/mapping_samples.h"
#include "orrery/explore/search_state.h"

namespace orrery::explore {
namespace {

constexpr size_t kStarts = 10, kCandidates = 1000;
constexpr double kPrior = 1e-3;  // precision of every weight

// y ~ N(w·x, s²), w ~ N(0, s²/prior): mean and spread from the Cholesky factor of XᵀX + prior.
class Regression {
 public:
  explicit Regression(size_t features)
      : n_(features), gram_(features * features), moment_(features), weights_(features) {
    for (size_t i = 0; i < n_; ++i) gram_[i * n_ + i] = kPrior;
  }

  void add(const std::vector<double>& x, double y) {
    for (size_t i = 0; i < n_; ++i) {
      for (size_t j = 0; j < n_; ++j) gram_[i * n_ + j] += x[i] * x[j];
      moment_[i] += x[i] * y;
    }
    squares_ += y * y;
    ++rows_;
  }

  void fit() {
    factor_ = gram_;
    for (size_t i = 0; i < n_; ++i) {
      for (size_t j = 0; j <= i; ++j) {
        double sum = factor_[i * n_ + j];
        for (size_t k = 0; k < j; ++k) sum -= factor_[i * n_ + k] * factor_[j * n_ + k];
        factor_[i * n_ + j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / factor_[j * n_ + j];
      }
    }
    weights_ = forward(moment_);
    double explained = 0;
    for (double v : weights_) explained += v * v;
    for (size_t i = n_; i-- > 0;) {
      for (size_t k = i + 1; k < n_; ++k) weights_[i] -= factor_[k * n_ + i] * weights_[k];
      weights_[i] /= factor_[i * n_ + i];
    }
    variance_ = std::max((squares_ - explained) / static_cast<double>(rows_), 1e-8);
  }

  double optimistic(const std::vector<double>& x) const {
    double mean = 0, spread = 0;
    for (size_t i = 0; i < n_; ++i) mean += weights_[i] * x[i];
    for (double v : forward(x)) spread += v * v;
    return mean + std::sqrt(variance_ * spread);
  }

 private:
  std::vector<double> forward(std::vector<double> v) const {
    for (size_t i = 0; i < n_; ++i) {
      for (size_t k = 0; k < i; ++k) v[i] -= factor_[i * n_ + k] * v[k];
      v[i] /= factor_[i * n_ + i];
    }
    return v;
  }
  size_t n_, rows_ = 0;
  std::vector<double> gram_, factor_, moment_, weights_;
  double squares_ = 0, variance_ = 1;
};

// The objective as Spotlight sees it: operators one after another, each at the best of the mappings drawn.
double mapped_objective(SearchState& state, const DesignPoint& design, Random& random) {
  std::vector<double> seconds;
  for (size_t w = 0; w < state.study().workloads.size(); ++w)
    seconds.push_back(sampled_seconds(state.study(), w, design, state.options().mapping_samples, random));
  return state.evaluator().score(design, std::move(seconds)).objective;
}

std::vector<double> features(SearchState& state, const DesignPoint& p) {
  const DesignPrices::Price price = state.evaluator().prices().price(p);
  std::vector<double> x = {1,
                           std::log(p.matrix_cores),
                           std::log(p.columns),
                           std::log(p.rows),
                           std::log(p.vector_cores),
                           std::log(p.lanes),
                           std::log(static_cast<double>(p.global_buffer)) - 17,
                           std::log(price.core_area) + 9,
                           std::log(price.tdp) - 5};
  if (state.options().graph_features) {
    // The bounds are objectives of what no schedule beats: the critical path with its work, and work alone.
    for (double bound : {state.evaluator().critical_path_bound(p), state.evaluator().work_bound(p)})
      x.push_back(bound > 0 ? std::log(bound) : 0);
  }
  return x;
}

}  // namespace

SearchEnd search_by_regression(SearchState& state) {
  std::vector<DesignPoint> designs = state.designs();
  if (designs.empty()) return {solve::Stop::Infeasible, {}, {}};
  Random random(state.context().seed);
  std::optional<Regression> regression;
  const uint64_t most = std::min<uint64_t>(state.options().most_evaluations, designs.size());
  for (uint64_t tried = 0; tried < most && !state.must_end(); ++tried) {
    size_t chosen = tried + random.index(designs.size() - tried);
    if (tried >= kStarts) {
      regression->fit();
      double best = -1e300;
      const size_t offers = std::min<size_t>(kCandidates, designs.size() - tried);
      for (size_t i = 0; i < offers; ++i) {
        const size_t candidate =
            offers < kCandidates ? tried + i : tried + random.index(designs.size() - tried);
        const double value = regression->optimistic(features(state, designs[candidate]));
        if (value > best) best = value, chosen = candidate;
      }
    }
    std::swap(designs[tried], designs[chosen]);
    const std::vector<double> x = features(state, designs[tried]);
    if (!regression) regression.emplace(x.size());
    double objective = state.record(designs[tried]).objective;
    if (state.options().mapping_samples > 0) objective = mapped_objective(state, designs[tried], random);
    regression->add(x, std::log(std::max(objective, 1e-300)));
  }
  return {state.ended().value_or(solve::Stop::WorkLimit), {}, {}};
}

}  // namespace orrery::explore
