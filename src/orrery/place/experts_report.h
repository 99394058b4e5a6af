// A planned expert map beside what others would do and what runs today: every figure counted on recorded
// routing, on the part that was planned on and on the later part that was not.
#pragma once

#include <optional>

#include "orrery/place/experts_balance.h"
#include "orrery/place/experts_caps.h"
#include "orrery/place/experts_replay.h"

namespace orrery::place {

// One expert's shape and what runs it; zeros: unknown, no seconds are predicted.
struct ExpertHardware {
  double hidden = 0, feed_forward = 0, bytes_per_element = 2;
  double flops_per_second = 0, memory_bandwidth = 0, memory = 0;  // of one rank
  LinkSpeeds links;
  Bottleneck bottleneck = Bottleneck::Port;
  double expert_bytes() const { return 3 * hidden * feed_forward * bytes_per_element; }
};

// What a map is made for: all recorded tokens alike, one phase of serving, or both by one map whose load cap
// holds in each.
enum class MapFor : uint8_t { All, Prefill, Decode, Both };
const char* name(MapFor map_for);

struct ExpertRequest {
  std::vector<trace::RoutingProfile> profiles;
  MapFor map_for = MapFor::All;  // other than All: every profile must know its phases
  ExpertProblem problem;         // its `profiles` are set by report_experts
  ExpertHardware hardware;
  std::optional<ExpertPlan> current;
  double hold_out = .2;          // last share of tokens or steps, planned without
  size_t step_tokens = 256;      // of a step, where tokens were recorded
  int most_moved_percent = 100;  // of all slots, against `current`; below 100 the running map is rebalanced
  bool front = false;            // plan also with other weights of balance
  bool explore = false;          // also how the search went, and what other settings would bring
  std::string command;
};

struct PlanFigures {
  ExpertPlan plan;
  LoadFigures load, load_later;  // on the part planned on, and on the later part
  Balancedness balancedness;     // step by step, later part
  CrossingFigures crossing;      // planned part; total 0 where transitions are unknown
  std::optional<Replay> replay;  // later part, under the problem's dispatch
  double step_seconds = 0;       // of all layers' experts and all-to-all, one step; 0 unknown
  double expert_seconds = 0, all_to_all_seconds = 0;  // its parts
  double moved_bytes = 0;
  size_t moved_experts = 0;  // against `current`
};

// The best that was known after so many seconds; NaN: no bound yet.
struct SearchPoint {
  double seconds = 0, objective = 0, bound = 0;
};

// The map planned again with another load cap, or judged with other links or steps.
struct SettingFigures {
  std::string setting;  // "load cap", "link speed", "tokens a step"
  double value = 0;     // over the mean; times what was asked
  bool chosen = false;  // the plan's own setting
  PlanFigures figures;
};

// The map for one phase, or for both, judged on the later part of a phase of the first recording.
struct PhaseFigures {
  MapFor map_for = MapFor::All;
  trace::Phase judged_on = trace::Phase::Unknown;
  PlanFigures figures;
};

struct ExpertReport {
  std::string command;
  ExpertSearch search;
  PlanFigures ours;
  std::vector<PlanFigures> others;  // contiguous, random, lpt, eplb, two-stage, and "current" where given
  std::vector<std::string> profile_names;
  std::vector<double> transfer;  // max/mean of our plan on each profile
  std::vector<double> transfer_contiguous;
  MapFor map_for = MapFor::All;
  std::vector<PhaseFigures>
      phases;                       // the map of each phase and of both, in each; empty where all are planned
  double balance_weight = 0;        // that was used
  std::vector<BalanceTrial> front;  // where asked for: judged on the later part, rising weight, then LPT
  std::vector<SearchPoint> progress;        // empty unless explored
  std::vector<SettingFigures> sensitivity;  // the same
  bool has_later = false, synthetic = false;
  // What the figures were made from, so that anyone can count them again.
  double hold_out = 0, bytes_per_vector = 1;  // bytes of a token's vector in the replay
  size_t step_tokens = 0;
  trace::WeightRule transitions = trace::WeightRule::AllPairs;
  std::string objective_name;  // "transition cost", "ranks per token", "max over mean load"
  // [profile][layer] over the mean, that the plan and its bound are held to; raised where the plan is above.
  std::vector<std::vector<double>> load_caps;
  double max_load = 1;  // that was asked
  std::optional<CapShortfall> shortfall;
  std::string shortfall_note;                     // the same in words
  double expert_bytes = 0, gpu_memory_bytes = 0;  // 0: unknown
  Dispatch dispatch = Dispatch::Home;
  int groups = 1;  // of experts, each whole on one node
  RankGrid grid;
  std::vector<std::string> notes;
};

ExpertReport report_experts(ExpertRequest request, const RunContext& context);

}  // namespace orrery::place
