// The arithmetic of NeuSight: an operator cut into tiles, tiles into waves, and what share of the roofline a
// wave reaches.
//
//   blocks B·⌈M/t_M⌉·⌈N/t_N⌉ (products), rows·⌈H/t⌉ (vector operators);  waves w = ⌈blocks / SMs⌉
//   a tile's work  c = 2·t_M·K·t_N FLOP, b = 4(t_M·K + K·t_N + t_M·t_N) bytes;  c = f·t, b = m·t for vector
//                  operators of f FLOP and m bytes an output
//   intensity I of the operator with M and N (or H) rounded up to whole tiles; roofline R = min(F, I·BW)
//   time = w · SMs · c / (R·u),  u = σ(γ) − σ(α)/w  with (α, β, γ) from a perceptron, β unused, fed with
//   log2 of c/(F/SMs), b/(BW/SMs), w·b/(memory/SMs), w·b/(L2/SMs), in GFLOP by TFLOP/s and in MiB by GB/s,
//   MiB and KiB.
// Everything is FP32: four bytes an element. K is the contraction here, as everywhere.
#pragma once

#include <array>

#include "orrery/cost/neusight/operator.h"
#include "orrery/cost/neusight/options.h"

namespace orrery::cost {

// Products: rows of M and columns of N that a block computes. Vector operators: elements a block, in
// `columns`.
struct NeuSightTile {
  double rows = 0, columns = 0;
};

struct NeuSightGeometry {
  double blocks = 0, waves = 0;
  double flops_per_tile = 0, bytes_per_tile = 0;
  double intensity = 0;  // FLOP per byte, per 2³⁰/10⁹ bytes where gigabytes are binary
  double rate = 0;       // FLOP/s
  bool compute_bound = false;
  double ideal = 0;  // s: the time at utilization 1
  std::array<float, 4> features{};
};

NeuSightGeometry neusight_geometry(const NeuSightOperator&, const NeuSightTile&, const NeuSightDevice&,
                                   const NeuSightOptions&);

// u of the network's outputs. Difference can come out at zero or below.
double neusight_utilization(double alpha, double gamma, double waves, NeuSightOptions::Utilization);

// What is left of u where the difference would make time infinite or negative.
inline constexpr double kLeastUtilization = 1e-3;

// The symmetric error |y − p| / (y + p) of a time against the measured one, and its derivatives by α and γ.
// Utilizations under kLeastUtilization count as that, with the slope that they have there.
struct NeuSightLoss {
  double value = 0, by_alpha = 0, by_gamma = 0;
};
NeuSightLoss neusight_loss(double alpha, double gamma, double waves, double ideal, double measured,
                           NeuSightOptions::Utilization);

}  // namespace orrery::cost
