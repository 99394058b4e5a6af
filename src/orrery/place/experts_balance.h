// Balance against traffic: what a planner gives up of the one for the other, and how much it should.
#pragma once

#include <limits>
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
// the last fifth of each profile, by more than chance; the largest where none is. 0 where there are no steps
// to judge by, 1 where only balance counts.
//
// A longer search spends balance on traffic at the same weight, so the weight alone does not carry over from
// these short trials. What does is the lead over LPT on the steps planned on, which that plan needed to lose
// nothing on others: a plan that has less is to be made with a heavier weight.
struct BalanceChoice {
  double weight = 0;
  double lead = -std::numeric_limits<double>::infinity();
};
BalanceChoice choose_balance(const ExpertProblem& problem, const RunContext& context);
double balance_lead(const ExpertProblem& problem, const ExpertPlan& plan);  // the least of the profiles
double heavier_weight(double weight);  // the next that is tried; itself where there is none

}  // namespace orrery::place
