// The files of SGLang's expert-distribution recorder (`--expert-distribution-recorder-mode`,
// `/dump_expert_distribution_record`), as torch.save wrote them:
//   stat, stat_approx   {rank, logical_count [step][layer][expert], ...}: one file, already summed over
//   ranks; steps of an
//                       unfilled buffer are zero. Two dimensions [layer][expert] are one step.
//   per_pass, per_token {records: [{forward_pass_id, rank, gatherer_key, global_physical_count [layer][slot],
//   ...}],
//                       last_physical_to_logical_map [layer][slot]}: one file a rank. per_token adds
//                       topk_ids_of_layer [layer][token][<= 8], slots, -1 where there is no choice.
//                       Its forward_mode (1 extend, 2 decode, 3 both, 5 verification of drafts) and
//                       extend_seq_lens tell prefill from decode; per_pass and stat do not.
// Layers without experts are zero in all of them. Layout: python/sglang/srt/eplb/expert_distribution.py,
// sgl-project/sglang.
#pragma once

#include <span>
#include <string>

#include "orrery/trace/expert_recording.h"
#include "orrery/trace/readers/torch_file.h"

namespace orrery::trace {

// All files of one recording, in any order; also one file of several. Throws InputError for other content,
// for two files of one rank and pass, for maps that differ, for slots outside of the map.
ExpertRecording read_sglang_recording(std::span<const std::string> paths);

// The same for files already in memory, each with its name.
struct RecordingFile {
  std::string bytes, name;
};
ExpertRecording read_sglang_recording(std::vector<RecordingFile> files);

}  // namespace orrery::trace
