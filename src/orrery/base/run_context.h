// What every long computation is given: its seed, threads, limits, and the way to stop it and to show how far
// it is.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>

#include "orrery/base/progress.h"
#include "orrery/base/random.h"
#include "orrery/base/units.h"

namespace orrery {

struct RunContext {
  Seed seed{1};
  int threads = 0;                        // 0: all of the machine; results do not depend on it
  uint64_t max_evaluations = UINT64_MAX;  // a work limit keeps a run reproducible
  std::optional<Seconds> time;            // a wall-clock limit does not; the result says so
  std::stop_token stop;
  Progress* progress = nullptr;  // may be null
};

// The stop token that Ctrl-C (SIGINT) and SIGTERM request; the second Ctrl-C ends the program at once.
// Installs the handlers at first call.
std::stop_token interrupt_token();

}  // namespace orrery
