// What the paper reports against what public routing data show.
#include <fmt/format.h>

#include <algorithm>

#include "orrery/place/experts_baselines.h"
#include "orrery/place/experts_replay.h"
#include "orrery/place/experts_search.h"
#include "orrery/trace/readers/routing.h"
#include "orrery/validate/moetuner.h"

namespace orrery::validate {
namespace {

constexpr int kMixtralRanks = 4;

// The share of a layer's tokens on the busiest of 4 ranks that hold experts in order.
void contiguous_load(const MoeTunerPart& part) {
  report::Table table{.title =
                          "Mixtral-8x7B, experts in order on 4 ranks: share of a layer's tokens on the "
                          "busiest rank (even: 25 %)",
                      .columns = {{"routing"}, {"tokens"}, {"mean of layers", "%"}, {"worst layer", "%"}}};
  auto add = [&](const trace::RoutingProfile& profile) {
    const place::LoadFigures load =
        place::load_figures(place::contiguous_plan(profile, kMixtralRanks, 8), profile);
    table.rows.push_back({profile.name, report::number(profile.total(0) / std::max(1, profile.top_k), 0),
                          report::number(100 * load.mean / kMixtralRanks, 1),
                          report::number(100 * load.worst / kMixtralRanks, 1)});
  };
  for (const char* domain : kRoutingDomains) {
    for (const trace::WeightRule rule : {trace::WeightRule::RankPaired, trace::WeightRule::Top1}) {
      const bool top1 = rule == trace::WeightRule::Top1;
      trace::RoutingProfile profile =
          trace::read_routing(part.request.data + "/moetuner/mixtral-8x7b_" + domain + ".tsv.gz",
                              {.experts = 8,
                               .rule = rule,
                               .name = std::string(domain) + (top1 ? ", first choices" : ", both choices")});
      profile.top_k = top1 ? 1 : 2;
      add(profile);
    }
  }
  for (const char* problem : {"humaneval1", "gsm8k0"})
    add(mixtral_tokens(part, problem, trace::WeightRule::AllPairs));
  table.notes = {"The paper tells of ranks with 64 to 69 % of a layer's tokens; nothing here comes near."};
  part.result.tables.push_back(std::move(table));
}

// Bytes under each dispatch: what a plan by transitions gains where tokens go home.
void where_transitions_cannot_help(const MoeTunerPart& part) {
  report::Table table{.title =
                          "Mixtral-8x7B-Instruct, 32 layers, 4 ranks: bytes moved by the tokens of the other "
                          "prompt, against experts in "
                          "order; plans made on one prompt",
                      .columns = {{"plan made on"},
                                  {"plan"},
                                  {"max/mean load, made on"},
                                  {"other prompt"},
                                  {"stay", "%"},
                                  {"home", "%"},
                                  {"naive", "%"}}};
  const trace::RoutingProfile a = mixtral_tokens(part, "humaneval1", trace::WeightRule::AllPairs),
                              b = mixtral_tokens(part, "gsm8k0", trace::WeightRule::AllPairs);
  const place::RankGrid grid = uniform_grid(kMixtralRanks);
  double stay_at_home = 0;
  for (const bool forward : {true, false}) {
    const trace::RoutingProfile *made_on = forward ? &a : &b, *judged_on = forward ? &b : &a;
    const std::vector<const trace::RoutingProfile*> one{made_on};
    const place::ExpertPlan contiguous = place::contiguous_plan(*made_on, kMixtralRanks, 8);
    auto bytes = [&](const place::ExpertPlan& plan, place::Dispatch dispatch) {
      return place::replay_tokens(*judged_on->tokens, plan, dispatch, grid, 1).total;
    };
    place::ExpertProblem problem;
    problem.profiles = one;
    problem.grid = grid;
    problem.dispatch = place::Dispatch::Stay;
    const place::ExpertPlan stay = *place::plan_experts(problem, part.context).best;
    problem.dispatch = place::Dispatch::Home;
    const place::ExpertPlan home = *place::plan_experts(problem, part.context).best;
    const std::pair<const char*, place::ExpertPlan> plans[] = {
        {"contiguous", contiguous},
        {"two-stage", place::two_stage_plan(one, grid)},
        {"joint, by transitions", stay},
        {"joint, by who is chosen together", home}};
    for (const auto& named : plans) {
      const place::ExpertPlan& plan = named.second;
      auto against = [&](place::Dispatch dispatch) {
        return 100 * (bytes(plan, dispatch) / bytes(contiguous, dispatch) - 1);
      };
      table.rows.push_back({made_on->name, std::string(named.first),
                            report::number(place::load_figures(plan, *made_on).mean, 3),
                            report::number(place::load_figures(plan, *judged_on).mean, 3),
                            report::number(against(place::Dispatch::Stay), 1),
                            report::number(against(place::Dispatch::Home), 1),
                            report::number(against(place::Dispatch::Naive), 1)});
    }
    stay_at_home += (bytes(stay, place::Dispatch::Home) / bytes(contiguous, place::Dispatch::Home) - 1) / 2;
  }
  table.notes = {
      "Under home dispatch a token returns to its rank after each layer, so who follows whom changes no "
      "traffic. Under naive "
      "dispatch no map changes it, up to chance.",
      "A few hundred tokens are too few to plan load on: the gain of balance does not carry over."};
  part.result.tables.push_back(std::move(table));
  part.check("11 replay", "plans by transitions gain nothing under home dispatch (Mixtral, other prompt)",
             fmt::format("{:+.1f} % bytes", 100 * stay_at_home), stay_at_home > -.02);
}

}  // namespace

void moetuner_claims(const MoeTunerPart& part) {
  contiguous_load(part);
  where_transitions_cannot_help(part);
}

}  // namespace orrery::validate
