#include "orrery/place/experts_chain.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "orrery/base/threads.h"
#include "orrery/place/experts_balance.h"
#include "orrery/solve/coupled_relabel.h"

namespace orrery::place {
namespace {

// Σ over profiles and places of the load above the cap, relative to it.
double cap_excess(const solve::AffinityProblem& problem, const std::vector<int>& place) {
  double sum = 0;
  for (size_t p = 0; p < problem.load.size(); ++p) {
    std::vector<double> carried(static_cast<size_t>(problem.places), 0);
    for (size_t i = 0; i < place.size(); ++i) carried[static_cast<size_t>(place[i])] += problem.load[p][i];
    const double limit = problem.cap[p] * (1 + 1e-12);
    for (double load : carried) sum += std::max(0.0, load - limit) / limit;
  }
  return sum;
}

double cap_excess(const solve::CoupledLayers& chain, const solve::Placement& placement) {
  double sum = 0;
  for (int l = 0; l < chain.layers(); ++l) sum += solve::cap_violation(chain, placement, l);
  return sum;
}

}  // namespace

void weigh_balance(solve::CoupledLayers& chain, const ExpertProblem& problem, const solve::Placement& lpt) {
  const double weight = problem.balance_weight.value_or(0);
  if (weight <= 0) return;
  chain.scenarios = step_scenarios(problem);
  double waiting = 0;
  for (size_t l = 0; l < chain.scenarios.size(); ++l)
    waiting += solve::mean_peak(chain.scenarios[l], lpt[l], chain.places);
  if (waiting > 0) chain.waiting = weight * solve::crossing_cost(chain, lpt) / waiting;
}

solve::AnnealResult anneal_chain(const solve::CoupledLayers& chain, const solve::Placement& start,
                                 const ExpertProblem& problem, const TimeBudget& whole) {
  const auto restarts = static_cast<size_t>(std::max(1, problem.restarts));
  // Large instances spend all on one run, whose layers are annealed side by side.
  double pairs = 0;
  for (int n : chain.items) pairs += .5 * n * n;
  const bool large = pairs > 2e5;
  const size_t runs = large ? 1 : restarts;
  std::vector<solve::AnnealResult> found(runs);
  solve::AnnealOptions options;
  options.sweeps = problem.sweeps / static_cast<double>(large ? 8 : runs);
  // A swap that is weighed on all steps costs many times one that is not, and longer runs were seen to gain
  // nothing.
  if (chain.waiting > 0) options.sweeps /= 4;
  // A phase makes its table of items × places anew, which should not outweigh the swaps tried on it.
  options.proposals = std::max(options.proposals, chain.places / 8.0);
  // A tenth is kept for mixing the runs; a run of its own anneals on all threads.
  const TimeBudget budget(whole.part(runs > 1 ? .9 : 1));
  const RunContext context = whole.part(1), of_run = runs > 1 ? budget.each_of(runs) : budget.part(1);
  parallel_for(runs, 1, context.threads, [&](size_t begin, size_t end, size_t) {
    for (size_t r = begin; r < end; ++r) {
      RunContext part = of_run;
      part.seed = context.seed.derive(r);
      found[r] = solve::anneal_coupled(chain, start, options, part);
    }
  });
  size_t best = 0;
  uint64_t proposals = 0;
  for (size_t r = 0; r < runs; ++r) {
    const double above = cap_excess(chain, found[r].placement),
                 of_best = cap_excess(chain, found[best].placement);
    if (above < of_best || (above == of_best && found[r].cost < found[best].cost)) best = r;
    proposals += found[r].proposals;
  }
  if (runs > 1 && !whole.spent() && !context.stop.stop_requested()) {
    std::vector<solve::Placement> pool;
    for (const solve::AnnealResult& run : found) pool.push_back(run.placement);
    solve::Placement mixed = solve::recombine(chain, pool);
    double cost = solve::descend_coupled(chain, mixed, whole.part(1));
    if (solve::descend_together(chain, mixed, whole.part(1)))
      cost = solve::descend_coupled(chain, mixed, whole.part(1));
    if (cost < found[best].cost && cap_excess(chain, mixed) <= cap_excess(chain, found[best].placement))
      found[best] = {std::move(mixed), cost, 0, found[best].cut};
  }
  found[best].proposals = proposals;
  return std::move(found[best]);
}

std::vector<int> anneal_layer(solve::AffinityProblem layer, const solve::Scenarios& scenarios,
                              const std::vector<int>& start, const ExpertProblem& problem,
                              const RunContext& context) {
  const TimeBudget budget(context);
  const double weight = problem.balance_weight.value_or(0);
  if (weight > 0 && scenarios.count() > 0) {
    layer.waiting =
        weight * solve::affinity_cost(layer, start) / solve::mean_peak(scenarios, start, layer.places);
    layer.scenarios = &scenarios;
  }
  const auto restarts = static_cast<size_t>(problem.restarts);
  std::vector<int> best;
  auto least = std::pair(std::numeric_limits<double>::infinity(), 0.0);  // excess, then cost
  for (size_t r = 0; r < restarts; ++r) {
    if (r > 0 && budget.spent()) break;
    RunContext part = budget.part(1 / static_cast<double>(restarts - r));
    part.seed = context.seed.derive(r);
    std::vector<int> place =
        solve::anneal_affinity(layer, start, problem.sweeps / 16 / static_cast<double>(restarts), part);
    const auto worth = std::pair(cap_excess(layer, place), solve::affinity_cost(layer, place));
    if (worth < least) {
      least = worth;
      best = std::move(place);
    }
  }
  return best;
}

}  // namespace orrery::place
