// Linear regression that outliers do not carry away and a prior holds where data are few.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace orrery::learn {

struct RobustRegressionOptions {
  double prior_sd = 1;    // of each coefficient, centred at 0
  double noise_sd = 0.1;  // of a target around the line
  double huber = 1.345;   // in units of noise_sd: beyond it a residual counts linearly (Huber 1964; 95 %
                          // efficient at the normal)
};

// Coefficients that minimise Σ ρ((y − X·β)/noise_sd) + Σ (β/prior_sd)²/2 with Huber's ρ, by iteratively
// reweighted least squares. features: targets.size() × columns, row-major.
std::vector<double> robust_regression(std::span<const double> features, size_t columns,
                                      std::span<const double> targets,
                                      const RobustRegressionOptions& options = {});

}  // namespace orrery::learn
