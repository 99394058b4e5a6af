#include "orrery/cost/neusight/law.h"

#include <algorithm>
#include <cmath>

namespace orrery::cost {
namespace {

constexpr double kBytes = 4;

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

NeuSightGeometry neusight_geometry(const NeuSightOperator& op, const NeuSightTile& tile,
                                   const NeuSightDevice& device, const NeuSightOptions& options) {
  const bool binary = options.gigabyte == NeuSightOptions::Gigabyte::Binary;
  const double kilo = binary ? 1024 : 1000, mega = kilo * kilo, giga = kilo * mega;
  const bool product = is_product(op.kind);
  const double peak_gflops = product ? device.matrix_gflops : device.vector_gflops;

  NeuSightGeometry g;
  double flops, bytes;
  if (product) {
    const double down = std::ceil(op.m / tile.rows), across = std::ceil(op.n / tile.columns);
    g.blocks = op.batch * down * across;
    g.flops_per_tile = 2 * tile.rows * op.k * tile.columns;
    g.bytes_per_tile = kBytes * (tile.rows * op.k + op.k * tile.columns + tile.rows * tile.columns);
    flops = 2 * down * tile.rows * op.k * across * tile.columns;
    bytes = kBytes * (op.m * op.k + op.k * op.n + op.m * op.n);
  } else {
    const double across = std::ceil(op.n / tile.columns);
    g.blocks = op.m * across;
    g.flops_per_tile = op.flops_per_output * tile.columns;
    g.bytes_per_tile = op.bytes_per_output * tile.columns;
    flops = op.flops_per_output * across * tile.columns;
    bytes = op.bytes_per_output * op.n;
  }
  g.waves = options.waves == NeuSightOptions::Waves::Whole ? std::ceil(g.blocks / device.multiprocessors)
                                                           : std::max(1., g.blocks / device.multiprocessors);
  g.intensity = flops / bytes * (giga / 1e9);
  const double peak = peak_gflops * 1e9, fed = g.intensity * device.bandwidth_gb_s * 1e9;
  g.compute_bound = peak <= fed;
  g.rate = std::min(peak, fed);
  g.ideal = g.waves * device.multiprocessors * g.flops_per_tile / g.rate;

  const double share = 1 / device.multiprocessors, megabytes = g.bytes_per_tile / mega;
  const double features[] = {g.flops_per_tile / 1e9 / (peak_gflops / 1e3 * share),
                             megabytes / (device.bandwidth_gb_s * share),
                             g.waves * megabytes / (device.memory_gb * kilo * share),
                             g.waves * megabytes / (device.l2_mb * kilo * share)};
  for (size_t i = 0; i < g.features.size(); ++i) g.features[i] = static_cast<float>(std::log2(features[i]));
  return g;
}

double neusight_utilization(double alpha, double gamma, double waves, NeuSightOptions::Utilization form) {
  return form == NeuSightOptions::Utilization::Difference ? sigmoid(gamma) - sigmoid(alpha) / waves
                                                          : sigmoid(gamma) * (1 - sigmoid(alpha) / waves);
}

NeuSightLoss neusight_loss(double alpha, double gamma, double waves, double ideal, double measured,
                           NeuSightOptions::Utilization form) {
  const double a = sigmoid(alpha), c = sigmoid(gamma);
  const double u = std::max(kLeastUtilization, neusight_utilization(alpha, gamma, waves, form));
  const double p = ideal / u, y = measured;
  NeuSightLoss loss;
  loss.value = std::abs(y - p) / (y + p);
  const double by_time = (p > y ? 2 : -2) * y / ((y + p) * (y + p));
  const double by_u = by_time * -p / u;
  const bool difference = form == NeuSightOptions::Utilization::Difference;
  loss.by_alpha = by_u * -(difference ? 1 : c) * a * (1 - a) / waves;
  loss.by_gamma = by_u * c * (1 - c) * (difference ? 1 : 1 - a / waves);
  return loss;
}

}  // namespace orrery::cost
