// Makes the shipped weights again: every fitted law from the measured rows, one file a law and default.json,
// which names them with what they saw. What is not fitted there (engine terms, correlations)
// is carried over from the shipped file.
//
// Read from the folder: neusight/{tensorcore_gemm,attention,vidur_fp16_mlp,vidur_collectives}.csv.zst and
// neusight/llmcompass_vector_fp16.csv, and what fp32_data.h names. Minutes on two cores; the same bits for
// any number of threads.
#pragma once

#include <string>

#include "orrery/base/run_context.h"

namespace orrery::cost {

// Throws InputError for a file that is missing or wrong; writes nothing before every law is fitted.
void train_weights(const std::string& measured_folder, const std::string& output_folder,
                   const RunContext& context);

// The FP32 law alone: fp32.json, or with `paper_split` fp32-paper-split.json and paper-split.json, which is
// default.json with that file in place of fp32.json. Returns what it wrote.
std::string train_fp32(const std::string& measured_folder, bool paper_split, const std::string& output_folder,
                       const RunContext& context);

}  // namespace orrery::cost
