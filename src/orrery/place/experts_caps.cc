#include "orrery/place/experts_caps.h"

#include <algorithm>
#include <numeric>

namespace orrery::place {
namespace {

constexpr double kRounding = 1e-9;

// The busiest expert with the lightest others that share its rank, over the mean load.
double least_load(std::vector<double> load, int ranks) {
  const double mean = std::accumulate(load.begin(), load.end(), 0.0) / ranks;
  if (mean <= 0) return 1;
  std::sort(load.begin(), load.end());
  const auto others = static_cast<ptrdiff_t>(load.size()) / ranks - 1;
  return std::max(1.0, std::accumulate(load.begin(), load.begin() + others, load.back()) / mean);
}

}  // namespace

LoadCaps load_caps(const ExpertProblem& problem, const ExpertPlan& lpt) {
  LoadCaps caps;
  for (const trace::RoutingProfile* profile : problem.profiles) {
    const LoadFigures of_lpt = load_figures(lpt, *profile);
    caps.emplace_back();
    for (int l = 0; l < profile->layers(); ++l) {
      const double mean = std::max(1e-300, profile->total(l) / problem.grid.ranks);
      const double largest = of_lpt.max_over_mean[static_cast<size_t>(l)] * mean;
      // With several profiles no plan by load is best for each, so the asked cap stands alone.
      const bool alone = problem.profiles.size() > 1;
      caps.back().push_back(problem.cap_of_lpt ? largest
                            : alone            ? problem.max_load * mean
                                               : std::max(problem.max_load * mean, largest));
    }
  }
  return caps;
}

bool raise_caps(LoadCaps& caps, const ExpertProblem& problem, const ExpertPlan& plan) {
  bool raised = false;
  for (size_t p = 0; p < caps.size(); ++p) {
    const LoadFigures figures = load_figures(plan, *problem.profiles[p]);
    for (size_t l = 0; l < caps[p].size(); ++l) {
      const std::vector<double>& loads = figures.rank_load[l];
      const double largest = *std::max_element(loads.begin(), loads.end());
      if (largest <= caps[p][l] * (1 + kRounding)) continue;
      caps[p][l] = largest;
      raised = true;
    }
  }
  return raised;
}

std::optional<CapShortfall> cap_shortfall(const ExpertProblem& problem, const ExpertPlan& plan) {
  CapShortfall shortfall;
  shortfall.asked = problem.max_load;
  std::vector<char> above(static_cast<size_t>(plan.layers()), 0);
  for (size_t p = 0; p < problem.profiles.size(); ++p) {
    const LoadFigures figures = load_figures(plan, *problem.profiles[p], Split::Optimal);
    for (size_t l = 0; l < above.size(); ++l) {
      const double reached = figures.max_over_mean[l];
      if (reached > problem.max_load * (1 + kRounding)) above[l] = 1;
      if (reached > shortfall.reached)
        shortfall.reached = reached, shortfall.profile = p, shortfall.layer = l;
      if (plan.slots() == plan.experts)
        shortfall.least =
            std::max(shortfall.least, least_load(problem.profiles[p]->load[l], problem.grid.ranks));
    }
  }
  shortfall.layers_above = static_cast<size_t>(std::count(above.begin(), above.end(), 1));
  if (shortfall.layers_above == 0) return std::nullopt;
  return shortfall;
}

}  // namespace orrery::place
