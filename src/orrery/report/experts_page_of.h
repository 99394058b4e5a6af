// A planned expert map as its page shows it.
#pragma once

#include <string>
#include <vector>

#include "orrery/place/experts_report.h"
#include "orrery/report/experts_page.h"

namespace orrery::report {

// `routing`: the files that the plan was made on.
ExpertsPage experts_page(const place::ExpertReport& report, const std::vector<std::string>& routing);

}  // namespace orrery::report
