#include "orrery/schedule/forecast.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace orrery::schedule {
namespace {

// No public measurement fixes the energy of a GPU's kernels to better than this: the interval is wide on
// purpose.
constexpr double kEnergyLow = 0.6, kEnergyHigh = 1.5;
// Idle power where the data sheet gives none: a tenth of the limit, between the 7 % of PCIe cards and 14 % of
// SXM boards that nvidia-smi shows on idle machines.
constexpr double kIdleShare = 0.1;

// Of what the power limit leaves above idle, drawn by kernels that the limit does not hold (moves of memory,
// mostly): fitted to whole FP32 models on T4, V100 and A100-PCIe-40GB.
constexpr double kFreeDraw = 0.7;

// Times of the operators, in order, as the host and the device pass through them.
class Walk {
 public:
  Walk(const graph::Graph& graph, const ForecastOptions& options) : graph_(graph), options_(options) {
    if (options.overlap_collectives) ready_.assign(graph.tensors.size(), 0.0);
  }

  void run(const graph::Operator& op, double seconds, bool collective) {
    const EngineTerms& engine = options_.engine;
    double& clock = collective && options_.overlap_collectives ? link_ : device_;
    double start = clock;
    if (options_.overlap_collectives) {
      for (graph::TensorId t : graph_.inputs(op)) start = std::max(start, ready_[graph_.tensors[t].storage]);
    }
    if (seconds > 0) {
      if (engine.replay) {
        start += engine.gap.value();
      } else {
        host_ += engine.launch.value();
        start = std::max(start, host_);
      }
    }
    clock = start + seconds;
    if (options_.overlap_collectives) {
      for (graph::TensorId t : graph_.outputs(op)) ready_[graph_.tensors[t].storage] = clock;
    }
    start_ = start;
  }
  double end() const { return std::max(device_, link_); }
  double start() const { return start_; }

 private:
  const graph::Graph& graph_;
  const ForecastOptions& options_;
  std::vector<double> ready_;  // per storage, when its producer ends
  double host_ = 0, device_ = 0, link_ = 0, start_ = 0;
};

}  // namespace

Law law_of(const graph::Kernel& kernel) {
  Law law = Law::Free;
  for (const graph::OperatorShape& part : kernel.parts) {
    if (part.kind == graph::OperatorKind::Attention) return Law::Attention;
    switch (graph::traits(part.kind).engine) {
      case graph::Engine::Matrix:
        return Law::Matrix;
      case graph::Engine::Link:
        return Law::Link;
      case graph::Engine::Vector:
        law = Law::Vector;
        break;
      case graph::Engine::None:
        break;
    }
  }
  return law;
}

Band combine(std::span<const BandTerm> terms, double within_law, double across_laws) {
  // Per law: Σ a and Σ a² of a = t·σ. The double sum over pairs then needs no pairs:
  // Σ_ij ρ a_i a_j = across (Σ_all a)² + (within − across) Σ_law (Σ a)² + (1 − within) Σ a².
  double total = 0, all[2] = {}, squares[2] = {};
  std::array<std::array<double, 2>, kLaws> by_law{};
  for (const BandTerm& term : terms) {
    total += term.seconds;
    const double sigma[2] = {-std::log(std::clamp(static_cast<double>(term.low), 1e-3, 1.0)),
                             std::log(std::max(1.0, term.high))};
    for (int side = 0; side < 2; ++side) {
      double a = term.seconds * sigma[side];
      all[side] += a;
      squares[side] += a * a;
      by_law[static_cast<size_t>(term.law)][static_cast<size_t>(side)] += a;
    }
  }
  if (total <= 0) return {};
  double width[2];
  for (int side = 0; side < 2; ++side) {
    double laws = 0;
    for (const auto& sums : by_law) laws += sums[static_cast<size_t>(side)] * sums[static_cast<size_t>(side)];
    double variance = across_laws * all[side] * all[side] + (within_law - across_laws) * laws +
                      (1 - within_law) * squares[side];
    width[side] = std::sqrt(std::max(0.0, variance)) / total;
  }
  return {std::exp(-width[0]), std::exp(width[1])};
}

Forecast forecast(const graph::Graph& graph, std::span<const cost::OperatorCost> costs,
                  const hardware::Device& device, const ForecastOptions& options) {
  Forecast result;
  result.executions.assign(graph.kernels.size(), 0);
  for (const graph::Operator& op : graph.operators) ++result.executions[op.kernel];

  const auto compute_bound_kernel = [&](size_t k) {
    return costs[k].bound_by == cost::Bound::Compute || costs[k].bound_by == cost::Bound::Power;
  };
  std::vector<double> seconds(costs.size());
  // Power is averaged over milliseconds: what kernels leave that draw less than the limit, those may draw
  // that it holds. Only the rest of their excess slows them.
  double excess_time = 0, spare = 0;
  for (size_t k = 0; options.derating && k < costs.size(); ++k) {
    const double n = result.executions[k], longer = costs[k].sustained.value() - costs[k].time.value();
    if (longer > 0) {
      excess_time += n * longer;
    } else {
      spare += n * costs[k].time.value() * (1 - kFreeDraw);
    }
  }
  const double held = excess_time > spare ? 1 - spare / excess_time : 0;
  double dynamic = 0, busy = 0, compute_bound = 0, rested = 0;
  for (size_t k = 0; k < costs.size(); ++k) {
    seconds[k] = costs[k].time.value();
    const double n = result.executions[k];
    if (compute_bound_kernel(k)) rested += n * seconds[k];
    if (options.derating) seconds[k] += held * std::max(0., costs[k].sustained.value() - seconds[k]);
    const double time = seconds[k];
    dynamic += n * costs[k].energy.value();
    busy += n * time;
    if (compute_bound_kernel(k)) compute_bound += n * time;
    result.flops += costs[k].flops * n;
    result.traffic += costs[k].traffic[cost::kDram] * n;
    if (n > 0) result.all_priced = result.all_priced && costs[k].priced;
  }
  double idle = device.idle.value() > 0 ? device.idle.value() : kIdleShare * device.tdp.value();
  double limit = device.tdp.value() - idle;
  double stretched = 1;
  if (options.derating && limit > 0 && compute_bound > 0 && dynamic > limit * busy) {
    // Only arithmetic slows with the clock: the share of compute-bound time stretches until the mean power
    // fits.
    double excess = dynamic / limit - busy;
    stretched = 1 + excess / compute_bound;
  }
  if (rested > 0) result.derating = stretched * compute_bound / rested;

  std::vector<uint8_t> link(costs.size());
  std::vector<BandTerm> bands;
  bands.reserve(costs.size() + 1);
  for (size_t k = 0; k < costs.size(); ++k) {
    if (compute_bound_kernel(k)) seconds[k] *= stretched;
    Law law = law_of(graph.kernels[k]);
    link[k] = law == Law::Link;
    bands.push_back({law, seconds[k] * result.executions[k], costs[k].low, costs[k].high});
    result.busy += Seconds(seconds[k] * result.executions[k]);
  }

  Walk walk(graph, options);
  for (const graph::Operator& op : graph.operators) {
    walk.run(op, seconds[op.kernel], link[op.kernel]);
    if (options.timeline_layer >= 0 && op.layer == options.timeline_layer && seconds[op.kernel] > 0) {
      if (result.layer.lanes.empty()) result.layer.lanes = {"compute", "links"};
      auto name = std::find(result.layer.names.begin(), result.layer.names.end(), graph.names[op.name]);
      auto index = static_cast<uint32_t>(name - result.layer.names.begin());
      if (name == result.layer.names.end()) result.layer.names.push_back(graph.names[op.name]);
      result.layer.events.push_back({link[op.kernel], index,
                                     static_cast<uint32_t>(&op - graph.operators.data()),
                                     Seconds(walk.start()), Seconds(seconds[op.kernel])});
    }
  }
  if (!result.layer.events.empty()) {
    Seconds first = result.layer.events.front().start;
    for (Event& event : result.layer.events) event.start -= first;
  }

  result.waiting = Seconds(std::max(0.0, walk.end() - result.busy.value()));
  result.engine = options.engine.step + options.engine.per_sequence * static_cast<double>(options.sequences);
  Seconds total = Seconds(walk.end()) + result.engine;
  // Waiting is known as well as the kernels that it separates; the engine has its own band.
  Band kernels = combine(bands, options.within_law, options.across_laws);
  const BandTerm parts[] = {{Law::Matrix, walk.end(), kernels.low, kernels.high},
                            {Law::Free, result.engine.value(), options.engine.low, options.engine.high}};
  Band band = combine(parts, 0, 0);
  result.time = {total * band.low, total, total * band.high, 0.9};

  double cap = device.tdp.value() > 0 ? device.tdp.value() * total.value() : 1e300;
  double rest = idle * total.value();
  auto joules = [&](double factor) { return Joules(std::min(cap, rest + factor * dynamic)); };
  result.energy = {joules(kEnergyLow), joules(1), joules(kEnergyHigh), 0.9};
  return result;
}

}  // namespace orrery::schedule
