// How far predictions are from what was measured. All spans of one call have the same size; an empty one
// gives 0.
#pragma once

#include <span>
#include <vector>

namespace orrery::learn {

double mean_absolute_error(std::span<const double> predicted, std::span<const double> measured);  // relative
double median_absolute_error(std::span<const double> predicted,
                             std::span<const double> measured);  // relative
// Σ |predicted − measured| / Σ measured: what an error costs a sum of times.
double weighted_absolute_error(std::span<const double> predicted, std::span<const double> measured);
// Mean of predicted / measured − 1: its sign tells one-sided errors.
double bias(std::span<const double> predicted, std::span<const double> measured);
// Spearman's: the correlation of ranks, ties at their mean rank.
double rank_correlation(std::span<const double> predicted, std::span<const double> measured);
// Share of measured values in [low, high].
double coverage(std::span<const double> low, std::span<const double> high, std::span<const double> measured);

// The q-quantile by linear interpolation between order statistics (type 7 of Hyndman and Fan 1996).
double quantile(std::vector<double> values, double q);
// Each value counts by its weight; the smallest value at which the cumulated share reaches q.
double weighted_quantile(std::span<const double> values, std::span<const double> weights, double q);
// The conformal quantile of scores: the ⌈(n + 1) q⌉-th smallest, the largest where that lies beyond n. A new
// score exchangeable with these lies at or below it with probability of at least q (Vovk et al. 2005).
double conformal_quantile(std::vector<double> scores, double q);

}  // namespace orrery::learn
