// `orrery validate moetuner`: expert placement against exact optima, against the planners of others, and
// against text that a plan was not made on. Parts:
//   exact     the chain program against all placements, matching against an integer program, annealing
//             against the chain program
//   planner   joint plans beside LPT and two stages on real counts, with their bounds
//   cuts      the bound with transitivity rows (minutes)
//   copies    replication beside EPLB
//   domains   plans on text of another domain, robust plans, re-planning under a budget of moves
//   replay    bytes against a count by the definitions
//   trace     a recorded trace: held-out text of the same and of another domain, under home and stay
//   claims    what of the paper's claims public routing data support
//   scale     256 experts, 58 layers, 64 GPUs (synthetic; a minute)
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/place/experts_plan.h"
#include "orrery/report/table.h"

namespace orrery::validate {

inline constexpr std::array kMoeTunerParts = {"exact",  "planner", "cuts",   "copies", "domains",
                                              "replay", "trace",   "claims", "scale"};

// One thing asked, and what was seen.
struct MoeTunerCheck {
  std::string check, asked, seen;
  bool met = false;
};

struct MoeTunerValidation {
  std::vector<MoeTunerCheck> checks;
  std::vector<report::Table> tables;
  std::vector<std::string> skipped;  // parts that need the measured data
};

struct MoeTunerRequest {
  std::vector<std::string> parts = {};  // of kMoeTunerParts; empty: all but cuts and scale
  std::string data = {};                // holds moetuner/; empty: parts that need it are skipped
  std::string examples = "examples";    // holds moe-routing.tsv.gz and moe-routing-code.tsv.gz
};
// Throws InputError for a part that does not exist and for files that are missing, Interrupted.
MoeTunerValidation validate_moetuner(const MoeTunerRequest& request, const RunContext& context);
std::string moetuner_markdown(const MoeTunerValidation& result);
report::Table moetuner_checks(const MoeTunerValidation& result);

// The parts; each adds its tables and checks.
struct MoeTunerPart {
  const MoeTunerRequest& request;
  const RunContext& context;
  MoeTunerValidation& result;
  void check(std::string name, std::string asked, std::string seen, bool met) const {
    result.checks.push_back({std::move(name), std::move(asked), std::move(seen), met});
  }
};
void moetuner_exact(const MoeTunerPart& part);
void moetuner_planner(const MoeTunerPart& part);
void moetuner_cuts(const MoeTunerPart& part);
void moetuner_copies(const MoeTunerPart& part);
void moetuner_domains(const MoeTunerPart& part);
void moetuner_replay(const MoeTunerPart& part);
void moetuner_trace(const MoeTunerPart& part);
void moetuner_claims(const MoeTunerPart& part);
void moetuner_scale(const MoeTunerPart& part);

// --- shared by the parts

inline constexpr std::array kRoutingDomains = {"c4", "github", "wikipedia"};
trace::RoutingProfile olmoe(const MoeTunerPart& part, const std::string& domain, trace::WeightRule rule);
trace::RoutingProfile mixtral_tokens(const MoeTunerPart& part, const std::string& problem,
                                     trace::WeightRule rule);
place::RankGrid uniform_grid(int ranks);
double seconds_of(const std::function<void()>& work);
double processor_seconds_of(
    const std::function<void()>& work);  // of all threads; not disturbed by other processes

}  // namespace orrery::validate
