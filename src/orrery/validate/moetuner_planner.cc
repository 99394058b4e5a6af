// Joint plans on real counts beside the planners of others: crossings at equal balance, bounds, copies.
#include <fmt/format.h>

#include <sys/resource.h>
#include <algorithm>

#include "orrery/place/experts_baselines.h"
#include "orrery/place/experts_search.h"
#include "orrery/validate/moetuner.h"

namespace orrery::validate {
namespace {

constexpr int kRanks = 8;

struct Target {
  const char* domain;
  trace::WeightRule rule;
  bool cap_of_lpt;
  double most;
};
constexpr Target kTargets[] = {
    {"c4", trace::WeightRule::RankPaired, true, .779},
    {"github", trace::WeightRule::RankPaired, true, .812},
    {"wikipedia", trace::WeightRule::RankPaired, true, .806},
    {"c4", trace::WeightRule::RankPaired, false, .773},
    {"github", trace::WeightRule::RankPaired, false, .797},
    {"wikipedia", trace::WeightRule::RankPaired, false, .786},
    {"c4", trace::WeightRule::Top1, false, .671},
};

}  // namespace

void moetuner_planner(const MoeTunerPart& part) {
  report::Table table{
      .title =
          "OLMoE-1B-7B, 208,896 tokens a domain, layers 0, 7, 15 as a chain, 8 GPUs: share of transitions "
          "that cross GPUs, and [max/mean load]; the gap is against our bound",
      .columns = {{"domain"},
                  {"choices"},
                  {"load cap"},
                  {"contiguous"},
                  {"LPT"},
                  {"two-stage"},
                  {"joint"},
                  {"bound"},
                  {"gap", "%"},
                  {"processor time", "s"}}};
  for (const Target& target : kTargets) {
    const trace::RoutingProfile profile = olmoe(part, target.domain, target.rule);
    place::ExpertProblem problem;
    problem.profiles = {&profile};
    problem.grid = uniform_grid(kRanks);
    problem.dispatch = place::Dispatch::Stay;
    problem.cap_of_lpt = target.cap_of_lpt;
    solve::SearchResult<place::ExpertPlan> found;
    RunContext one = part.context;
    one.threads = 1;
    const double seconds = processor_seconds_of([&] { found = place::plan_experts(problem, one); });
    auto cell = [&](const place::ExpertPlan& plan) {
      return fmt::format("{:.4f} [{:.3f}]", place::crossing_figures(plan, profile, problem.grid).cross_gpu,
                         place::load_figures(plan, profile).mean);
    };
    const place::ExpertPlan lpt = place::lpt_plan(problem.profiles, kRanks);
    table.rows.push_back(
        {std::string(target.domain), std::string(target.rule == trace::WeightRule::Top1 ? "top-1" : "top-8"),
         std::string(target.cap_of_lpt ? "LPT's own" : "1.05"),
         cell(place::contiguous_plan(profile, kRanks, 64)), cell(lpt),
         cell(place::two_stage_plan(problem.profiles, problem.grid)), cell(*found.best),
         report::number(found.bound, 4), report::number(100 * found.gap(), 2), report::number(seconds, 2)});
    part.check("4 joint plan",
               fmt::format("{} {} cap {}: crossings <= {:.3f} in 5 s on one core", target.domain,
                           target.rule == trace::WeightRule::Top1 ? "top-1" : "top-8",
                           target.cap_of_lpt ? "of LPT" : "1.05", target.most),
               fmt::format("{:.4f} in {:.1f} s", found.objective, seconds),
               found.objective <= target.most && seconds <= 5);
    if (target.cap_of_lpt)
      part.check(
          "4 joint plan", fmt::format("{}: max/mean not above LPT's", target.domain),
          fmt::format("{:.4f} / {:.4f}", place::load_figures(*found.best, profile).mean,
                      place::load_figures(lpt, profile).mean),
          place::load_figures(*found.best, profile).mean <= place::load_figures(lpt, profile).mean + 1e-12);
    else if (std::string(target.domain) == "c4" && target.rule != trace::WeightRule::Top1)
      part.check("6 bound", "OLMoE c4 top-8: gap <= 6 % in 5 s", fmt::format("{:.2f} %", 100 * found.gap()),
                 found.gap() <= .06 && seconds <= 5);
  }
  table.notes = {
      "The released counts pair the r-th choice with the r-th choice and are not of adjacent layers: "
      "adjacent layers are tied "
      "more strongly.",
      "LPT is what DeepSeek's EPLB makes without extra slots."};
  part.result.tables.push_back(std::move(table));
}

void moetuner_cuts(const MoeTunerPart& part) {
  const trace::RoutingProfile profile = olmoe(part, "c4", trace::WeightRule::RankPaired);
  place::ExpertProblem problem;
  problem.profiles = {&profile};
  problem.grid = uniform_grid(kRanks);
  problem.dispatch = place::Dispatch::Stay;
  problem.cut_rounds = 20;
  problem.bound_time = Seconds(115);
  solve::SearchResult<place::ExpertPlan> found;
  const double seconds = seconds_of([&] { found = place::plan_experts(problem, part.context); });
  part.check("6 bound", "OLMoE c4 top-8 with cuts: gap <= 3 % in 120 s",
             fmt::format("{:.2f} % in {:.0f} s", 100 * found.gap(), seconds),
             found.gap() <= .03 && seconds <= 120);
}

void moetuner_copies(const MoeTunerPart& part) {
  const auto published = place::eplb({{90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86},
                                      {20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}},
                                     16, 4, 2, 8);
  const std::vector<std::vector<int>> expected{{5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1},
                                               {7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1}};
  part.check("3 EPLB", "the published example, slot for slot", published == expected ? "equal" : "differs",
             published == expected);
  report::Table table{.title =
                          "OLMoE-1B-7B, largest over mean load with extra slots, mean of three layers: "
                          "EPLB's equal split | EPLB's "
                          "slots with the best split | ours",
                      .columns = {{"domain"}, {"GPUs"}, {"+0"}, {"+8"}, {"+16"}, {"+32"}, {"+64"}}};
  size_t above = 0, not_monotone = 0, cells = 0;
  double least_lead = 1e9;
  for (const char* domain : kRoutingDomains) {
    const trace::RoutingProfile profile = olmoe(part, domain, trace::WeightRule::RankPaired);
    for (const int ranks : {8, 16, 32}) {
      std::vector<report::Cell> row{std::string(domain), report::number(ranks, 0)};
      double before = 1e9;
      for (const int extra : {0, 8, 16, 24, 32, 40, 48, 56, 64}) {
        const bool shown = extra == 0 || extra == 8 || extra == 16 || extra == 32 || extra == 64;
        if ((64 + extra) % ranks != 0) {
          if (shown) row.emplace_back();
          continue;
        }
        const place::RankGrid grid = uniform_grid(ranks);
        const place::ExpertPlan eplb = place::eplb_plan(profile, grid, 64 + extra);
        const double theirs = place::load_figures(eplb, profile).mean,
                     split = place::load_figures(eplb, profile, place::Split::Optimal).mean;
        const double ours = place::load_figures(place::replicate_experts(profile, grid, 64 + extra), profile,
                                                place::Split::Optimal)
                                .mean;
        ++cells;
        above += ours > theirs + 1e-9;
        not_monotone += ours > before + 1e-9;
        before = ours;
        if (ranks == 32 && extra > 0 && std::string(domain) != "c4")
          least_lead = std::min(least_lead, theirs - ours);
        if (shown) row.emplace_back(fmt::format("{:.3f} | {:.3f} | {:.3f}", theirs, split, ours));
      }
      table.rows.push_back(std::move(row));
    }
  }
  part.result.tables.push_back(std::move(table));
  part.check("8 copies", "never above EPLB, 3 domains x {8, 16, 32} GPUs x extra slots",
             fmt::format("{} of {} above", above, cells), above == 0);
  part.check("8 copies", "more slots never raise it", fmt::format("{} of {} raised", not_monotone, cells),
             not_monotone == 0);
  part.check("8 copies", "github and wikipedia on 32 GPUs: at least 1 % of the mean below EPLB's equal split",
             fmt::format("{:.1f} % at least", 100 * least_lead), least_lead >= .01);
}

void moetuner_scale(const MoeTunerPart& part) {
  const auto tokens = std::make_shared<trace::TokenTrace>(trace::synthesize_routing(
      {.layers = 58, .experts = 256, .top_k = 8, .tokens = 20000}, part.context.seed));
  const trace::RoutingProfile profile =
      trace::profile_tokens(tokens, trace::WeightRule::AllPairs, "synthetic");
  place::ExpertProblem problem;
  problem.profiles = {&profile};
  problem.grid = {64, 8, 1, 9};
  problem.dispatch = place::Dispatch::Stay;
  problem.bound = false;
  RunContext context = part.context;
  context.threads = 2;
  constexpr double kLimit = 60;
  context.time = Seconds(kLimit);
  problem.sweeps = 1e9;
  place::ExpertPlan first;
  const double start = seconds_of([&] { first = place::two_stage_plan(problem.profiles, problem.grid); });
  solve::SearchResult<place::ExpertPlan> found;
  const double seconds = seconds_of([&] { found = place::plan_experts(problem, context); });
  const double two_stage = place::crossing_figures(first, profile, problem.grid).cost;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double peak = static_cast<double>(usage.ru_maxrss) / (1 << 20);
  part.check("7 scale (synthetic)", "256 experts, 58 layers, 8 x 8 GPUs: a valid plan in 1 s",
             fmt::format("{:.2f} s", start), start <= 1);
  part.check("7 scale (synthetic)", ">= 5 % below two stages in 60 s on 2 cores",
             fmt::format("{:.3f} -> {:.3f}, {:.1f} % in {:.0f} s", two_stage, found.objective,
                         100 * (1 - found.objective / two_stage), seconds),
             found.objective <= .95 * two_stage);
  part.check("7 scale (synthetic)", "peak memory <= 1 GiB, with the recording of 20,000 tokens",
             fmt::format("{:.2f} GiB", peak), peak <= 1);
  const std::string fault = place::plan_fault(place::eplb_plan(profile, {320, 8, 1, 9}, 320));
  const std::string ours = place::plan_fault(place::replicate_experts(profile, {320, 8, 1, 9}, 320));
  part.check("7 scale (synthetic)", "320 GPUs with 320 slots: valid",
             ours.empty() && fault.empty() ? "valid" : ours + fault, ours.empty() && fault.empty());
}

}  // namespace orrery::validate
