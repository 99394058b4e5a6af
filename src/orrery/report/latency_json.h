// The JSON of `orrery predict latency --json`: every number of the report, in SI units that the field names
// carry. docs/formats.md explains each field, docs/schema/latency-1.json is its JSON Schema.
//
// The schema's name changes ("orrery.latency/2") when a field is removed or changes its meaning; new fields
// may appear. All that differs between two runs of one command stands in the object "run". A number that is
// not known is null.
#pragma once

#include <cstddef>
#include <string>

#include "orrery/report/run_info.h"
#include "orrery/schedule/latency_report.h"

namespace orrery::report {

inline constexpr const char* kLatencySchema = "orrery.latency/1";

struct LatencyJsonOptions {
  int indent = 2;                    // -1: one line
  size_t most_operators = SIZE_MAX;  // of each phase, the largest first: a page embeds fewer
};

std::string latency_json(const schedule::LatencyReport& report, const RunInfo& run,
                         const LatencyJsonOptions& options = {});

}  // namespace orrery::report
