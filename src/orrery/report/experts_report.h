// A plan of experts as JSON (schema orrery.experts/1) and for a terminal.
#pragma once

#include <string>

#include "orrery/place/experts_report.h"
#include "orrery/report/run_info.h"
#include "orrery/report/terminal_table.h"

namespace orrery::report {

// `routing`: the files that the plan was made on, so that `orrery check` can count again.
std::string experts_json(const place::ExpertReport& report, const std::vector<std::string>& routing,
                         const RunInfo& run);
std::string experts_text(const place::ExpertReport& report, const TerminalStyle& style);

}  // namespace orrery::report
