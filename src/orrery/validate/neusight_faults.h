// What each fault of the published NeuSight costs: its switches turned one at a time, the nets trained again
// where training depends on them, and scored on the measured operators of the authors' models.
#pragma once

#include <string>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/report/table.h"

namespace orrery::validate {

// One change of the published switches.
struct NeuSightChange {
  std::string fault, change;  // "nearest tile over raw sizes", "tile_search: scaled"
  // Errors weighted by time of forward operators above 0.05 ms, by class (linear, bmm, elementwise, softmax,
  // layer norm, memory), over the GPUs that the paper trained on and over those that it did not.
  std::vector<double> seen, unseen;
};

// The first entry is the published program, the last has all changes. A minute and a half of one core each.
std::vector<NeuSightChange> neusight_changes(const std::string& data_folder, const RunContext& context);
report::Table neusight_change_table(const std::vector<NeuSightChange>& changes);

}  // namespace orrery::validate
