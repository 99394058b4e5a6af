// Collectives against the world: every second message size held out. Reads neusight/vidur_collectives.csv.zst
// of the folder with measured data.
#pragma once

#include <string>
#include <vector>

#include "orrery/validate/latency_scores.h"

namespace orrery::validate {

// For each curve: "held-out sizes" with the shared constants and the link as published or, for links that
// nobody publishes and for pairs, fitted to the curve's other sizes; "system left out" where the link is
// published. Seconds.
std::vector<LatencyScores> evaluate_collectives(const std::string& data_folder);
report::Table collectives_table(const std::vector<LatencyScores>& scores);

}  // namespace orrery::validate
