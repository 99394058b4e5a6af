// The report of `orrery plan experts` as one HTML file for a person: the verdict, the plan beside today's map
// and the plans that others make, where load and traffic lie (layer × GPU), how far from the bound, what the
// cap and the links change, how the plan carries over to other text, assumptions and sources. It stands alone
// and is made from its JSON, as latency_html is.
#pragma once

#include <string>

#include "orrery/report/experts_page.h"
#include "orrery/report/run_info.h"

namespace orrery::report {

struct ExpertsHtmlOptions {
  std::string json_file, map_file;  // written beside the page; "" = not
};

std::string experts_html(const ExpertsPage& report, const RunInfo& run,
                         const ExpertsHtmlOptions& options = {});

}  // namespace orrery::report
