#include "orrery/graph/experts.h"

#include <algorithm>
#include <cmath>

namespace orrery::graph {

double expected_active_experts(int64_t tokens, int64_t experts, int64_t experts_per_token) {
  double e = static_cast<double>(experts), k = static_cast<double>(experts_per_token);
  return -e * std::expm1(static_cast<double>(tokens) * std::log1p(-std::min(1.0, k / e)));
}

double expected_fullest_expert(int64_t tokens, int64_t experts, int64_t experts_per_token) {
  if (experts_per_token >= experts) return static_cast<double>(tokens);
  double n = static_cast<double>(tokens),
         p = static_cast<double>(experts_per_token) / static_cast<double>(experts);
  double mean = n * p, deviation = std::sqrt(mean * (1 - p));
  // Below mean − 9σ nearly every maximum lies above, so each such t adds 1.
  double first = std::max(0.0, std::floor(mean - 9 * deviation));
  double last = std::min(n, std::ceil(mean + 12 * deviation + 12));
  double log_mass = std::lgamma(n + 1) - std::lgamma(first + 1) - std::lgamma(n - first + 1) +
                    first * std::log(p) + (n - first) * std::log1p(-p);
  double mass = std::exp(log_mass), below = mass, expectation = first;
  for (double t = first; t < last; ++t) {
    expectation += 1 - std::pow(std::min(1.0, below), static_cast<double>(experts));
    mass *= (n - t) / (t + 1) * p / (1 - p);
    below += mass;
  }
  double spread = std::sqrt(static_cast<double>(experts) / static_cast<double>(experts - 1));
  return std::clamp(mean + (expectation - mean) * spread, std::ceil(mean), n);
}

}  // namespace orrery::graph
