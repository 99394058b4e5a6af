// Robust least squares with priors on positive constants, in their logarithms (Levenberg–Marquardt, numerical
// slopes):
//   minimize Σ_i weight_i · huber(residual_i(x)) + Σ_j prior_weight · ((log x_j − log centre_j) / spread_j)²
//   / 2
// The residuals are filled in chunks by several threads and summed in order: the same bits for any number of
// threads.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace orrery::cost {

struct RobustPrior {
  double centre = 1, spread = .3;  // spread: standard deviation of the logarithm
};

struct RobustFitOptions {
  double prior_weight = .3;
  double huber_width = .15;
  int most_steps = 25;
  int threads = 1;
};

// residual(x, i): of row i at constants x; pure.
std::vector<double> robust_fit(std::span<const RobustPrior> priors, std::span<const double> weight,
                               const std::function<double(const std::vector<double>& x, size_t i)>& residual,
                               const RobustFitOptions& options);

}  // namespace orrery::cost
