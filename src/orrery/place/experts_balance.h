// Balance against traffic: what a planner gives up of the one for the other, and how much it should.
#pragma once

#include <vector>

#include "orrery/place/experts_search.h"

namespace orrery::place {

// What each layer's experts carry step by step, over all profiles; layers without steps are empty.
std::vector<solve::Scenarios> step_scenarios(const ExpertProblem& problem);

struct BalanceTrial {
  double weight = 0;
  ExpertPlan plan;
  double traffic = 0;     // objective of the dispatch: distinct ranks, or transition cost
  double all_to_all = 0;  // vectors between ranks by replay, where there are tokens
  Balancedness balance;   // step by step
  bool on_front = false;  // no other trial is at least as good in both and better in one
};

// Plans with rising weight of balance, LPT's beside them as the last with an infinite weight; figures on
// `judged`, which is best a part that was not planned on. All trials share the context's time; those that it
// leaves none for are left out.
std::vector<BalanceTrial> balance_trials(const ExpertProblem& problem, const trace::RoutingProfile& judged,
                                         const RunContext& context);

// Of a limited time, what choosing the weight may take before the plan itself is made.
constexpr double kWeighingShare = .25;

// The least weight whose plan, made on the first four fifths of the planned part, is as balanced as LPT's on
// the last fifth; the largest where none is. 0 where there are no steps to judge by, 1 where only balance
// counts.
double choose_balance_weight(const ExpertProblem& problem, const RunContext& context);

}  // namespace orrery::place
