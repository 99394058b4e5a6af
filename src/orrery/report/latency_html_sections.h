// The sections of the latency page, each from the report's JSON to a piece of HTML; put together by
// latency_html.
#pragma once

#include <string>

#include "orrery/report/html.h"

namespace orrery::report {

std::string header_section(const ShownJson& report);   // the name of the model and the verdict
std::string devices_section(const ShownJson& report);  // the table to decide from
// Series of `validation` whose architecture is that of a device of the report; a grey box where there is
// none.
std::string trust_section(const ShownJson& report, const ShownJson& validation);
std::string memory_section(const ShownJson& report);
std::string roofline_section(const ShownJson& report);
std::string classes_section(const ShownJson& report);
std::string curves_section(const ShownJson& report);
std::string timeline_section(const ShownJson& report, const std::string& timeline_file);
std::string sources_section(const ShownJson& report, const std::string& json_file);

}  // namespace orrery::report
