// 16-bit matrix products against the world: each measured GPU left out of the fit, and (n, k) families left
// out with the GPU in it, beside the two trivial baselines (copy the other GPU's row; copy it times the ratio
// of speeds of light). Reads neusight/tensorcore_gemm.csv.zst of the folder with measured data.
#pragma once

#include <string>
#include <vector>

#include "orrery/validate/latency_scores.h"

namespace orrery::validate {

// what: "bf16 GEMM"; setting: "GPU left out" or "families left out" (four folds). The band of a GPU comes
// from the other ones, each left out. Under a minute on one core. Throws InputError where the file is missing
// or damaged.
std::vector<LatencyScores> evaluate_gemm(const std::string& data_folder, int threads);
std::vector<report::Table> gemm_tables(const std::vector<LatencyScores>& scores);

}  // namespace orrery::validate
