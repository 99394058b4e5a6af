// Layer pieces around the matrix products against the world: each of the measured GPUs left out of the fit.
// Reads neusight/vidur_fp16_mlp.csv.zst and neusight/llmcompass_vector_fp16.csv of the folder with measured
// data.
#pragma once

#include <string>
#include <vector>

#include "orrery/validate/latency_scores.h"

namespace orrery::validate {

// A score for each GPU and class of kernel, over rows of 10 us and more (the file rounds to a microsecond),
// and one over all of a GPU's rows. A few seconds. Throws InputError where a file is missing or damaged.
std::vector<LatencyScores> evaluate_memory_bound(const std::string& data_folder, int threads);
report::Table memory_bound_table(const std::vector<LatencyScores>& scores);

}  // namespace orrery::validate
