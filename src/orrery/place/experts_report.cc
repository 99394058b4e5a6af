#include "orrery/place/experts_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "orrery/base/time_budget.h"
#include "orrery/place/experts_baselines.h"
#include "orrery/place/experts_groups.h"

namespace orrery::place {
namespace {

// The recordings as the profiles that a map is made on.
std::vector<trace::RoutingProfile> profiles_for(MapFor map_for,
                                                const std::vector<trace::RoutingProfile>& recordings) {
  if (map_for == MapFor::All) return recordings;
  std::vector<trace::RoutingProfile> profiles;
  for (const trace::RoutingProfile& recording : recordings) {
    for (const auto& [phase, unwanted] : {std::pair(trace::Phase::Prefill, MapFor::Decode),
                                          std::pair(trace::Phase::Decode, MapFor::Prefill)}) {
      if (map_for == unwanted) continue;
      profiles.push_back(trace::of_phase(recording, phase));
      if (profiles.back().tokens->tokens() == 0)
        throw InputError(fmt::format("'{}' holds no token of {}; expected a recording with both phases",
                                     recording.name, trace::name(phase)));
      profiles.back().notes = trace::profile_notes(profiles.back());
    }
    const auto& phases = recording.tokens->phase;
    if (const auto unknown = std::count(phases.begin(), phases.end(), trace::Phase::Unknown); unknown > 0)
      profiles.back().notes.push_back(
          fmt::format("{}: {} tokens of unknown phase are left out", recording.name, unknown));
  }
  return profiles;
}

double bytes_per_vector(const ExpertHardware& on) {
  return std::max(1.0, on.hidden * on.bytes_per_element);
}

constexpr std::string_view kMaxOverMeanLoad = "max over mean load";

// What the objective is, within which caps, and on what part of the recording: what a reader of the plan
// needs to count it again.
void tell_what_was_planned(const ExpertRequest& request, ExpertReport& report) {
  const ExpertProblem& problem = request.problem;
  const trace::RoutingProfile& first = *problem.profiles[0];
  report.hold_out = request.hold_out;
  report.step_tokens = request.step_tokens;
  report.transitions = first.rule;
  report.bytes_per_vector = bytes_per_vector(request.hardware);
  report.expert_bytes = request.hardware.expert_bytes();
  report.gpu_memory_bytes = request.hardware.memory;
  const bool copies = problem.slots > first.experts;
  const bool chain = problem.dispatch == Dispatch::Stay && first.layers() > 1 && !copies;
  report.objective_name = kMaxOverMeanLoad;
  if (chain) report.objective_name = "transition cost";
  if (problem.dispatch == Dispatch::Home && !copies) report.objective_name = "ranks per token";
  if (!chain && (copies || problem.dispatch != Dispatch::Home)) return;
  report.load_caps = load_caps(problem, lpt_keeping_groups(problem));
  raise_caps(report.load_caps, problem, *report.search.best);
  for (size_t p = 0; p < report.load_caps.size(); ++p) {
    for (size_t l = 0; l < report.load_caps[p].size(); ++l) {
      const double mean = problem.profiles[p]->total(static_cast<int>(l)) / problem.grid.ranks;
      report.load_caps[p][l] = mean > 0 ? report.load_caps[p][l] / mean : 1;
    }
  }
}

class Figures {
 public:
  Figures(const ExpertRequest& request, const trace::ProfileParts& parts)
      : request_(request), parts_(parts) {}

  PlanFigures of(ExpertPlan plan) const {
    PlanFigures figures;
    const Split split = plan.planner == "eplb" ? Split::Equal : Split::Optimal;
    const trace::RoutingProfile& later = parts_.later ? *parts_.later : parts_.planned;
    figures.load = load_figures(plan, parts_.planned, split);
    figures.load_later = load_figures(plan, later, split);
    figures.balancedness = balancedness(plan, later);
    figures.crossing = crossing_figures(plan, parts_.planned, request_.problem.grid);
    const ExpertHardware& on = request_.hardware;
    if (later.tokens) {
      figures.replay = replay_tokens(*later.tokens, plan, request_.problem.dispatch, request_.problem.grid,
                                     bytes_per_vector(on));
      if (on.hidden > 0 && on.flops_per_second > 0) add_seconds(plan, later, figures);
    }
    if (request_.current) {
      figures.moved_experts = moved_experts(*request_.current, plan);
      figures.moved_bytes = static_cast<double>(figures.moved_experts) * on.expert_bytes();
    }
    figures.plan = std::move(plan);
    return figures;
  }

 private:
  // Experts compute in tiles of 128 tokens and read the weights of those that have any.
  void add_seconds(const ExpertPlan& plan, const trace::RoutingProfile& later, PlanFigures& figures) const {
    const ExpertHardware& on = request_.hardware;
    // Of the later tokens, those of a step: recorded ones hold what they hold.
    const double step = later.tokens->step.empty() ? static_cast<double>(request_.step_tokens)
                                                   : static_cast<double>(later.tokens->tokens()) /
                                                         static_cast<double>(later.steps.size());
    const double share = std::min(1.0, step / static_cast<double>(later.tokens->tokens()));
    for (int l = 0; l < plan.layers(); ++l) {
      std::vector<double> seconds(static_cast<size_t>(plan.ranks), 0);
      const auto ranks = plan.ranks_of(l);
      for (size_t e = 0; e < ranks.size(); ++e) {
        const double tokens =
            later.load[static_cast<size_t>(l)][e] * share / static_cast<double>(ranks[e].size());
        if (tokens <= 0) continue;
        const double flops = 6 * on.hidden * on.feed_forward * std::ceil(tokens / 128) * 128;
        for (int g : ranks[e])
          seconds[static_cast<size_t>(g)] +=
              std::max(flops / on.flops_per_second,
                       std::min(1.0, tokens) * on.expert_bytes() / std::max(1.0, on.memory_bandwidth));
      }
      figures.expert_seconds += *std::max_element(seconds.begin(), seconds.end());
      figures.all_to_all_seconds += all_to_all_seconds(figures.replay->layer_pair[static_cast<size_t>(l)],
                                                       share, request_.problem.grid, on.links, on.bottleneck);
    }
    figures.step_seconds = figures.expert_seconds + figures.all_to_all_seconds;
  }

  const ExpertRequest& request_;
  const trace::ProfileParts& parts_;
};

// What a plan is worth as the planner counts it, on the part planned on.
double objective_of(const ExpertPlan& plan, const ExpertRequest& request, const ExpertReport& report) {
  const std::vector<const trace::RoutingProfile*>& profiles = request.problem.profiles;
  double sum = 0, weight = 0;
  for (const trace::RoutingProfile* profile : profiles) {
    if (report.objective_name == "ranks per token") {
      const Replay replay = replay_tokens(*profile->tokens, plan, Dispatch::Home, request.problem.grid, 1);
      sum += replay.distinct_ranks * static_cast<double>(replay.tokens);
      weight += static_cast<double>(replay.tokens);
    } else {
      sum += crossing_figures(plan, *profile, request.problem.grid).cost;
      weight += 1;
    }
  }
  return sum / std::max(1.0, weight);
}

template <class Work>
double seconds_of(Work&& work) {
  const auto started = std::chrono::steady_clock::now();
  std::forward<Work>(work)();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

// What plans of growing work reach: where more of it stops to pay. Balance is weighed in all of them, so a
// later one need not move less.
void add_progress(const ExpertRequest& request, double seconds, const RunContext& context,
                  ExpertReport& report) {
  const ExpertProblem& problem = request.problem;
  const double unknown = std::numeric_limits<double>::quiet_NaN();
  const ExpertPlan contiguous =
      contiguous_plan(*problem.profiles[0], problem.grid.ranks, problem.profiles[0]->experts);
  report.progress.push_back({0, objective_of(contiguous, request, report), unknown});
  ExpertPlan first;
  const double start = seconds_of([&] { first = two_stage_plan(problem.profiles, problem.grid); });
  report.progress.push_back({start, objective_of(first, request, report), unknown});
  const TimeBudget budget(context);
  double left = 3;
  for (const double share : {1 / 64., 1 / 16., 1 / 4.}) {
    ExpertProblem part = problem;
    part.sweeps *= share;
    part.bound = false;
    solve::SearchResult<ExpertPlan> found;
    const double took = seconds_of([&] { found = plan_experts(part, budget.part(1 / left--)); });
    if (took >= seconds || budget.spent()) break;
    report.progress.push_back({std::max(took, report.progress.back().seconds), found.objective, unknown});
  }
  report.progress.push_back({std::max(seconds, report.progress.back().seconds), report.search.objective,
                             report.search.bound > 0 ? report.search.bound : unknown});
}

void add_sensitivity(const ExpertRequest& request, const trace::ProfileParts& parts,
                     const RunContext& context, ExpertReport& report) {
  constexpr double kFifth = .2;
  const ExpertProblem& problem = request.problem;
  if (report.objective_name != kMaxOverMeanLoad) {
    const Figures figures(request, parts);
    const double slack = problem.max_load - 1;
    const TimeBudget budget(context);
    double left = 4;
    for (const double cap : {1 + slack * (1 - kFifth), problem.max_load, 1 + slack * (1 + kFifth),
                             1 + 2 * slack, 1 + 4 * slack}) {
      if (cap == problem.max_load) {
        report.sensitivity.push_back({"load cap", cap, true, report.ours});
        continue;
      }
      ExpertProblem other = problem;
      other.max_load = cap;
      other.bound = false;
      other.sweeps /= 4;
      if (budget.spent()) continue;
      const RunContext part = budget.part(1 / left--);
      report.sensitivity.push_back({"load cap", cap, false, figures.of(*plan_experts(other, part).best)});
    }
  }
  if (report.ours.step_seconds <= 0) return;
  for (const double factor : {1 - kFifth, 1.0, 1 + kFifth}) {
    ExpertRequest other = request;
    other.hardware.links.inside *= factor;
    other.hardware.links.between *= factor;
    report.sensitivity.push_back(
        {"link speed", factor, factor == 1, Figures(other, parts).of(report.ours.plan)});
  }
  if (!parts.planned.tokens->step.empty()) return;
  for (const double factor : {1 - kFifth, 1.0, 1 + kFifth}) {
    ExpertRequest other = request;
    other.step_tokens = static_cast<size_t>(std::llround(factor * static_cast<double>(request.step_tokens)));
    report.sensitivity.push_back(
        {"tokens a step", factor, factor == 1, Figures(other, parts).of(report.ours.plan)});
  }
}

void tell_shortfall(const ExpertProblem& problem, ExpertReport& report) {
  report.max_load = problem.max_load;
  report.shortfall = cap_shortfall(problem, report.ours.plan);
  if (!report.shortfall) return;
  const CapShortfall& s = *report.shortfall;
  std::string note = fmt::format(
      "the load cap of {:g} is not met in {} of {} layers: in layer {} of '{}' a rank takes {:.3f} of the "
      "mean",
      s.asked, s.layers_above, report.ours.plan.layers(), report.ours.plan.layer_ids[s.layer],
      problem.profiles[s.profile]->name, s.reached);
  if (s.reached <= s.least * (1 + 1e-9))
    note += fmt::format("; {:.4g} is the smallest cap that can be met without copies", s.least);
  else if (s.least > s.asked)
    note += fmt::format("; no map without copies is below {:.4g}", s.least);
  else
    note += "; no map within it was found";
  if (!report.load_caps.empty() && report.search.bound > 0)
    note += ", and the gap is to maps no fuller than this one or LPT's";
  report.shortfall_note = note;
  report.notes.push_back("WARNING: " + note);
}

void add_notes(const ExpertRequest& request, ExpertReport& report) {
  for (const trace::RoutingProfile& profile : request.profiles) {
    for (const std::string& note : profile.notes) report.notes.push_back(note);
    report.synthetic = report.synthetic || profile.synthetic;
  }
  if (request.map_for == MapFor::All && trace::knows_phases(request.profiles[0]))
    report.notes.push_back(
        "the recording tells prefill from decode, and all tokens are planned for alike; --phase prefill, "
        "decode or both tells them apart");
  if (request.profiles.size() > 1 && request.problem.slots > request.profiles[0].experts)
    report.notes.push_back("copies are placed by the first recording alone; the others only judge the map");
  if (groups_matter(request.problem))
    report.notes.push_back(fmt::format(
        "each of the {} groups of {} experts lies whole on one node, copies too: a token whose choices come "
        "from M groups needs M nodes at most; the other maps but EPLB's and today's may cut groups, and the "
        "bound is over all maps",
        request.problem.groups, request.profiles[0].experts / request.problem.groups));
  else if (request.problem.groups > 1)
    report.notes.push_back("one node holds all groups of experts whole, so they change no map");
  if (request.profiles[0].tokens && request.hardware.hidden <= 0)
    report.notes.push_back(
        "the model is not known, so all-to-all bytes count one a vector; give --model for true bytes");
  switch (request.problem.dispatch) {
    case Dispatch::Home:
      report.notes.push_back(
          "home dispatch: a token returns to its rank after each layer, so who follows whom changes no "
          "traffic; only load and experts chosen together do");
      break;
    case Dispatch::Naive:
      report.notes.push_back(
          "naive dispatch: a copy goes out for every choice, so traffic is 2 d k (1 - 1/G) a token on "
          "average whatever the map; only balance can gain");
      break;
    case Dispatch::Replicated:
      report.notes.push_back(
          "replicated dispatch: an all-reduce follows the experts and carries the same bytes whatever "
          "the map; only balance can gain");
      break;
    case Dispatch::Stay:
      report.notes.push_back(
          "stay dispatch: figures hold only where attention runs on the rank of a token's last expert; "
          "engines that return tokens home gain no traffic from this map");
      break;
  }
  for (size_t p = 0; p < report.transfer.size(); ++p) {
    if (report.transfer[p] > report.transfer_contiguous[p] + 1e-9)
      report.notes.push_back(fmt::format(
          "WARNING: on profile '{}' the plan's max/mean load is {:.3f}, worse than the contiguous "
          "map's {:.3f}; give that profile too, or replicas",
          report.profile_names[p], report.transfer[p], report.transfer_contiguous[p]));
  }
  const double inside = report.ours.load.mean, later = report.ours.load_later.mean;
  if (report.has_later && later > inside * 1.1)
    report.notes.push_back(
        fmt::format("on the part not planned on, max/mean load is {:.3f} against {:.3f}: the plan fits "
                    "noise or the traffic drifts",
                    later, inside));
}

// What the map of each phase, and one map for both, cost in each phase.
void add_phases(const ExpertRequest& request, const std::vector<trace::RoutingProfile>& recordings,
                std::optional<double> balance_weight, const RunContext& context, ExpertReport& report) {
  const TimeBudget budget(context);
  double left = 2;
  for (const MapFor map_for : {MapFor::Prefill, MapFor::Decode, MapFor::Both}) {
    ExpertPlan plan = report.ours.plan;
    if (map_for != request.map_for) {
      std::vector<trace::RoutingProfile> planned;
      for (const trace::RoutingProfile& profile : profiles_for(map_for, recordings))
        planned.push_back(trace::split_profile(profile, request.hold_out, request.step_tokens).planned);
      ExpertProblem problem = request.problem;
      problem.profiles.clear();
      for (const trace::RoutingProfile& profile : planned) problem.profiles.push_back(&profile);
      problem.bound = false;
      problem.balance_weight = balance_weight;
      plan = *plan_experts(problem, budget.part(1 / left--)).best;
    }
    for (const trace::Phase phase : {trace::Phase::Prefill, trace::Phase::Decode}) {
      const trace::ProfileParts parts =
          trace::split_profile(trace::of_phase(recordings[0], phase), request.hold_out, request.step_tokens);
      report.phases.push_back({map_for, phase, Figures(request, parts).of(plan)});
    }
  }
}

// What changing from the running map gains, and what it takes.
std::string change_note(const ExpertRequest& request, const ExpertReport& report, const PlanFigures& today) {
  const PlanFigures& ours = report.ours;
  std::string note = fmt::format("against the map that runs today: max/mean load {:.3f} -> {:.3f}",
                                 today.load_later.mean, ours.load_later.mean);
  if (ours.balancedness.steps > 0)
    note += fmt::format(", balancedness {:.3f} -> {:.3f}", today.balancedness.mean, ours.balancedness.mean);
  if (ours.replay && today.replay && today.replay->total > 0)
    note += fmt::format(", all-to-all {:+.1f} %", 100 * (ours.replay->total / today.replay->total - 1));
  note += fmt::format("; {} experts are fetched by a rank that does not hold them", ours.moved_experts);
  if (ours.moved_bytes <= 0) return note + (ours.moved_experts > 0 ? "; give --model for their bytes" : "");
  note += fmt::format(", {:.2f} GB", ours.moved_bytes / 1e9);
  const double saved = today.step_seconds - ours.step_seconds;
  if (saved > 0) {
    const double fetch =
        ours.moved_bytes / report.grid.ranks /
        (report.grid.nodes() > 1 ? request.hardware.links.between : request.hardware.links.inside);
    note += fmt::format("; at port speed they take {:.2f} s if spread evenly, won back after {:.0f} steps",
                        fetch, fetch / saved);
  }
  return note;
}

}  // namespace

const char* name(MapFor map_for) {
  switch (map_for) {
    case MapFor::All:
      return "all";
    case MapFor::Prefill:
      return "prefill";
    case MapFor::Decode:
      return "decode";
    case MapFor::Both:
      return "both";
  }
  return "";
}

ExpertReport report_experts(ExpertRequest request, const RunContext& context) {
  const TimeBudget budget(context);
  ExpertReport report;
  report.command = request.command;
  report.dispatch = request.problem.dispatch;
  report.grid = request.problem.grid;
  report.groups = request.problem.groups;
  report.map_for = request.map_for;
  const std::vector<trace::RoutingProfile> recordings = std::move(request.profiles);
  request.profiles = profiles_for(request.map_for, recordings);
  const std::optional<double> asked_weight = request.problem.balance_weight;
  std::vector<trace::ProfileParts> parts;
  for (const trace::RoutingProfile& profile : request.profiles)
    parts.push_back(trace::split_profile(profile, request.hold_out, request.step_tokens));
  for (const trace::ProfileParts& part : parts) request.problem.profiles.push_back(&part.planned);
  report.has_later = parts[0].later.has_value();
  const trace::RoutingProfile& first = parts[0].planned;
  const RankGrid& grid = request.problem.grid;
  const int slots = std::max(request.problem.slots, first.experts);
  if (request.current &&
      (request.current->experts != first.experts || request.current->layers() != first.layers()))
    throw InputError(fmt::format(
        "the current map has {} layers of {} experts, the routing {} of {}; expected the same model",
        request.current->layers(), request.current->experts, first.layers(), first.experts));
  // A limited time goes to the plan first; what only tells more about it shares the rest.
  const bool by_phase = request.map_for != MapFor::All;
  const double kept = request.front || request.explore || by_phase ? .5 : 0;
  const RunContext of_plan = budget.part(1 - kept), of_rest = budget.part(kept);
  const double seconds = seconds_of([&] { report.search = plan_experts(request.problem, of_plan); });
  report.balance_weight = report.search.balance_weight;
  request.problem.balance_weight = report.balance_weight;
  const TimeBudget rest(of_rest);  // begins here, so that the bound's own time is not taken from it
  tell_what_was_planned(request, report);
  if (request.front)
    report.front =
        balance_trials(request.problem, parts[0].later.value_or(first), rest.part(request.explore ? .5 : 1));
  if (report.search.objective <= report.search.bound * (1 + 1e-6)) report.search.stop = solve::Stop::Proven;
  ExpertPlan ours = *report.search.best;
  if (request.current) {
    if (request.most_moved_percent < 100) {
      const size_t slots_of_all =
          static_cast<size_t>(request.current->slots()) * static_cast<size_t>(first.layers());
      ours = rebalance_experts(*request.current, first,
                               slots_of_all * static_cast<size_t>(request.most_moved_percent) / 100);
      report.search.bound = 0;
      report.objective_name = kMaxOverMeanLoad;
      report.load_caps.clear();
      report.search.objective = load_figures(ours, first).mean;
      report.search.proven_over = "none: the running map is changed within the budget of moves";
    } else if (ours.slots() == request.current->slots()) {
      ours = relabel_ranks(ours, *request.current, grid, report.dispatch == Dispatch::Stay);
    }
  }
  const Figures figures(request, parts[0]);
  report.ours = figures.of(std::move(ours));
  tell_shortfall(request.problem, report);
  const bool even = first.experts % grid.ranks == 0;
  report.others.push_back(figures.of(contiguous_plan(first, grid.ranks, even ? first.experts : slots)));
  if (even) {
    report.others.push_back(figures.of(random_plan(first, grid.ranks, context.seed.derive(99))));
    report.others.push_back(figures.of(lpt_plan(request.problem.profiles, grid.ranks)));
    report.others.push_back(figures.of(two_stage_plan(request.problem.profiles, grid)));
  }
  report.others.push_back(figures.of(eplb_plan(first, grid, slots, request.problem.groups)));
  if (request.current) {
    report.others.push_back(figures.of(*request.current));
    report.notes.push_back(change_note(request, report, report.others.back()));
  }
  for (const trace::RoutingProfile& profile : request.profiles) {
    report.profile_names.push_back(profile.name);
    report.transfer.push_back(load_figures(report.ours.plan, profile, Split::Optimal).mean);
    report.transfer_contiguous.push_back(load_figures(report.others[0].plan, profile).mean);
  }
  if (by_phase && !context.stop.stop_requested())
    add_phases(request, recordings, asked_weight, rest.part(request.explore ? .5 : 1), report);
  if (request.explore && !context.stop.stop_requested()) {
    const bool changed_within_budget = report.search.bound == 0;
    if (report.objective_name != kMaxOverMeanLoad && !changed_within_budget && even)
      add_progress(request, seconds, rest.part(.4), report);
    add_sensitivity(request, parts[0], rest.part(1), report);
  }
  add_notes(request, report);
  return report;
}

}  // namespace orrery::place
