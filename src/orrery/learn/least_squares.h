// Levenberg-Marquardt for laws with named constants: robust residuals, priors that hold a constant which the
// rows do not show, bounds, and derivatives by differences over threads.
//
// Minimized over u (a constant, or its logarithm where `logarithmic`):
//   Σ w_i ρ(r_i(u) / noise) + prior_weight Σ ((u_j − prior_j) / spread_j)² / 2,   ρ of Huber (1964)
// with damping after Marquardt (1963). The same bits come out for any number of threads.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace orrery::learn {

struct FitParameter {
  std::string name;
  double prior = 1;         // where the fit starts, and the centre of the prior
  double spread = .3;       // standard deviation of the prior, of the logarithm where `logarithmic`
  bool logarithmic = true;  // fitted as a logarithm: positive always; prior must be positive
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
};

struct LeastSquaresOptions {
  double noise = .1;        // expected size of a residual
  double huber = 1.345;     // in units of noise: beyond it a residual counts linearly
  double prior_weight = 1;  // of the priors against the rows
  int iterations = 30;
  double tolerance = 1e-4;  // stop when a step lowers the objective by less than this share
  int threads = 1;
};

struct LeastSquaresFit {
  std::vector<double> value;  // of the constants, in the order of the parameters
  double objective = 0;
  int iterations = 0;
  bool converged = false;
};

// Writes the residuals of the rows, size `rows`, at `constants`; called from several threads.
using ResidualFunction = std::function<void(std::span<const double> constants, std::span<double> residuals)>;

// `weights`: of the rows, or empty for 1 each. Residuals that are not finite count as no improvement.
// Precondition: spreads are positive, priors lie within their bounds.
LeastSquaresFit fit_least_squares(std::span<const FitParameter> parameters, const ResidualFunction& residuals,
                                  size_t rows, std::span<const double> weights,
                                  const LeastSquaresOptions& options);

}  // namespace orrery::learn
