#include "orrery/cost/fit/robust_fit.h"

#include <algorithm>
#include <cmath>

#include "orrery/base/threads.h"

namespace orrery::cost {

namespace {

constexpr size_t kChunk = 512;
constexpr int kMostTrials = 6;
constexpr double kDifference = 1e-3, kMostMove = .5, kConverged = 1e-4;

// Solves the symmetric positive system in place (Cholesky); false where it is not positive.
bool solve_positive(std::vector<double>& a, std::vector<double>& b) {
  const size_t n = b.size();
  for (size_t j = 0; j < n; ++j) {
    for (size_t k = 0; k < j; ++k)
      for (size_t i = j; i < n; ++i) a[i * n + j] -= a[i * n + k] * a[j * n + k];
    if (!(a[j * n + j] > 0)) return false;
    double root = std::sqrt(a[j * n + j]);
    for (size_t i = j; i < n; ++i) a[i * n + j] /= root;
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return true;
}

std::vector<double> exponentials(const std::vector<double>& x) {
  std::vector<double> out(x.size());
  std::transform(x.begin(), x.end(), out.begin(), [](double v) { return std::exp(v); });
  return out;
}

}  // namespace

std::vector<double> robust_fit(std::span<const RobustPrior> priors, std::span<const double> weight,
                               const std::function<double(const std::vector<double>& x, size_t i)>& residual,
                               const RobustFitOptions& options) {
  const size_t n = priors.size(), m = weight.size();
  const double width = options.huber_width;
  std::vector<double> centre(n), precision(n);
  for (size_t j = 0; j < n; ++j) {
    centre[j] = std::log(priors[j].centre);
    precision[j] = options.prior_weight / (priors[j].spread * priors[j].spread);
  }
  auto evaluate = [&](const std::vector<double>& x, std::vector<double>& r) {
    r.resize(m);
    std::vector<double> constants = exponentials(x);
    parallel_for(m, kChunk, options.threads, [&](size_t begin, size_t end, size_t) {
      for (size_t i = begin; i < end; ++i) r[i] = residual(constants, i);
    });
  };
  auto loss = [&](const std::vector<double>& x, const std::vector<double>& r) {
    double sum = 0;
    for (size_t i = 0; i < m; ++i) {
      double a = std::abs(r[i]);
      sum += weight[i] * (a < width ? .5 * a * a : width * (a - .5 * width));
    }
    for (size_t j = 0; j < n; ++j) sum += .5 * precision[j] * (x[j] - centre[j]) * (x[j] - centre[j]);
    return sum;
  };
  std::vector<double> x = centre, r, trial;
  evaluate(x, r);
  double cost = loss(x, r), damping = 1e-2;
  for (int step = 0; step < options.most_steps; ++step) {
    std::vector<std::vector<double>> slope(n);
    for (size_t j = 0; j < n; ++j) {
      std::vector<double> moved = x;
      moved[j] += kDifference;
      evaluate(moved, trial);
      slope[j].resize(m);
      for (size_t i = 0; i < m; ++i) slope[j][i] = (trial[i] - r[i]) / kDifference;
    }
    std::vector<double> robust(m);
    for (size_t i = 0; i < m; ++i)
      robust[i] = weight[i] * std::min(1., width / std::max(std::abs(r[i]), 1e-12));
    std::vector<double> normal(n * n, 0), gradient(n);
    for (size_t a = 0; a < n; ++a) {
      for (size_t b = 0; b <= a; ++b) {
        double sum = 0;
        for (size_t i = 0; i < m; ++i) sum += robust[i] * slope[a][i] * slope[b][i];
        normal[a * n + b] = normal[b * n + a] = sum;
      }
      double sum = 0;
      for (size_t i = 0; i < m; ++i) sum += robust[i] * slope[a][i] * r[i];
      gradient[a] = -sum - precision[a] * (x[a] - centre[a]);
      normal[a * n + a] += precision[a];
    }
    bool better = false, converged = false;
    for (int t = 0; t < kMostTrials && !better; ++t) {
      std::vector<double> matrix = normal, move = gradient;
      for (size_t a = 0; a < n; ++a) matrix[a * n + a] *= 1 + damping;
      damping *= 4;
      if (!solve_positive(matrix, move)) continue;
      std::vector<double> next = x;
      for (size_t a = 0; a < n; ++a) next[a] += std::clamp(move[a], -kMostMove, kMostMove);
      evaluate(next, trial);
      double trial_cost = loss(next, trial);
      if (trial_cost < cost) {
        better = true;
        converged = cost - trial_cost < kConverged * cost;
        x = next;
        r = trial;
        cost = trial_cost;
        damping = std::max(1e-6, damping * .075);
      }
    }
    if (!better || converged) break;
  }
  return exponentials(x);
}

}  // namespace orrery::cost
