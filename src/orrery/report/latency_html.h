// The report of `orrery predict latency` as one HTML file for a person: the verdict, the devices side by
// side, how far such forecasts were from measurements, memory, roofline, where the time goes, curves, one
// layer's timeline, assumptions and sources.
//
// The page stands alone (html.h). It is made from the report's JSON, which it carries: its charts draw from
// that, and every number in its text names the place in it. Charts are drawn by Chart.js (MIT), built in;
// each has the table of its numbers below it, so that the page reads the same without scripts.
#pragma once

#include <cstddef>
#include <string>

#include "orrery/report/latency_validation.h"
#include "orrery/report/run_info.h"
#include "orrery/schedule/latency_report.h"

namespace orrery::report {

inline constexpr size_t kLargestPage = 1'500'000;  // bytes

struct LatencyHtmlOptions {
  std::string json_file, timeline_file;  // written beside the page; "" = not
};

// At most kLargestPage: where the report is larger, the page carries only the operators that take the
// longest, and says so.
std::string latency_html(const schedule::LatencyReport& report, const LatencyValidation& validation,
                         const RunInfo& run, const LatencyHtmlOptions& options = {});

}  // namespace orrery::report
