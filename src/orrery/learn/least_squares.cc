#include "orrery/learn/least_squares.h"

#include <algorithm>
#include <cmath>

#include "orrery/base/threads.h"

namespace orrery::learn {
namespace {

double huber_loss(double z, double width) {
  const double size = std::fabs(z);
  return size <= width ? .5 * z * z : width * (size - .5 * width);
}

// Solves matrix · x = x for a symmetric positive definite matrix (row-major, size n × n); false where it is
// not.
bool solve_cholesky(std::vector<double>& matrix, std::vector<double>& x, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = matrix[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= matrix[i * n + k] * matrix[j * n + k];
      if (i == j) {
        if (!(sum > 0)) return false;
        matrix[i * n + i] = std::sqrt(sum);
      } else {
        matrix[i * n + j] = sum / matrix[j * n + j];
      }
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) x[i] -= matrix[i * n + k] * x[k];
    x[i] /= matrix[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) x[i] -= matrix[k * n + i] * x[k];
    x[i] /= matrix[i * n + i];
  }
  return true;
}

class Problem {
 public:
  Problem(std::span<const FitParameter> parameters, const ResidualFunction& residuals, size_t rows,
          std::span<const double> weights, const LeastSquaresOptions& options)
      : parameters_(parameters), residuals_(residuals), rows_(rows), weights_(weights), options_(options) {
    for (const FitParameter& p : parameters_) centre_.push_back(inner(p, p.prior));
  }

  static double inner(const FitParameter& p, double value) { return p.logarithmic ? std::log(value) : value; }
  const std::vector<double>& centre() const { return centre_; }
  double weight(size_t row) const { return weights_.empty() ? 1 : weights_[row]; }

  std::vector<double> outer(const std::vector<double>& u) const {
    std::vector<double> value(u.size());
    for (size_t i = 0; i < u.size(); ++i) {
      const FitParameter& p = parameters_[i];
      value[i] = std::clamp(p.logarithmic ? std::exp(u[i]) : u[i], p.low, p.high);
    }
    return value;
  }

  void evaluate(const std::vector<double>& u, std::vector<double>& residuals) const {
    residuals.resize(rows_);
    residuals_(outer(u), residuals);
  }

  double objective(const std::vector<double>& u, const std::vector<double>& residuals) const {
    double sum = 0;
    for (size_t i = 0; i < rows_; ++i)
      sum += weight(i) * huber_loss(residuals[i] / options_.noise, options_.huber);
    for (size_t i = 0; i < u.size(); ++i) {
      const double z = (u[i] - centre_[i]) / parameters_[i].spread;
      sum += .5 * options_.prior_weight * z * z;
    }
    return sum;
  }

  // One row of the Jacobian a parameter: each is written by one thread.
  std::vector<std::vector<double>> jacobian(const std::vector<double>& u,
                                            const std::vector<double>& at) const {
    std::vector<std::vector<double>> rows(u.size());
    parallel_for(u.size(), 1, options_.threads, [&](size_t begin, size_t end, size_t) {
      for (size_t i = begin; i < end; ++i) {
        std::vector<double> moved = u;
        const double step = std::max(1e-6, .02 * parameters_[i].spread);
        moved[i] += step;
        evaluate(moved, rows[i]);
        for (size_t j = 0; j < rows_; ++j) rows[i][j] = (rows[i][j] - at[j]) / step;
      }
    });
    return rows;
  }

  // The Gauss-Newton matrix and gradient of the objective; rows beyond the Huber width weigh less.
  void normal_equations(const std::vector<double>& u, const std::vector<double>& residuals,
                        std::vector<double>& matrix, std::vector<double>& gradient) const {
    const size_t n = u.size();
    const auto slopes = jacobian(u, residuals);
    std::vector<double> weight_of(rows_);
    for (size_t j = 0; j < rows_; ++j) {
      const double size = std::fabs(residuals[j]) / options_.noise;
      weight_of[j] = weight(j) * (size <= options_.huber ? 1 : options_.huber / size) /
                     (options_.noise * options_.noise);
    }
    matrix.assign(n * n, 0);
    gradient.assign(n, 0);
    parallel_for(n, 1, options_.threads, [&](size_t begin, size_t end, size_t) {
      for (size_t i = begin; i < end; ++i) {
        for (size_t k = 0; k <= i; ++k) {
          double sum = 0;
          for (size_t j = 0; j < rows_; ++j) sum += weight_of[j] * slopes[i][j] * slopes[k][j];
          matrix[i * n + k] = sum;
        }
        for (size_t j = 0; j < rows_; ++j) gradient[i] += weight_of[j] * slopes[i][j] * residuals[j];
        const double precision = options_.prior_weight / (parameters_[i].spread * parameters_[i].spread);
        matrix[i * n + i] += precision;
        gradient[i] += precision * (u[i] - centre_[i]);
      }
    });
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = i + 1; k < n; ++k) matrix[i * n + k] = matrix[k * n + i];
    }
  }

  // At most two prior spreads a step: far outside the prior a law need not make sense.
  std::vector<double> stepped(const std::vector<double>& u, const std::vector<double>& direction) const {
    std::vector<double> next = u;
    for (size_t i = 0; i < u.size(); ++i) {
      const FitParameter& p = parameters_[i];
      next[i] += std::clamp(direction[i], -2 * p.spread, 2 * p.spread);
      const bool bounded_below = p.logarithmic ? p.low > 0 : std::isfinite(p.low);
      if (bounded_below) next[i] = std::max(next[i], inner(p, p.low));
      if (std::isfinite(p.high)) next[i] = std::min(next[i], inner(p, p.high));
    }
    return next;
  }

 private:
  std::span<const FitParameter> parameters_;
  const ResidualFunction& residuals_;
  size_t rows_;
  std::span<const double> weights_;
  const LeastSquaresOptions& options_;
  std::vector<double> centre_;
};

}  // namespace

LeastSquaresFit fit_least_squares(std::span<const FitParameter> parameters, const ResidualFunction& residuals,
                                  size_t rows, std::span<const double> weights,
                                  const LeastSquaresOptions& options) {
  const size_t n = parameters.size();
  const Problem problem(parameters, residuals, rows, weights, options);
  std::vector<double> u = problem.centre(), at, trial, matrix, gradient;
  problem.evaluate(u, at);
  LeastSquaresFit fit;
  fit.objective = problem.objective(u, at);
  double damping = 1e-2;
  while (fit.iterations < options.iterations && !fit.converged) {
    ++fit.iterations;
    problem.normal_equations(u, at, matrix, gradient);
    bool improved = false;
    for (int attempt = 0; attempt < 10 && !improved; ++attempt) {
      std::vector<double> damped = matrix, direction(n);
      for (size_t i = 0; i < n; ++i) {
        damped[i * n + i] *= 1 + damping;
        direction[i] = -gradient[i];
      }
      if (solve_cholesky(damped, direction, n)) {
        const std::vector<double> next = problem.stepped(u, direction);
        problem.evaluate(next, trial);
        const double objective = problem.objective(next, trial);
        if (objective < fit.objective) {
          improved = true;
          fit.converged = fit.objective - objective < options.tolerance * fit.objective;
          fit.objective = objective;
          u = next;
          at.swap(trial);
          damping = std::max(damping * .3, 1e-7);
          break;
        }
      }
      damping *= 5;
    }
    if (!improved) fit.converged = true;
  }
  fit.value = problem.outer(u);
  return fit;
}

}  // namespace orrery::learn
