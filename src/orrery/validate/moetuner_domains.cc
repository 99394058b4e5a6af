// Plans on what they were not made on: other domains, held-out text, a switch of domain; and bytes by the
// definitions.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "orrery/place/experts_baselines.h"
#include "orrery/place/experts_replay.h"
#include "orrery/place/experts_search.h"
#include "orrery/trace/readers/routing.h"
#include "orrery/validate/moetuner.h"

namespace orrery::validate {
namespace {

using place::Dispatch;
using place::ExpertPlan;
using trace::RoutingProfile;

constexpr int kRanks = 8;

ExpertPlan joint(const std::vector<const RoutingProfile*>& profiles, Dispatch dispatch,
                 const RunContext& context) {
  place::ExpertProblem problem;
  problem.profiles = profiles;
  problem.grid = uniform_grid(kRanks);
  problem.dispatch = dispatch;
  problem.bound = false;
  return *place::plan_experts(problem, context).best;
}

std::string cell(const ExpertPlan& plan, const RoutingProfile& profile) {
  return fmt::format("{:.3f} [{:.3f}]",
                     place::crossing_figures(plan, profile, uniform_grid(kRanks)).cross_gpu,
                     place::load_figures(plan, profile).mean);
}

void switch_of_domain(const MoeTunerPart& part, const std::vector<RoutingProfile>& profiles) {
  const RoutingProfile &before = profiles[0], &after = profiles[1];
  const place::RankGrid grid = uniform_grid(kRanks);
  const ExpertPlan running = joint({&before}, Dispatch::Stay, part.context);
  const ExpertPlan fresh =
      place::relabel_ranks(joint({&after}, Dispatch::Stay, part.context), running, grid, true);
  const size_t whole = place::moved_experts(running, fresh), budget = whole / 4;
  const ExpertPlan changed = place::rebalance_experts(running, after, budget);
  const double now = place::load_figures(running, after).mean, best = place::load_figures(fresh, after).mean,
               got = place::load_figures(changed, after).mean;
  const size_t moved = place::moved_experts(running, changed);
  const double gain = (now - got) / (now - best),
               share = static_cast<double>(moved) / static_cast<double>(whole);
  part.check("10 online", "c4 to github: >= 90 % of a full re-plan's balance gain with <= 25 % of its moves",
             fmt::format("max/mean {:.3f} -> {:.3f} (full {:.3f}): {:.0f} % with {} of {} moves ({:.0f} %)",
                         now, got, best, 100 * gain, moved, whole, 100 * share),
             gain >= .9 && share <= .25);
}

}  // namespace

void moetuner_domains(const MoeTunerPart& part) {
  std::vector<RoutingProfile> profiles;
  for (const char* domain : kRoutingDomains)
    profiles.push_back(olmoe(part, domain, trace::WeightRule::RankPaired));
  report::Table table{
      .title = "OLMoE-1B-7B, 8 GPUs: a plan made on one domain, judged on another: crossings [max/mean load]",
      .columns = {{"plan made on"}, {"c4"}, {"github"}, {"wikipedia"}}};
  auto add = [&](const std::string& name, const ExpertPlan& plan) {
    table.rows.push_back({name, cell(plan, profiles[0]), cell(plan, profiles[1]), cell(plan, profiles[2])});
  };
  add("nothing (contiguous)", place::contiguous_plan(profiles[0], kRanks, 64));
  for (size_t p = 0; p < profiles.size(); ++p) {
    const std::vector<const RoutingProfile*> one{&profiles[p]};
    add(std::string(kRoutingDomains[p]) + ", joint", joint(one, Dispatch::Stay, part.context));
    add(std::string(kRoutingDomains[p]) + ", LPT (EPLB)", place::lpt_plan(one, kRanks));
  }
  const std::vector<const RoutingProfile*> all{&profiles[0], &profiles[1], &profiles[2]};
  const ExpertPlan robust = joint(all, Dispatch::Stay, part.context);
  add("all three, joint", robust);
  double worst_load = 0, worst_crossing = 0;
  for (const RoutingProfile& profile : profiles) {
    worst_load = std::max(worst_load, place::load_figures(robust, profile).mean);
    worst_crossing =
        std::max(worst_crossing, place::crossing_figures(robust, profile, uniform_grid(kRanks)).cross_gpu);
  }
  part.result.tables.push_back(std::move(table));
  part.check("9 robust", "one plan for three domains: max/mean <= 1.08 on each",
             fmt::format("{:.3f} at worst", worst_load), worst_load <= 1.08);
  part.check("9 robust", "and crossings <= .85 on each", fmt::format("{:.3f} at worst", worst_crossing),
             worst_crossing <= .85);
  switch_of_domain(part, profiles);
}

void moetuner_replay(const MoeTunerPart& part) {
  const auto tokens = std::make_shared<trace::TokenTrace>(
      trace::synthesize_routing({.layers = 6, .experts = 24, .top_k = 3, .tokens = 3000}, part.context.seed));
  const RoutingProfile profile = trace::profile_tokens(tokens, trace::WeightRule::AllPairs, "synthetic");
  const ExpertPlan plan = place::random_plan(profile, kRanks, part.context.seed);
  const place::RankGrid grid{kRanks, 4, 1, 9};
  double largest = 0;
  for (const Dispatch dispatch : {Dispatch::Home, Dispatch::Stay, Dispatch::Naive}) {
    const place::Replay replay = place::replay_tokens(*tokens, plan, dispatch, grid, 3);
    std::map<std::pair<int, int>, double> counted;
    for (size_t t = 0; t < tokens->tokens(); ++t) {
      int last = -1;
      for (int l = 0; l < tokens->layers(); ++l) {
        std::vector<int> ranks;
        for (int r = 0; r < tokens->top_k; ++r) {
          const std::vector<int>& slots = plan.slot_to_expert[static_cast<size_t>(l)];
          const auto slot = std::find(slots.begin(), slots.end(), tokens->at(t, l)[r]) - slots.begin();
          ranks.push_back(static_cast<int>(slot) / plan.slots_per_rank());
        }
        const int home = static_cast<int>(tokens->sequence[t] % kRanks);
        const int source = dispatch == Dispatch::Stay ? (last < 0 ? ranks[0] : last) : home;
        const int sum = dispatch == Dispatch::Stay ? ranks[0] : home;
        last = ranks[0];
        if (dispatch != Dispatch::Naive) {
          const std::set<int> distinct(ranks.begin(), ranks.end());
          ranks.assign(distinct.begin(), distinct.end());
        }
        for (int g : ranks) {
          if (g != source) counted[{source, g}] += 3;
          if (g != sum) counted[{g, sum}] += 3;
        }
      }
    }
    for (int g = 0; g < kRanks; ++g) {
      for (int h = 0; h < kRanks; ++h)
        largest =
            std::max(largest, std::abs(replay.pair[static_cast<size_t>(g) * kRanks + static_cast<size_t>(h)] -
                                       counted[{g, h}]));
    }
  }
  part.check("11 replay", "home, stay, naive: bytes of every pair of GPUs equal a count by the definitions",
             fmt::format("largest difference {:g} bytes", largest), largest == 0);
}

void moetuner_trace(const MoeTunerPart& part) {
  const trace::RoutingOptions options{.experts = 32, .step_tokens = 1024};
  const RoutingProfile manual = trace::read_routing(part.request.examples + "/moe-routing.tsv.gz", options);
  const RoutingProfile code =
      trace::read_routing(part.request.examples + "/moe-routing-code.tsv.gz", options);
  const size_t cut = manual.tokens->tokens() * 4 / 5;
  const RoutingProfile made_on =
      trace::profile_tokens(manual.tokens, manual.rule, "manual pages", 1024, 0, cut);
  const RoutingProfile held_out = trace::profile_tokens(manual.tokens, manual.rule, "held out", 1024, cut);
  const std::vector<const RoutingProfile*> one{&made_on};
  const place::RankGrid grid = uniform_grid(kRanks);
  const std::vector<std::pair<std::string, ExpertPlan>> plans = {
      {"contiguous", place::contiguous_plan(made_on, kRanks, 32)},
      {"EPLB", place::eplb_plan(made_on, grid, 32)},
      {"two-stage", place::two_stage_plan(one, grid)},
      {"joint, for stay", joint(one, Dispatch::Stay, part.context)},
      {"joint, for home", joint(one, Dispatch::Home, part.context)},
      {"joint, for home, both domains", joint({&made_on, &code}, Dispatch::Home, part.context)}};
  report::Table table{.title =
                          "The example trace (32 experts, top-4, 8 layers; 8 GPUs): plans made on four "
                          "fifths of the manual pages, "
                          "judged on held-out pages and on Python sources",
                      .columns = {{"plan"},
                                  {"max/mean load, held out"},
                                  {"code"},
                                  {"balancedness by step, held out"},
                                  {"code"},
                                  {"vectors moved a token and layer, stay, held out"},
                                  {"code"},
                                  {"home, held out"},
                                  {"code"}}};
  auto vectors = [&](const ExpertPlan& plan, const RoutingProfile& on, Dispatch dispatch) {
    return place::replay_tokens(*on.tokens, plan, dispatch, grid, 1).total /
           static_cast<double>(on.tokens->tokens()) / on.layers();
  };
  for (const auto& [name, plan] : plans) {
    table.rows.push_back({name, report::number(place::load_figures(plan, held_out).mean, 3),
                          report::number(place::load_figures(plan, code).mean, 3),
                          report::number(place::balancedness(plan, held_out).mean, 3),
                          report::number(place::balancedness(plan, code).mean, 3),
                          report::number(vectors(plan, held_out, Dispatch::Stay), 3),
                          report::number(vectors(plan, code, Dispatch::Stay), 3),
                          report::number(vectors(plan, held_out, Dispatch::Home), 3),
                          report::number(vectors(plan, code, Dispatch::Home), 3)});
  }
  table.notes = {"The last plan saw all of the sources: its columns 'code' are not held out."};
  part.result.tables.push_back(std::move(table));
}

}  // namespace orrery::validate
