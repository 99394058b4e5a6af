// The JSON of `orrery plan experts --json`: the plan, its figures at the top, then those of every map
// unknown numbers are null.
#pragma once

#include <string>

#include "orrery/report/experts_page.h"
#include "orrery/report/run_info.h"

namespace orrery::report {

inline constexpr const char* kExpertsPageSchema = "orrery.experts-page/1";

std::string experts_page_json(const ExpertsPage& report, const RunInfo& run, int indent = 2);  // -1: one line

}  // namespace orrery::report
