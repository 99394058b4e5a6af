// What an inference engine recorded of its experts: how many tokens each got, step by step; and, where it
// wrote that down, which experts every token chose. Experts are logical (the model's own numbers): a
// recording of slots is translated by the map that stands beside it.
//
// A step is one forward pass over all ranks; counts of ranks are added.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orrery/trace/routing.h"

namespace orrery::trace {

struct ExpertRecording {
  int layers = 0, experts = 0;
  std::vector<int>
      model_layer;  // size layers: the model's number of each; layers without experts are left out

  // Steps in which a token reached an expert, in order of time; the others are counted below.
  struct Step {
    int64_t id = 0;
    std::vector<uint64_t> tokens;  // [layer * experts + expert]
  };
  std::vector<Step> steps;

  // Choices, where recorded: chosen[(token * layers + layer) * top_k + rank], tokens in order of steps and
  // ranks.
  int top_k = 0;  // 0: counts only
  std::vector<int32_t> chosen;
  std::vector<uint32_t> step_of_token;  // index into steps; size tokens
  std::vector<Phase> phase_of_token;    // size tokens; empty: not recorded

  std::vector<std::vector<int>>
      slot_to_expert;              // [layer][slot]: the map that ran; empty where it was not recorded
  uint64_t empty_steps = 0;        // left out
  uint64_t incomplete_tokens = 0;  // left out: a layer without choice, or with fewer than the others
  std::string format;              // "SGLang recorder, per_pass, 8 files"
  size_t tokens() const { return step_of_token.size(); }
};

}  // namespace orrery::trace
