// Routing as users have it, told apart by name and content (gzip and zstd unpacked by their magic):
//   TSV tokens   problem token layer expert_1 .. expert_k [gate_1 ..]      one row a token and layer; columns
//                `step` (number of the forward pass) and `phase` (prefill, decode) may stand behind
//   TSV counts   kind layer_from layer_to expert_from expert_to count     `-` in layer_to: a load row
//   JSONL        {"layer": 0, "experts": [6, 5], "token_idx": 0}; "sequence", "step", "phase" may be told
//   .npy         integers [tokens][layers] (top-1) or [tokens][layers][k]
//   JSON         {"logical_count": [step][layer][expert]} (SGLang, vLLM's load statistics), or without steps
//   .pt          SGLang's expert-distribution recorder (sglang_recording.h); a folder of them, one a rank, is
//   one recording JSONL        {"record_type": "eplb_load_stats", ...}: vLLM's load statistics
//   (vllm_eplb_stats.h)
// Throws InputError with file:line for what is wrong: an expert beyond `experts`, one chosen twice by a
// token, over 1 % of tokens that lack a layer (fewer are left out and counted in a note), transitions that do
// not sum to the loads.
#pragma once

#include <memory>
#include <string>

#include "orrery/trace/routing.h"

namespace orrery::trace {

struct RoutingOptions {
  int experts = 0;                         // 0: one more than the largest id seen
  WeightRule rule = WeightRule::AllPairs;  // of tokens; counts have their own, of which Top1 can be chosen
  size_t step_tokens = 0;                  // tokens of a step, where the file has tokens
  std::string name = {};  // of the profile; empty: the file's name without folders and endings
};

// How a recording is to be made so that its phases are told apart; for errors.
inline constexpr const char* kTellPhases =
    "add a column 'phase' (prefill or decode) to a TSV of tokens, \"phase\" to JSONL, or record with "
    "SGLang's "
    "mode per_token; where prefill and decode run on machines of their own, give each machine's recording";

RoutingProfile read_routing(const std::string& path, const RoutingOptions& options = {});
// The same from memory; `path` decides the format and stands in errors.
RoutingProfile parse_routing(std::string text, const std::string& path, const RoutingOptions& options);

}  // namespace orrery::trace
