// What the router of a mixture-of-experts model chose: token by token where it was recorded, and the
// profile that placement is planned on. Layers here are the recorded sparse layers in order, 0 .. L−1;
// `layer_ids` has their numbers in the model.
//
// Counts alone give loads. Transitions (who follows whom) need W or tokens; co-activation (who is chosen
// together) needs tokens. What a source cannot give is absent, never guessed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/random.h"

namespace orrery::trace {

// How a token's k choices at one layer and k at the next become transitions between experts:
//   AllPairs    all k² pairs at weight 1/k, so that row sums equal the loads
//   RankPaired  the r-th choice with the r-th choice
//   Top1        first choices only; loads are then those of first choices
enum class WeightRule : uint8_t { AllPairs, RankPaired, Top1 };
const char* name(WeightRule rule);

// Of a request that is served: prefill reads the prompt, many tokens a step; decode writes the answer, one
// token of each request a step.
enum class Phase : uint8_t { Unknown, Prefill, Decode };
const char* name(Phase phase);

struct TokenTrace {
  int experts = 0, top_k = 0;
  std::vector<int> layer_ids;
  std::vector<uint16_t> choice;    // [token][layer][k], by falling gate weight
  std::vector<uint32_t> sequence;  // [token]: the prompt or answer it belongs to; sets its home rank
  // What the recording tells beside: the forward pass that a token went through, and its phase. [token], or
  // empty: not told.
  std::vector<uint64_t> step;
  std::vector<Phase> phase;

  int layers() const { return static_cast<int>(layer_ids.size()); }
  size_t tokens() const { return sequence.size(); }
  const uint16_t* at(size_t token, int layer) const {
    return choice.data() +
           (token * layer_ids.size() + static_cast<size_t>(layer)) * static_cast<size_t>(top_k);
  }
};

struct RoutingProfile {
  std::string name;
  int experts = 0, top_k = 0;
  WeightRule rule = WeightRule::AllPairs;
  std::vector<int> layer_ids;
  std::vector<std::vector<double>> load;       // [layer][expert], tokens that chose it
  std::vector<std::vector<float>> transition;  // [layer][from * experts + to], size L − 1; empty: unknown
  // Loads of each recorded step (forward pass, or batch of tokens): [step][layer * experts + e]; may be
  // empty.
  std::vector<std::vector<float>> steps;
  size_t step_tokens = 0;                    // of a step, where tokens were cut into them
  std::shared_ptr<const TokenTrace> tokens;  // null: counts only
  bool synthetic = false;
  std::vector<std::string> notes;  // what a reader has to tell

  int layers() const { return static_cast<int>(layer_ids.size()); }
  double total(int layer) const;  // Σ of load
};

// The profile of tokens [first, last). Steps are the recorded forward passes, rising, where the tokens know
// theirs; else they are made of `step_tokens` consecutive tokens (0: none made).
RoutingProfile profile_tokens(std::shared_ptr<const TokenTrace> tokens, WeightRule rule, std::string name,
                              size_t step_tokens = 0, size_t first = 0, size_t last = SIZE_MAX);
// The first tokens or steps of a recording, and its last share `hold_out` of them, to be tested on; `later`
// is absent where the recording cannot be cut (counts alone, or too few). Recorded steps are not cut apart.
struct ProfileParts {
  RoutingProfile planned;
  std::optional<RoutingProfile> later;
};
ProfileParts split_profile(const RoutingProfile& whole, double hold_out, size_t step_tokens);
TokenTrace slice(const TokenTrace& tokens, size_t first, size_t last);
// The first token of the later part: 1 − hold_out of the tokens, or the nearest border of recorded steps
// before it (behind it where there is none).
size_t split_point(const TokenTrace& tokens, double hold_out);

bool knows_phases(const RoutingProfile& profile);
// The tokens of one phase as a profile of its own, which may be empty of tokens. Needs knows_phases().
RoutingProfile of_phase(const RoutingProfile& whole, Phase phase);

// together[layer][i * experts + j]: tokens that choose both i and j (i ≠ j) in the layer; symmetric.
std::vector<std::vector<float>> coactivation(const TokenTrace& tokens);

// The expected (busiest expert / mean) when all experts are equally likely and `choices` choices are made:
// what sampling noise alone shows. 1 + sqrt(2 ln E · E / choices), the leading term for many choices.
double noise_imbalance(int experts, double choices);

// Notes about what the profile is too small or too odd for: few tokens, idle experts, gaps between layers.
std::vector<std::string> profile_notes(const RoutingProfile& profile);

// Routing with topics and memory, for tests of scale; every profile of it is marked synthetic. Token state
// z_0 = .8 · topic centre + .6 · N(0, I_r), topics Zipf-1 likely; z_{l+1} = ρ z_l + sqrt(1 − ρ²) N(0, I);
// logits = sharpness · U_l z + b_l + Gumbel noise, U_l ~ N / sqrt(r), b ~ .4 N; the top k are chosen.
struct SyntheticRouting {
  int layers = 16, experts = 64, top_k = 8, topics = 24, rank = 16;
  size_t tokens = 20000;
  double sharpness = 2.5, memory = .97;
};
TokenTrace synthesize_routing(const SyntheticRouting& options, Seed seed);

}  // namespace orrery::trace
