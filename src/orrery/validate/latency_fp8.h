// FP8 products against the world: each GPU left out of the fit, (n, k) families left out with the GPU in it,
// and products with block scales, beside the two trivial baselines. Reads tensorcore_gemm.csv.zst of the
// folder with measured data.
#pragma once

#include <string>
#include <vector>

#include "orrery/hardware/catalogue.h"
#include "orrery/validate/latency_scores.h"

namespace orrery::validate {

// what: "fp8 GEMM" or "fp8_block GEMM"; setting: "GPU left out" or "families left out". About half a minute
// on two cores. Throws InputError where the file is missing or damaged.
std::vector<LatencyScores> evaluate_fp8(const std::string& data_folder, const hardware::Catalogue& catalogue,
                                        int threads);

std::vector<report::Table> fp8_tables(const std::vector<LatencyScores>& scores);

}  // namespace orrery::validate
