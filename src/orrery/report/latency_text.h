// What `orrery predict latency` and `orrery predict memory` print: the subject, the verdict, the table to
// decide from, what to know about it, and the command to get it again. The decision table takes at most 120
// columns.
#pragma once

#include <string>

#include "orrery/report/terminal_table.h"
#include "orrery/schedule/latency_report.h"

namespace orrery::report {

std::string latency_text(const schedule::LatencyReport& report, const TerminalStyle& style);
std::string memory_text(const schedule::LatencyReport& report, const TerminalStyle& style);

}  // namespace orrery::report
