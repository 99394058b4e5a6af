#include "orrery/cost/fit/fit_fp32_band.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "orrery/learn/least_squares.h"
#include "orrery/learn/metrics.h"
#include "orrery/learn/student_t.h"

namespace orrery::cost {
namespace {

constexpr double kConfidence = .9;
constexpr double kNoise = .15;       // of a row, of the logarithm
constexpr double kRowsWorth = 200;   // rows of one GPU are not independent: so many count at most
constexpr double kPriorWeight = .1;  // the factors are to be found, not to be held
constexpr double kMostError = .6;    // of a row in a scatter
constexpr double kTypical = .1, kTypicalWeight = .02;  // scatter of a factor that hardly any row shows
constexpr double kShown = .05;  // mean square elasticity from which a GPU tells a factor in full
constexpr double kPriorGpus = 1;
constexpr size_t kQuantiles = 64;

using Rows = std::vector<const Fp32BandRow*>;

std::array<double, kFp32Effects> factors_of(const Rows& rows, const Fp32Effects& prior) {
  std::vector<learn::FitParameter> parameters;
  for (auto field : kFp32EffectFields)
    parameters.push_back({.name = "factor", .prior = 0, .spread = prior.*field, .logarithmic = false});
  learn::LeastSquaresOptions options;
  options.noise = kNoise;
  options.huber = 1;
  options.prior_weight = kPriorWeight;
  const std::vector<double> weights(rows.size(), std::min(1., kRowsWorth / static_cast<double>(rows.size())));
  auto left = [&](std::span<const double> factor, std::span<double> out) {
    for (size_t i = 0; i < rows.size(); ++i) {
      out[i] = rows[i]->residual;
      for (size_t f = 0; f < kFp32Effects; ++f) out[i] -= factor[f] * rows[i]->elasticity[f];
    }
  };
  const auto value = learn::fit_least_squares(parameters, left, rows.size(), weights, options).value;
  std::array<double, kFp32Effects> factors{};
  std::copy(value.begin(), value.end(), factors.begin());
  return factors;
}

// Midpoints of kQuantiles equal slices, so that two distributions are summed pair by pair.
double slice(size_t i) {
  return (static_cast<double>(i) + .5) / kQuantiles;
}

std::vector<double> slices(const std::vector<double>& values, const std::vector<double>& weights) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  const double total = std::accumulate(weights.begin(), weights.end(), 0.);
  std::vector<double> quantiles(kQuantiles, values[order.back()]);
  double sum = 0;
  size_t next = 0;
  for (size_t i : order) {
    sum += weights[i];
    while (next < kQuantiles && sum >= slice(next) * total) quantiles[next++] = values[i];
  }
  return quantiles;
}

void tabulate(const std::vector<double>& scatter, int gpus, Fp32Band* band) {
  std::vector<double> sums(kQuantiles * kQuantiles);
  const std::vector<double> equal(sums.size(), 1);
  for (size_t step = 0; step <= Fp32Band::kSteps; ++step) {
    const double spread = static_cast<double>(step) / Fp32Band::kSteps, rest = std::sqrt(1 - spread * spread);
    for (size_t i = 0; i < kQuantiles; ++i) {
      const double t = learn::student_t_quantile(slice(i), gpus);
      for (size_t j = 0; j < kQuantiles; ++j) sums[i * kQuantiles + j] = spread * t + rest * scatter[j];
    }
    band->low[step] = std::min(0., learn::weighted_quantile(sums, equal, (1 - kConfidence) / 2));
    band->high[step] = std::max(0., learn::weighted_quantile(sums, equal, (1 + kConfidence) / 2));
  }
}

}  // namespace

Fp32Band fit_fp32_band(std::span<const Fp32BandRow> rows, const Fp32Effects& prior) {
  std::map<size_t, Rows> gpus;
  for (const Fp32BandRow& row : rows) gpus[row.gpu].push_back(&row);
  Fp32Band band;
  if (gpus.empty()) return band;

  std::array<double, kFp32Effects> squares{}, count{}, errors{}, shown{};
  for (size_t f = 0; f < kFp32Effects; ++f) {
    squares[f] = kPriorGpus * std::pow(prior.*kFp32EffectFields[f], 2);
    count[f] = kPriorGpus;
    errors[f] = kTypicalWeight * kTypical * kTypical;
    shown[f] = kTypicalWeight;
  }
  std::vector<const Fp32BandRow*> order;
  std::vector<double> left, weight;
  for (const auto& [gpu, own] : gpus) {
    const auto factors = factors_of(own, prior);
    const double n = static_cast<double>(own.size());
    double trust = 0;
    for (const Fp32BandRow* row : own) trust += row->trust / n;
    for (size_t f = 0; f < kFp32Effects; ++f) {
      double square = 0;
      for (const Fp32BandRow* row : own) square += row->elasticity[f] * row->elasticity[f] / n;
      const double told = trust * std::min(1., square / kShown);
      squares[f] += told * factors[f] * factors[f];
      count[f] += told;
    }
    for (const Fp32BandRow* row : own) {
      double error = row->residual;
      for (size_t f = 0; f < kFp32Effects; ++f) error -= factors[f] * row->elasticity[f];
      order.push_back(row);
      left.push_back(error);
      weight.push_back(row->trust / n);
      const double square = std::min(error * error, kMostError * kMostError);
      for (size_t f = 0; f < kFp32Effects; ++f) {
        errors[f] += weight.back() * row->elasticity[f] * square;
        shown[f] += weight.back() * row->elasticity[f];
      }
    }
  }
  for (size_t f = 0; f < kFp32Effects; ++f) {
    band.spread[f] = std::sqrt(squares[f] / count[f] * (1 + 1 / count[f]));
    band.scatter[f] = std::sqrt(errors[f] / shown[f]);
  }
  for (size_t i = 0; i < left.size(); ++i) left[i] /= band.scatter_of(order[i]->elasticity);
  tabulate(slices(left, weight), static_cast<int>(*std::max_element(count.begin(), count.end())), &band);
  return band;
}

}  // namespace orrery::cost
