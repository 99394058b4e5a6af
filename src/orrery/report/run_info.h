// What differs between two runs of the same command: kept apart in every JSON, so that all else can be
// compared byte by byte.
#pragma once

#include <string>

#include "orrery/base/units.h"

namespace orrery::report {

struct RunInfo {
  Seconds duration;  // of the computation, wall clock
  std::string host;
  std::string date;  // UTC, "2025-01-31T12:00:00Z"
};

// Of this process, now, on this machine.
RunInfo run_info(Seconds duration);

}  // namespace orrery::report
