// The second level of cost: a graph of priced operators over time, on one stream of one device.
//
// Time of the device = Σ kernels + what separates them:
//   eager  The host launches kernel i at clock ℓ_i = ℓ_{i−1} + launch; the device starts it at max(end of
//   i−1, ℓ_i). Short
//          kernels thus cost a launch, long ones hide it.
//   replay A captured graph: the host is out of the way, a fixed gap separates kernels.
// Collectives run behind the kernels before them; with `overlap_collectives` they run on a stream of their
// own, and the device waits for them where a consumer needs them or at the end. The engine adds a named term
// per iteration: scheduling, input preparation, sampling, the way back to the user.
//
// Sustained load: a kernel whose model knows what it takes once power has pulled the clock down
// (OperatorCost::sustained) takes that, but for the power that the other kernels leave undrawn; beside it,
// where the power that the operators would draw exceeds the device's limit, clocks fall: the compute-bound
// time grows by the factor `derating` (1 = none), a term of its own.
//
// Bands: an operator model gives each kernel a 90 % band. All runs of one kernel err alike; two kernels of
// one law on one device err alike in part, those of different laws less. With log standard deviations σ and
// times t the sum's is
//   σ² = Σ_i Σ_j ρ_ij (t_i σ_i)(t_j σ_j) / (Σ t)², ρ_ij = 1 (same kernel), `within_law`, `across_laws`,
// for the upper and the lower half apart. Ends of bands are never added. The correlations come from
// leave-one-GPU-out residuals (their share of variance that is common to a GPU); see docs/latency.md.
#pragma once

#include <span>
#include <vector>

#include "orrery/base/interval.h"
#include "orrery/base/timeline.h"
#include "orrery/cost/operator_model.h"

namespace orrery::schedule {

// Which law prices a kernel; its members err together.
enum class Law : uint8_t { Matrix, Attention, Vector, Link, Free };
inline constexpr size_t kLaws = 5;
Law law_of(const graph::Kernel&);

// What software adds around kernels. Each figure has its source in the weights file's section "engine".
struct EngineTerms {
  bool replay = false;       // kernels are replayed from a captured graph
  Seconds launch;            // host time of one launch, eager
  Seconds gap;               // device idle between two kernels of a replayed graph
  Seconds step;              // per iteration, not overlapped with the device
  Seconds per_sequence;      // per running sequence and iteration
  double low = 1, high = 1;  // the 90 % band as factors on step and per_sequence
};

struct ForecastOptions {
  EngineTerms engine;
  int64_t sequences = 1;  // running sequences, for EngineTerms::per_sequence
  bool overlap_collectives = false;
  bool derating = true;     // sustained load lowers clocks; false: as if every kernel ran rested
  int timeline_layer = -1;  // the layer whose events are recorded; −1 = none
  double within_law = 0.3, across_laws = 0.18;
};

struct Forecast {
  Interval<Seconds> time;  // busy + waiting + engine
  Seconds busy;            // Σ kernels, derated
  Seconds waiting;         // launches, gaps, collectives that nothing hides
  Seconds engine;          // the engine's own time
  double derating = 1;     // factor already contained in busy
  Flops flops;
  Bytes traffic;                   // DRAM
  Interval<Joules> energy;         // idle and dynamic
  std::vector<double> executions;  // per kernel of the graph
  Timeline layer;
  bool all_priced = true;
};

// costs: one per kernel of the graph.
Forecast forecast(const graph::Graph&, std::span<const cost::OperatorCost> costs, const hardware::Device&,
                  const ForecastOptions&);

// The band of a sum, as factors on it.
struct BandTerm {
  Law law = Law::Matrix;
  double seconds = 0, low = 1, high = 1;
};
struct Band {
  double low = 1, high = 1;
};
Band combine(std::span<const BandTerm>, double within_law, double across_laws);

}  // namespace orrery::schedule
