#include "orrery/learn/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace orrery::learn {
namespace {

std::vector<double> relative_errors(std::span<const double> predicted, std::span<const double> measured) {
  std::vector<double> errors(predicted.size());
  for (size_t i = 0; i < errors.size(); ++i) errors[i] = std::fabs(predicted[i] / measured[i] - 1);
  return errors;
}

double mean(std::span<const double> values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t j = i; j < end; ++j) rank[order[j]] = .5 * static_cast<double>(i + end - 1);
    i = end;
  }
  return rank;
}

}  // namespace

double mean_absolute_error(std::span<const double> predicted, std::span<const double> measured) {
  return mean(relative_errors(predicted, measured));
}

double median_absolute_error(std::span<const double> predicted, std::span<const double> measured) {
  return quantile(relative_errors(predicted, measured), .5);
}

double weighted_absolute_error(std::span<const double> predicted, std::span<const double> measured) {
  double error = 0, total = 0;
  for (size_t i = 0; i < predicted.size(); ++i) {
    error += std::fabs(predicted[i] - measured[i]);
    total += measured[i];
  }
  return total > 0 ? error / total : 0;
}

double bias(std::span<const double> predicted, std::span<const double> measured) {
  double sum = 0;
  for (size_t i = 0; i < predicted.size(); ++i) sum += predicted[i] / measured[i] - 1;
  return predicted.empty() ? 0 : sum / static_cast<double>(predicted.size());
}

double rank_correlation(std::span<const double> predicted, std::span<const double> measured) {
  const std::vector<double> a = ranks(predicted), b = ranks(measured);
  const double mean_a = mean(a), mean_b = mean(b);
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

double coverage(std::span<const double> low, std::span<const double> high, std::span<const double> measured) {
  size_t inside = 0;
  for (size_t i = 0; i < measured.size(); ++i) inside += measured[i] >= low[i] && measured[i] <= high[i];
  return measured.empty() ? 0 : static_cast<double>(inside) / static_cast<double>(measured.size());
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  const double at = std::clamp(q, 0.0, 1.0) * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), nth, values.end());
  const double low = *nth;
  if (below + 1 >= values.size()) return low;
  const double high = *std::min_element(nth + 1, values.end());
  return low + (at - static_cast<double>(below)) * (high - low);
}

double weighted_quantile(std::span<const double> values, std::span<const double> weights, double q) {
  if (values.empty()) return 0;
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0;
  for (size_t i : order) {
    sum += weights[i];
    if (sum >= q * total) return values[i];
  }
  return values[order.back()];
}

double conformal_quantile(std::vector<double> scores, double q) {
  if (scores.empty()) return 0;
  const double rank = std::ceil((static_cast<double>(scores.size()) + 1) * q);
  const size_t index = std::min(scores.size(), static_cast<size_t>(std::max(1.0, rank))) - 1;
  const auto nth = scores.begin() + static_cast<std::ptrdiff_t>(index);
  std::nth_element(scores.begin(), nth, scores.end());
  return *nth;
}

}  // namespace orrery::learn
