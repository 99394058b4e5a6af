// The published predictors as columns of the tables of `orrery validate neusight`: NeuSight trained by us,
// the roofline, Habitat and the straight lines of Li et al., beside what the paper's authors ship.
#pragma once

#include <string>
#include <vector>

#include "orrery/validate/neusight_predictors.h"

namespace orrery::validate {

// "NeuSight", "Habitat", "Li": from a weights file of `orrery fit latency --method neusight` (empty: the
// shipped one, of the paper's split); "roofline": data-sheet peaks. All read the authors' operator lists.
std::vector<NeuSightPredictor> neusight_paper_predictors(const std::string& weights = {});

}  // namespace orrery::validate
