// What an expert plan claims (docs/schema/experts-plan-1.json), claim by claim.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "orrery/base/text.h"
#include "orrery/study/check/check.h"
#include "orrery/study/check/experts_bound.h"
#include "orrery/study/check/experts_recount.h"
#include "orrery/trace/readers/routing.h"

namespace orrery::study {
namespace {

constexpr double kCounted = 1e-9;      // whole numbers and their quotients
constexpr double kTransitions = 2e-6;  // recordings keep transitions in single precision
constexpr double kSolved = 1e-6;       // the optimum of a linear program
constexpr int kMostRanks = 65536, kMostExperts = 65535;

struct Plan {
  ExpertMapOnRanks map;
  std::vector<int> layer_ids;
  std::string dispatch, planner, objective_name;
  std::vector<std::string> routing;
  double hold_out = 0, bytes_per_vector = 1;
  size_t step_tokens = 0;
  std::string phase;  // empty: all tokens; else prefill, decode, or both, each a recording of its own
  trace::WeightRule rule = trace::WeightRule::AllPairs;
  LoadCaps caps;
};

template <class Value>
Value one_of(const Node& node, std::initializer_list<Value> values, const char* (*name_of)(Value)) {
  std::string expected;
  for (Value value : values) {
    if (node.as_string() == name_of(value)) return value;
    expected += (expected.empty() ? "" : ", ") + std::string(name_of(value));
  }
  node.fail("'" + printable(node.as_string()) + "' is not known; expected one of " + expected);
}

Plan read_plan(const Node& root) {
  Plan plan;
  ExpertMapOnRanks& map = plan.map;
  map.experts = static_cast<int>(root.at("experts").as_integer(1, kMostExperts));
  map.ranks = static_cast<int>(root.at("ranks").as_integer(1, kMostRanks));
  map.ranks_per_node = static_cast<int>(root.at("ranks_per_node").as_integer(1, kMostRanks));
  map.inside = root.at("distance").at("inside").as_number(0, 1e9);
  map.between = root.at("distance").at("between").as_number(0, 1e9);
  for (const Node& layer : root.at("map").items()) {
    map.slot.emplace_back();
    for (const Node& e : layer.items())
      map.slot.back().push_back(static_cast<int>(e.as_integer(INT32_MIN, INT32_MAX)));
  }
  if (map.slot.empty()) root.at("map").fail("the map holds no layer");
  for (const Node& id : root.at("layer_ids").items())
    plan.layer_ids.push_back(static_cast<int>(id.as_integer(0, INT32_MAX)));
  plan.dispatch = root.at("dispatch").as_string();
  constexpr const char* kDispatches[] = {"home", "stay", "naive", "replicated"};
  if (std::find(std::begin(kDispatches), std::end(kDispatches), plan.dispatch) == std::end(kDispatches))
    root.at("dispatch")
        .fail("'" + printable(plan.dispatch) + "' is not known; expected home, stay, naive or replicated");
  plan.planner = root.at("planner").as_string();
  plan.objective_name = root.at("objective_name").as_string();
  for (const Node& file : root.at("routing").items()) plan.routing.push_back(file.as_string());
  const Node& recording = root.at("recording");
  plan.hold_out = recording.at("hold_out").as_number(0, 1);
  plan.step_tokens = static_cast<size_t>(recording.at("step_tokens").as_integer(0, INT32_MAX));
  plan.rule = one_of(recording.at("transitions"),
                     {trace::WeightRule::AllPairs, trace::WeightRule::RankPaired, trace::WeightRule::Top1},
                     &trace::name);
  if (const Node* phase = recording.find("phase")) {
    plan.phase = phase->as_string();
    if (plan.phase != "prefill" && plan.phase != "decode" && plan.phase != "both")
      phase->fail("'" + printable(plan.phase) + "' is not known; expected prefill, decode or both");
  }
  plan.bytes_per_vector = root.at("bytes_per_vector").as_number(0, 1e12);
  if (const Node* caps = root.find("load_caps")) {
    for (const Node& recorded : caps->items()) {
      plan.caps.emplace_back();
      for (const Node& cap : recorded.items()) plan.caps.back().push_back(cap.as_number(0, 1e300));
      if (plan.caps.back().size() != map.slot.size())
        recorded.fail(fmt::format("holds {} caps; expected one for each of {} layers",
                                  recorded.items().size(), map.slot.size()));
    }
  }
  return plan;
}

class ExpertsChecker {
 public:
  ExpertsChecker(const Node& root, const CheckOptions& options)
      : root_(root), options_(options), plan_(read_plan(root)) {}

  void run(Verification& result) {
    claims_ = &result.claims;
    if (!check_map()) return;
    check_groups();
    check_memory();
    read_recordings(result);
    check_load();
    check_traffic(root_, plan_.map, "");
    check_objective();
    check_contiguous();
    check_transfer();
    check_phases();
  }

 private:
  void add(Claim claim) { claims_->push_back(std::move(claim)); }
  void add(const char* name, const std::string& fault, const std::string& otherwise) {
    add({name, otherwise, fault.empty() ? otherwise : "not so",
         fault.empty() ? Verdict::Holds : Verdict::Fails, fault});
  }
  // A figure that the plan holds; null and absent figures claim nothing.
  void figure(const Node& holder, const char* key, const std::string& name, double recomputed,
              double tolerance) {
    if (const Node* claimed = holder.find(key))
      add(figure_claim(name, claimed->as_number(), recomputed, tolerance));
  }

  bool check_map() {
    const ExpertMapOnRanks& map = plan_.map;
    MapFaults faults = map_faults(map);
    if (faults.shape.empty() && map.ranks % map.ranks_per_node != 0)
      faults.shape = fmt::format("{} GPUs do not divide into nodes of {}", map.ranks, map.ranks_per_node);
    if (faults.shape.empty() && plan_.layer_ids.size() != map.slot.size())
      faults.shape =
          fmt::format("{} layers are named, the map has {}", plan_.layer_ids.size(), map.slot.size());
    add("slots", faults.shape,
        fmt::format("{} layers of {} slots on {} GPUs", map.slot.size(), map.slots(), map.ranks));
    if (!faults.shape.empty()) return false;
    add("expert numbers", faults.identifier, fmt::format("0..{}", map.experts - 1));
    add("every expert placed", faults.missing, "yes");
    add("no expert twice on a GPU", faults.doubled, "yes");
    return faults.identifier.empty() && faults.missing.empty();
  }

  void check_groups() {
    const Node* told = root_.find("expert_groups");
    if (!told) return;
    const auto groups = static_cast<int>(told->as_integer(1, kMostExperts));
    if (plan_.map.experts % groups != 0)
      told->fail(fmt::format("{} experts do not divide into {} groups", plan_.map.experts, groups));
    add("groups of experts whole on nodes", cut_group(plan_.map, groups), "yes");
  }

  void check_memory() {
    const Node* weights = root_.find("weights");
    if (!weights || !weights->find("gpu_memory_bytes")) return;
    const double expert = weights->at("expert_bytes").as_number(0),
                 memory = weights->at("gpu_memory_bytes").as_number(0);
    const double needed =
        expert * plan_.map.slots() / plan_.map.ranks * static_cast<double>(plan_.map.slot.size());
    add({"weights fit a GPU", fmt::format("<= {:.4g} GB", memory / 1e9),
         fmt::format("{:.4g} GB", needed / 1e9), needed <= memory ? Verdict::Holds : Verdict::Fails,
         needed <= memory ? "" : "memory is short"});
  }

  void read_recordings(Verification& result) {
    const std::vector<std::string>& files = options_.inputs.empty() ? plan_.routing : options_.inputs;
    if (files.empty())
      root_.at("routing").fail("names no recording; expected the files that the plan was made from");
    for (const std::string& file : files) read_recording(file);
    for (const trace::RoutingProfile& profile : profiles_) {
      // Where the recording has no steps, the planner counts 256 tokens as one for nothing but seconds.
      RoutingParts parts = split_routing(profile, plan_.hold_out, plan_.step_tokens);
      planned_.push_back(std::move(parts.planned));
      later_.push_back(parts.later.empty() ? planned_.back() : std::move(parts.later));
    }
    result.notes.push_back(
        "read with the project's routing readers; loads, transitions and bytes are counted again from the "
        "rows");
  }

  void read_recording(const std::string& file) {
    trace::RoutingProfile profile = trace::read_routing(
        file, {.experts = plan_.map.experts, .rule = plan_.rule, .step_tokens = plan_.step_tokens});
    if (profile.load.size() != plan_.map.slot.size())
      throw InputError(Place{file, 0, 0},
                       fmt::format("holds {} layers, the plan {}; expected the recording that the plan "
                                   "was made from",
                                   profile.load.size(), plan_.map.slot.size()));
    if (plan_.phase.empty()) {
      profiles_.push_back(std::move(profile));
      return;
    }
    if (!trace::knows_phases(profile))
      throw InputError(Place{file, 0, 0}, "does not tell prefill from decode, the plan is made for " +
                                              plan_.phase + "; expected the recording that it was made from");
    for (const trace::Phase phase : {trace::Phase::Prefill, trace::Phase::Decode}) {
      if (plan_.phase == "both" || plan_.phase == trace::name(phase))
        profiles_.push_back(trace::of_phase(profile, phase));
      else if (!other_phase_)
        other_phase_ = trace::of_phase(profile, phase);
    }
  }

  bool copies_evenly() const { return plan_.planner == "eplb"; }

  void check_load() {
    const LoadRecount planned = recount_load(plan_.map, planned_[0].load, copies_evenly());
    const double tolerance = plan_.map.slots() > plan_.map.experts ? kSolved : kCounted;
    figure(root_, "max_over_mean_load", "max/mean load", planned.mean, tolerance);
    figure(root_, "max_over_mean_load_worst_layer", "max/mean load, worst layer", planned.worst, tolerance);
    figure(root_, "max_over_mean_load_later", "max/mean load, held-out part",
           recount_load(plan_.map, later_[0].load, copies_evenly()).mean, tolerance);
    if (const Node* layers = root_.find("max_over_mean_load_by_layer")) {
      double worst = 0, claimed = 0, counted = 0;
      for (size_t l = 0; l < std::min(layers->items().size(), planned.of_layer.size()); ++l) {
        const double value = layers->items()[l].as_number(),
                     difference = std::abs(value - planned.of_layer[l]);
        if (l > 0 && difference <= worst) continue;
        worst = difference, claimed = value, counted = planned.of_layer[l];
      }
      add(figure_claim("max/mean load, most different layer", claimed, counted, tolerance));
    }
    if (const Node* balance = root_.find("balancedness")) {
      const BalancednessRecount steps = recount_balancedness(plan_.map, later_[0]);
      figure(*balance, "mean", "balancedness, mean", steps.mean, kCounted);
      figure(*balance, "p95", "balancedness, 95 % reach", steps.p95, kCounted);
      figure(*balance, "steps", "steps", static_cast<double>(steps.steps), kCounted);
    }
    check_asked_cap();
    for (size_t p = 0; p < plan_.caps.size() && p < planned_.size(); ++p) {
      const LoadRecount load = recount_load(plan_.map, planned_[p].load, true);
      double over = 0;
      for (size_t l = 0; l < load.of_layer.size(); ++l)
        over = std::max(over, load.of_layer[l] / plan_.caps[p][l]);
      const bool within = over <= 1 + kSolved;
      add({"load cap" + (p > 0 ? " of " + profiles_[p].name : std::string()), "<= 1 of the cap",
           fmt::format("{:.7g}", over), within ? Verdict::Holds : Verdict::Fails,
           within ? "" : "a layer is above its cap"});
    }
  }

  // A plan above the cap that was asked must say so, how far, and below what no map can be.
  void check_asked_cap() {
    const Node* asked = root_.find("max_load");
    if (!asked) return;
    const double cap = asked->as_number(1, 1e300);
    const bool copies = plan_.map.slots() > plan_.map.experts;
    double reached = 1, least = 1;
    for (const RoutingPart& part : planned_) {
      reached = std::max(reached, recount_load(plan_.map, part.load, copies_evenly()).worst);
      for (size_t l = 0; l < part.load.size() && !copies; ++l)
        least = std::max(least, least_load(part.load[l]));
    }
    const Node* told = root_.find("cap_shortfall");
    if (!told) {
      const bool met = reached <= cap * (1 + kSolved);
      add({"load cap that was asked", fmt::format("<= {:g}", cap), fmt::format("{:.7g}", reached),
           met ? Verdict::Holds : Verdict::Fails,
           met ? "" : "a layer is above it, which the plan does not say"});
      return;
    }
    figure(*told, "reached", "largest load above the cap that was asked", reached, kSolved);
    figure(*told, "least", "what no map without copies is below", least, kSolved);
  }

  // The busiest expert shares its rank with the lightest others at least.
  double least_load(const std::vector<double>& load) const {
    double total = 0;
    for (double expert : load) total += expert;
    if (total <= 0) return 1;
    std::vector<double> rising = load;
    std::sort(rising.begin(), rising.end());
    double fullest = rising.back();
    for (int other = 0; other + 1 < plan_.map.slots() / plan_.map.ranks; ++other)
      fullest += rising[static_cast<size_t>(other)];
    return std::max(1.0, fullest * plan_.map.ranks / total);
  }

  void check_traffic(const Node& holder, const ExpertMapOnRanks& map, const std::string& whose) {
    if (!planned_[0].transition.empty()) {
      const CrossingRecount crossing = recount_crossings(map, planned_[0]);
      figure(holder, "cross_gpu_fraction", whose + "transitions that leave their GPU", crossing.gpu,
             kTransitions);
      figure(holder, "cross_node_fraction", whose + "transitions that leave their node", crossing.node,
             kTransitions);
      figure(holder, "transition_cost", whose + "cost of a transition", crossing.cost, kTransitions);
    }
    if (!later_[0].tokens) return;
    const BytesRecount bytes = recount_bytes(map, later_[0], plan_.dispatch, plan_.bytes_per_vector);
    figure(holder, "all_to_all_bytes", whose + "all-to-all bytes", bytes.total, kCounted);
    figure(holder, "network_bytes", whose + "bytes between nodes", bytes.network, kCounted);
    figure(holder, "ranks_per_token", whose + "GPUs of a token", bytes.distinct_ranks, kCounted);
    figure(holder, "replayed_tokens", whose + "replayed tokens", static_cast<double>(bytes.tokens), kCounted);
  }

  double objective() const {
    double value = 0;
    if (plan_.objective_name == "transition cost") {
      for (const RoutingPart& part : planned_)
        value += recount_crossings(plan_.map, part).cost / static_cast<double>(planned_.size());
    } else if (plan_.objective_name == "ranks per token") {
      double tokens = 0;
      for (const RoutingPart& part : planned_) {
        const BytesRecount bytes = recount_bytes(plan_.map, part, "home", 1);
        value += bytes.distinct_ranks * static_cast<double>(bytes.tokens);
        tokens += static_cast<double>(bytes.tokens);
      }
      value /= std::max(1.0, tokens);
    } else {
      // Copies are placed by the first recording alone, and a plan says so.
      const bool copies = plan_.map.slots() > plan_.map.experts;
      for (size_t p = 0; p < (copies ? 1 : planned_.size()); ++p)
        value = std::max(value, recount_load(plan_.map, planned_[p].load, copies_evenly()).mean);
    }
    return value;
  }

  double bound(std::string& how) const {
    if (plan_.objective_name == "transition cost") {
      const CrossingBound own = crossing_bound(plan_.map, planned_, plan_.caps, options_.bound_limit);
      how = own.exact ? "all placements gone through" : "a linear program a layer step";
      return own.cost;
    }
    if (plan_.objective_name == "ranks per token") {
      how = "a linear program a layer";
      return distinct_rank_bound(plan_.map, planned_, plan_.caps, options_.bound_limit);
    }
    how = "the mean load and the busiest expert";
    return load_bound(plan_.map, planned_[0]);
  }

  void check_objective() {
    const Node& name = root_.at("objective_name");
    if (plan_.objective_name != "transition cost" && plan_.objective_name != "ranks per token" &&
        plan_.objective_name != "max over mean load")
      name.fail("'" + printable(plan_.objective_name) +
                "' is not known; expected transition cost, ranks per token or max over mean load");
    if (plan_.objective_name == "ranks per token" && !later_[0].tokens)
      name.fail("ranks per token need a recording of tokens; give it with --routing");
    if (plan_.objective_name == "transition cost" && planned_[0].transition.empty())
      name.fail("a transition cost needs a recording with transitions; give it with --routing");
    const double value = objective();
    figure(root_, "objective", "objective (" + plan_.objective_name + ")", value,
           plan_.objective_name == "transition cost" ? kTransitions : kSolved);
    const Node* claimed = root_.find("lower_bound");
    if (!claimed || claimed->as_number() <= 0) return;
    const double lower = claimed->as_number();
    std::string how;
    const double own = bound(how);
    Claim claim{"lower bound",
                fmt::format("{:.7g}", lower),
                fmt::format(">= {:.7g} ({})", own, how),
                Verdict::Holds,
                {}};
    if (lower > value * (1 + kSolved)) {
      claim.verdict = Verdict::Fails;
      claim.why = fmt::format("this very plan reaches {:.7g}, below its bound", value);
    } else if (lower > own * (1 + kTransitions)) {
      claim.verdict = Verdict::NotProven;
      claim.why = "above what is proven here";
    }
    add(std::move(claim));
    // Shares of the objective: compared in points, so that a rounding of nothing is nothing.
    const double gap = value == 0 ? 0 : std::abs(value - lower) / value;
    if (const Node* told = root_.find("gap"))
      add(figure_claim("1 + gap", 1 + told->as_number(), 1 + gap, kTransitions));
  }

  // The map that engines use unasked needs no file to be counted again.
  void check_contiguous() {
    const Node* others = root_.find("others");
    if (!others || plan_.map.experts % plan_.map.ranks != 0) return;
    for (const Node& other : others->items()) {
      if (other.at("planner").as_string() != "contiguous") continue;
      ExpertMapOnRanks contiguous = plan_.map;
      for (std::vector<int>& layer : contiguous.slot) {
        layer.resize(static_cast<size_t>(plan_.map.experts));
        for (int e = 0; e < plan_.map.experts; ++e) layer[static_cast<size_t>(e)] = e;
      }
      figure(other, "max_over_mean_load", "contiguous: max/mean load",
             recount_load(contiguous, planned_[0].load, true).mean, kCounted);
      check_traffic(other, contiguous, "contiguous: ");
    }
  }

  void check_transfer() {
    const Node* rows = root_.find("transfer");
    if (!rows) return;
    for (size_t p = 0; p < std::min(rows->items().size(), profiles_.size()); ++p) {
      const RoutingParts whole = split_routing(profiles_[p], 0, 0);
      figure(rows->items()[p], "max_over_mean_load", "max/mean load on " + profiles_[p].name,
             recount_load(plan_.map, whole.planned.load, copies_evenly()).mean, kSolved);
    }
  }

  // What the map costs in each phase, on the later part of it.
  void check_phases() {
    const Node* rows = root_.find("phases");
    if (!rows || plan_.phase.empty()) return;
    for (const Node& row : rows->items()) {
      if (row.at("map_for").as_string() != plan_.phase) continue;
      const std::string judged = row.at("judged_on").as_string();
      if (other_phase_ && judged != plan_.phase) {
        const RoutingParts parts = split_routing(*other_phase_, plan_.hold_out, plan_.step_tokens);
        check_phase(row, parts.later.empty() ? parts.planned : parts.later);
      } else {  // of both, the first recording's phases come first
        check_phase(row, later_[plan_.phase == "both" && judged == "decode" ? 1 : 0]);
      }
    }
  }
  void check_phase(const Node& row, const RoutingPart& part) {
    const std::string on = " in " + row.at("judged_on").as_string();
    figure(row, "max_over_mean_load", "max/mean load" + on,
           recount_load(plan_.map, part.load, copies_evenly()).mean, kSolved);
    if (const Node* balance = row.find("balancedness"); balance && !part.step_load.empty())
      add(figure_claim("balancedness" + on, balance->as_number(), recount_balancedness(plan_.map, part).mean,
                       kCounted));
    figure(row, "all_to_all_bytes", "all-to-all bytes" + on,
           recount_bytes(plan_.map, part, plan_.dispatch, plan_.bytes_per_vector).total, kCounted);
  }

  const Node& root_;
  const CheckOptions& options_;
  Plan plan_;
  std::vector<trace::RoutingProfile> profiles_;
  std::vector<RoutingPart> planned_;
  std::vector<RoutingPart> later_;                    // the planned part where nothing was held out
  std::optional<trace::RoutingProfile> other_phase_;  // of the first recording, where one phase was planned
  std::vector<Claim>* claims_ = nullptr;
};

}  // namespace

Verification check_experts_plan(const Node& root, const std::string& path, const CheckOptions& options) {
  Verification result;
  result.file = path;
  result.schema = root.at("schema").as_string();
  ExpertsChecker checker(root, options);
  result.subject =
      fmt::format("{} experts on {} GPUs, dispatch {}", root.at("experts").as_integer(1, kMostExperts),
                  root.at("ranks").as_integer(1, kMostRanks), printable(root.at("dispatch").as_string()));
  checker.run(result);
  return result;
}

}  // namespace orrery::study
