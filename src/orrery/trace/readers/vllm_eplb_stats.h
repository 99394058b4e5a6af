// vLLM's expert loads. Released vLLM logs only a balancedness (`--eplb-config '{"log_balancedness": true}'`),
// no counts; the open proposal vllm-project/vllm#41141 writes them (`expert_load_stats_path`), one JSON
// object a line:
//   {"record_type": "eplb_load_stats", "version": 1, "step": 7, "num_ranks": 2, "expert_load": [[…]],
//   "p2l_map": [[…]]}
// expert_load[layer][slot] counts tokens of the step, p2l_map[layer][slot] names the slot's expert. Lines of
// other record types are passed over. Lines of one step number are of one step: their counts are added.
#pragma once

#include <string>

#include "orrery/trace/expert_recording.h"

namespace orrery::trace {

// Throws InputError with file:line:column.
ExpertRecording read_vllm_eplb_stats(const std::string& path);
ExpertRecording parse_vllm_eplb_stats(const std::string& text, const std::string& file);

}  // namespace orrery::trace
