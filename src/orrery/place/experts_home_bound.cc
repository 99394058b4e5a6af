#include "orrery/place/experts_home_bound.h"

#include <algorithm>

#include "orrery/solve/coupled_bound.h"

namespace orrery::place {

double least_ranks_of_pairs(double pairs, int k, int most) {
  // A token on d ranks has fewest pairs that share one where its choices lie as evenly as they can. The
  // points (fewest pairs, d) lie below all others, and one more pair saves less and less.
  auto fewest_pairs = [&](int d) {
    const double low = k / d, full = k % d;  // `full` ranks have one choice more
    return .5 * (full * (low + 1) * low + (d - full) * low * (low - 1));
  };
  const int fewest = (k + most - 1) / most;
  for (int d = k; d > fewest; --d) {
    const double from = fewest_pairs(d), to = fewest_pairs(d - 1);
    if (pairs <= to) return d - std::max(0.0, pairs - from) / (to - from);
  }
  return fewest;
}

double distinct_ranks_bound(const CompanionLayer& layer, Seconds limit, int cut_rounds,
                            const RunContext& context) {
  const auto n = static_cast<size_t>(layer.experts);
  const int per_rank = layer.experts / layer.ranks;
  if (layer.tokens <= 0) return 0;
  // The layer beside itself: an expert always shares a rank with itself, which a weight above all others
  // makes sure of in the program too.
  solve::CoupledLayers twice;
  twice.places = layer.ranks;
  twice.levels = {{1, 1}};
  twice.items = {layer.experts, layer.experts};
  std::vector<float> weight(n * n);
  double self = 1, total = 0;
  for (size_t i = 0; i < n; ++i) {
    double row = 0;
    for (size_t j = 0; j < n; ++j)
      row += i == j ? 0 : static_cast<double>(layer.together[i * n + j]) / layer.tokens;
    self = std::max(self, row);
    total += row;
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j)
      weight[i * n + j] =
          static_cast<float>(i == j ? self : static_cast<double>(layer.together[i * n + j]) / layer.tokens);
  }
  twice.coupling = {std::move(weight)};
  for (size_t p = 0; p < layer.load.size(); ++p) {
    twice.load.push_back({layer.load[p], layer.load[p]});
    twice.cap.push_back({layer.cap[p], layer.cap[p]});
  }
  twice.finish();
  const double apart = solve::coupled_lower_bound(twice, {.limit = limit, .cut_rounds = cut_rounds}, context);
  const double pairs = std::max(0.0, total - apart) / 2;  // each pair stands twice
  return least_ranks_of_pairs(pairs * (1 + 1e-6), layer.top_k, per_rank);
}

}  // namespace orrery::place
