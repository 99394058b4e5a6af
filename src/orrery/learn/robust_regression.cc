#include "orrery/learn/robust_regression.h"

#include <algorithm>
#include <cmath>

namespace orrery::learn {
namespace {

constexpr int kIterations = 50;
constexpr double kConverged = 1e-10;

// Solves a symmetric positive definite system in place (Cholesky); `a` is columns × columns, row-major.
void solve_spd(std::vector<double>& a, std::vector<double>& b) {
  size_t n = b.size();
  for (size_t j = 0; j < n; ++j) {
    for (size_t k = 0; k < j; ++k) a[j * n + j] -= a[j * n + k] * a[j * n + k];
    a[j * n + j] = std::sqrt(a[j * n + j]);
    for (size_t i = j + 1; i < n; ++i) {
      for (size_t k = 0; k < j; ++k) a[i * n + j] -= a[i * n + k] * a[j * n + k];
      a[i * n + j] /= a[j * n + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
}

}  // namespace

std::vector<double> robust_regression(std::span<const double> features, size_t columns,
                                      std::span<const double> targets,
                                      const RobustRegressionOptions& options) {
  std::vector<double> beta(columns, 0.0);
  double prior_precision = options.noise_sd * options.noise_sd / (options.prior_sd * options.prior_sd);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    std::vector<double> normal(columns * columns, 0.0), right(columns, 0.0);
    for (size_t c = 0; c < columns; ++c) normal[c * columns + c] = prior_precision;
    for (size_t row = 0; row < targets.size(); ++row) {
      const double* x = features.data() + row * columns;
      double residual = targets[row];
      for (size_t c = 0; c < columns; ++c) residual -= x[c] * beta[c];
      double standardized = std::abs(residual) / options.noise_sd;
      double weight = standardized <= options.huber ? 1 : options.huber / standardized;
      for (size_t i = 0; i < columns; ++i) {
        right[i] += weight * x[i] * targets[row];
        for (size_t j = 0; j < columns; ++j) normal[i * columns + j] += weight * x[i] * x[j];
      }
    }
    solve_spd(normal, right);
    double moved = 0;
    for (size_t c = 0; c < columns; ++c) moved = std::max(moved, std::abs(right[c] - beta[c]));
    beta = std::move(right);
    if (moved < kConverged) break;
  }
  return beta;
}

}  // namespace orrery::learn
