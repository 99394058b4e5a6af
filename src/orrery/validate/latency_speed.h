// How fast forecasts are made, measured on this machine.
#pragma once

#include <string>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/validate/latency_targets.h"

namespace orrery::validate {

// program: the command to time (the running one), or empty. Some seconds.
//   a GPT-3 175B training iteration, model and weights loaded, every kernel priced anew, median of many
//   10,000 forecasts of distinct (model, batch, sequence, GPU), graphs built anew, on one thread
//   300,000 rows of kernels read from CSV text, priced and written, on all threads
//   the command `predict latency` as a process, the best of several
std::vector<SpeedResult> measure_speed(const std::string& program, const RunContext& context);

}  // namespace orrery::validate
