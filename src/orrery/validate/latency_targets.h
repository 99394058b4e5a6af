// What latency forecasts are held to, cell by cell: the errors that a quick prototype of the same laws
// reached on the same rows, and what is asked of this one. `orrery validate latency` prints each with our
// figure beside it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "orrery/report/table.h"
#include "orrery/validate/latency_scores.h"

namespace orrery::validate {

enum class Asked : uint8_t {
  QuarterLess,  // at most three quarters of the prototype's error
  NoWorse,      // at most the prototype's
  AtMost,       // a limit of its own
};

struct LatencyTarget {
  const char* part;     // "gemm", ...: the name that --only takes
  const char* gpu;      // as LatencyScores::gpu, compared without case
  const char* what;     // as LatencyScores::what
  const char* setting;  // as LatencyScores::setting
  double prototype;     // mean error of the prototype, 0: none
  Asked asked;
  double limit;  // for AtMost
};

std::span<const LatencyTarget> latency_targets();

inline constexpr double kLeastCoverage = 0.85, kMostCoverage = 0.95;  // of a 90 % band on a GPU left out
inline constexpr double kMostWidth = 4;                               // mean width over median error

// A measured duration beside its limit. Seconds of wall time, and of processor time on all threads.
struct SpeedResult {
  std::string what;
  double seconds = 0, limit = 0, processor = 0;
};

// One line a target that the scores answer, then the bands of every GPU left out, then the speeds. Shares of
// `limit` are fractions. `all_met` (may be null): whether no line says "no".
report::Table measured_table(std::span<const LatencyScores> scores, std::span<const SpeedResult> speeds,
                             bool* all_met);

}  // namespace orrery::validate
