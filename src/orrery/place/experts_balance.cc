#include "orrery/place/experts_balance.h"

#include <algorithm>
#include <limits>

#include "orrery/base/time_budget.h"
#include "orrery/place/experts_baselines.h"
#include "orrery/place/experts_replay.h"

namespace orrery::place {
namespace {

constexpr double kWeights[] = {0, .125, .25, .5, 1, 2, 4, 8, 32};

BalanceTrial judge(double weight, ExpertPlan plan, const ExpertProblem& problem,
                   const trace::RoutingProfile& judged) {
  BalanceTrial trial;
  trial.weight = weight;
  trial.balance = balancedness(plan, judged);
  if (judged.tokens) {
    const Replay replay = replay_tokens(*judged.tokens, plan, problem.dispatch, problem.grid, 1);
    trial.traffic = replay.distinct_ranks;
    trial.all_to_all = replay.total;
  }
  if (problem.dispatch == Dispatch::Stay) trial.traffic = crossing_figures(plan, judged, problem.grid).cost;
  trial.plan = std::move(plan);
  return trial;
}

}  // namespace

std::vector<solve::Scenarios> step_scenarios(const ExpertProblem& problem) {
  const trace::RoutingProfile& first = *problem.profiles[0];
  const auto experts = static_cast<size_t>(first.experts);
  size_t steps = 0;
  for (const trace::RoutingProfile* profile : problem.profiles) steps += profile->steps.size();
  const size_t kept = std::min(steps, problem.most_steps);
  std::vector<solve::Scenarios> result;
  for (size_t l = 0; l < first.load.size(); ++l) {
    std::vector<float> amount;
    size_t seen = 0;
    for (const trace::RoutingProfile* profile : problem.profiles) {
      for (const std::vector<float>& step : profile->steps) {
        const bool wanted = (seen + 1) * kept / steps > seen * kept / steps;
        ++seen;
        if (wanted)
          amount.insert(amount.end(), step.begin() + static_cast<ptrdiff_t>(l * experts),
                        step.begin() + static_cast<ptrdiff_t>((l + 1) * experts));
      }
    }
    result.emplace_back(amount, experts, problem.grid.ranks);
  }
  return result;
}

std::vector<BalanceTrial> balance_trials(const ExpertProblem& problem, const trace::RoutingProfile& judged,
                                         const RunContext& context) {
  std::vector<BalanceTrial> trials;
  ExpertProblem weighed = problem;
  weighed.bound = false;
  const TimeBudget budget(context);
  for (size_t k = 0; k < std::size(kWeights); ++k) {
    weighed.balance_weight = kWeights[k];
    const RunContext part = budget.part(1 / static_cast<double>(std::size(kWeights) - k));
    trials.push_back(judge(kWeights[k], *plan_experts(weighed, part).best, problem, judged));
    if (budget.spent() || context.stop.stop_requested()) break;
  }
  trials.push_back(judge(std::numeric_limits<double>::infinity(),
                         lpt_plan(problem.profiles, problem.grid.ranks), problem, judged));
  for (BalanceTrial& trial : trials) {
    trial.on_front = std::none_of(trials.begin(), trials.end(), [&](const BalanceTrial& other) {
      return other.traffic <= trial.traffic && other.balance.mean >= trial.balance.mean &&
             (other.traffic < trial.traffic || other.balance.mean > trial.balance.mean);
    });
  }
  return trials;
}

double choose_balance_weight(const ExpertProblem& problem, const RunContext& context) {
  if (problem.slots > problem.profiles[0]->experts) return 0;
  std::vector<trace::ProfileParts> parts;
  for (const trace::RoutingProfile* profile : problem.profiles) {
    if (profile->steps.size() < 5) return 0;
    parts.push_back(trace::split_profile(*profile, .2, profile->step_tokens));
    if (!parts.back().later) return 0;
  }
  if (problem.dispatch == Dispatch::Naive || problem.dispatch == Dispatch::Replicated) return 1;
  ExpertProblem inner = problem;
  inner.profiles.clear();
  for (const trace::ProfileParts& part : parts) inner.profiles.push_back(&part.planned);
  inner.sweeps = problem.sweeps / 8;
  const std::vector<BalanceTrial> trials = balance_trials(inner, *parts[0].later, context);
  for (const BalanceTrial& trial : trials) {
    if (trial.balance.mean >= trials.back().balance.mean && trial.weight < kWeights[std::size(kWeights) - 1])
      return trial.weight;
  }
  return kWeights[std::size(kWeights) - 1];
}

}  // namespace orrery::place
