// Fused attention against the world: each of the measured GPUs left out of the fit, beside the two trivial
// baselines (copy the other GPU's row; copy it times the ratio of speeds of light). Reads
// neusight/attention.csv.zst of the folder with measured data.
#pragma once

#include <string>
#include <vector>

#include "orrery/validate/latency_scores.h"

namespace orrery::validate {

// A score for each GPU and phase, and for each source of a copy the score of our prediction on the rows that
// the source shares. The band of a GPU comes from the other ones, each left out. About half a minute on one
// core. Throws InputError where the file is missing or damaged.
std::vector<LatencyScores> evaluate_attention(const std::string& data_folder, int threads);
std::vector<report::Table> attention_tables(const std::vector<LatencyScores>& scores);

}  // namespace orrery::validate
