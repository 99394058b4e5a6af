// What `orrery plan experts` has to say, as plain values: filled by the command, shown by experts_page_json
// and experts_html. NaN: not known (counts-only input has no bytes under home dispatch, a profile without
// steps no balancedness).
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace orrery::report {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// One map judged on one profile: by replay of its tokens where there are tokens.
struct ExpertFigures {
  double max_over_mean_load = kUnknown;        // largest GPU load over the mean, mean of layers
  double worst_max_over_mean_load = kUnknown;  // of the worst layer
  double balancedness = kUnknown,
         balancedness_p95 = kUnknown;    // mean / largest load, step by step; 95 % reach this
  double all_to_all_bytes = kUnknown;    // of all recorded tokens, dispatch and combine
  double busiest_port_bytes = kUnknown;  // of the GPU that sends or receives most, layers added
  double cross_gpu_fraction = kUnknown, cross_node_fraction = kUnknown;
  double step_seconds = kUnknown;  // predicted: expert layers of the recorded tokens
};

struct ExpertCandidate {
  std::string name;   // "joint", "today", "contiguous", "lpt", "eplb", "two-stage"
  std::string title;  // "The map that runs today"
  ExpertFigures figures;
  double moved_experts = kUnknown, moved_bytes = kUnknown;  // weights to fetch to go there from today's map
  std::vector<std::vector<double>> load;                    // [layer][GPU] tokens; may be empty
  std::vector<std::vector<double>> traffic;  // [layer][GPU] bytes of its busier direction; may be empty
};

// The best plan and the proven bound as the search went on.
struct ExpertProgress {
  double seconds = 0, objective = kUnknown, bound = kUnknown;
};

// The plan made anew, or timed anew, with one setting changed.
struct ExpertSensitivity {
  std::string setting;  // "load cap", "link speed"
  double value = 0;     // 1.05 of the mean; 2 times as fast
  bool chosen = false;  // the value that the plan is made with
  ExpertFigures figures;
};

// A plan made on one profile and judged on another, which it did not see.
struct ExpertTransfer {
  std::string made_on, judged_on;
  ExpertFigures figures, contiguous;
};

// The map for one phase of serving, or for both, judged on held-out tokens of one.
struct ExpertPhase {
  std::string map_for, judged_on;
  bool chosen = false;  // this plan
  ExpertFigures figures;
};

struct ExpertsPage {
  std::string routing, model, dispatch, cluster, command;
  int layers = 0, experts = 0, top_k = 0, gpus = 0, gpus_per_node = 0, slots = 0;
  uint64_t tokens = 0;  // 0: counts only
  uint64_t steps = 0;
  std::vector<int> layer_ids;
  std::vector<std::vector<int>> map;  // [layer][slot]: the plan

  std::vector<ExpertCandidate> candidates;  // the plan first
  int today = -1;                           // index of the map that runs now; -1: it was not given
  std::string objective_name;               // "crossings per transition"
  double objective = kUnknown, lower_bound = kUnknown, gap = kUnknown;
  std::string proven_over, stopped_because;
  std::vector<ExpertProgress> progress;
  std::vector<ExpertSensitivity> sensitivity;
  std::vector<ExpertTransfer> transfer;
  std::vector<ExpertPhase> phases;

  std::string verdict;  // one or two sentences
  std::vector<std::string> warnings, assumptions, sources, notes;
};

}  // namespace orrery::report
