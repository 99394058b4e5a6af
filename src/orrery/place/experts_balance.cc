#include "orrery/place/experts_balance.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "orrery/base/time_budget.h"
#include "orrery/place/experts_groups.h"
#include "orrery/place/experts_replay.h"

namespace orrery::place {
namespace {

constexpr double kWeights[] = {0, .25, .5, .75, 1, 1.25, 1.5, 2, 3, 4, 8, 32};
constexpr double kLargestWeight = kWeights[std::size(kWeights) - 1];

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

// Calls visit with plans of rising weight until it says that it has seen enough, or the time is over. The
// time left is shared by the weights left.
template <class Visit>
void try_weights(ExpertProblem problem, const RunContext& context, Visit&& visit) {
  problem.bound = false;
  const TimeBudget budget(context);
  for (size_t k = 0; k < std::size(kWeights); ++k) {
    problem.balance_weight = kWeights[k];
    const RunContext part = budget.part(1 / static_cast<double>(std::size(kWeights) - k));
    const bool enough = visit(kWeights[k], *plan_experts(problem, part).best);
    if (enough || budget.spent() || context.stop.stop_requested()) break;
  }
}

double standard_error(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  if (n < 2) return 0;
  double sum = 0, squares = 0;
  for (double v : values) sum += v, squares += v * v;
  return std::sqrt(std::max(0.0, squares - sum * sum / n) / (n - 1) / n);
}

// Whether a plan waits no longer than another on these steps, by more than chance: the mean difference of
// balance lies at least its standard error above zero. What is drawn by chance is steps, and maps of layers;
// the larger error of the two counts.
bool surely_as_balanced(const ExpertPlan& plan, const ExpertPlan& other, const trace::RoutingProfile& on) {
  const std::vector<double> ours = step_balance(plan, on), theirs = step_balance(other, on);
  const auto layers = static_cast<size_t>(plan.layers());
  std::vector<double> of_layer(layers, 0), of_step(on.steps.size(), 0);
  double mean = 0;
  for (size_t k = 0; k < ours.size(); ++k) {
    const double difference = ours[k] - theirs[k];
    of_layer[k % layers] += difference / static_cast<double>(of_step.size());
    of_step[k / layers] += difference / static_cast<double>(layers);
    mean += difference / static_cast<double>(ours.size());
  }
  return mean >= std::max(standard_error(of_layer), standard_error(of_step));
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
  try_weights(problem, context, [&](double weight, ExpertPlan plan) {
    trials.push_back(judge(weight, std::move(plan), problem, judged));
    return false;
  });
  trials.push_back(
      judge(std::numeric_limits<double>::infinity(), lpt_keeping_groups(problem), problem, judged));
  for (BalanceTrial& trial : trials) {
    trial.on_front = std::none_of(trials.begin(), trials.end(), [&](const BalanceTrial& other) {
      return other.traffic <= trial.traffic && other.balance.mean >= trial.balance.mean &&
             (other.traffic < trial.traffic || other.balance.mean > trial.balance.mean);
    });
  }
  return trials;
}

double balance_lead(const ExpertProblem& problem, const ExpertPlan& plan) {
  const ExpertPlan lpt = lpt_keeping_groups(problem);
  double least = std::numeric_limits<double>::infinity();
  for (const trace::RoutingProfile* profile : problem.profiles)
    least = std::min(least, balancedness(plan, *profile).mean - balancedness(lpt, *profile).mean);
  return least;
}

double heavier_weight(double weight) {
  const double* next = std::upper_bound(std::begin(kWeights), std::end(kWeights), weight);
  return next == std::end(kWeights) ? weight : *next;
}

BalanceChoice choose_balance(const ExpertProblem& problem, const RunContext& context) {
  if (problem.slots > problem.profiles[0]->experts) return {};
  std::vector<trace::ProfileParts> parts;
  for (const trace::RoutingProfile* profile : problem.profiles) {
    if (profile->steps.size() < 5) return {};
    parts.push_back(trace::split_profile(*profile, .2, profile->step_tokens));
    if (!parts.back().later) return {};
  }
  if (problem.dispatch == Dispatch::Naive || problem.dispatch == Dispatch::Replicated) return {.weight = 1};
  ExpertProblem inner = problem;
  inner.profiles.clear();
  for (const trace::ProfileParts& part : parts) inner.profiles.push_back(&part.planned);
  inner.sweeps = problem.sweeps / 4;
  const ExpertPlan lpt = lpt_keeping_groups(inner);
  BalanceChoice choice{.weight = kLargestWeight};
  try_weights(inner, context, [&](double weight, const ExpertPlan& plan) {
    const bool balanced = std::all_of(parts.begin(), parts.end(), [&](const trace::ProfileParts& part) {
      return surely_as_balanced(plan, lpt, *part.later);
    });
    if (balanced) choice = {weight, balance_lead(inner, plan)};
    return balanced;
  });
  return choice;
}

}  // namespace orrery::place
