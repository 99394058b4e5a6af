// `orrery validate latency`: every law of the latency forecasts, and the whole, beside what was measured.
// Each part names the rows that it reads, in the folder of the measured data (docs/latency.md says where they
// come from):
//   gemm         16-bit matrix products, GPUs and (n, k) families left out
//   fp8          8-bit matrix products with their quantization, the same
//   attention    fused attention, prefill and decode, GPUs left out
//   memory       layer pieces around the products, GPUs left out
//   collectives  all-reduce and send, message sizes and systems left out
//   serving      runs of a serving engine on GPUs of which no row is in any fit, replayed from their logs
//   speed        seconds that forecasts take; needs no data
#pragma once

#include <array>
#include <string>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/report/latency_validation.h"
#include "orrery/report/table.h"
#include "orrery/validate/latency_targets.h"

namespace orrery::validate {

inline constexpr std::array kLatencyParts = {"gemm",        "fp8",     "attention", "memory",
                                             "collectives", "serving", "speed"};

struct LatencyValidationRequest {
  std::vector<std::string> parts;  // of kLatencyParts; empty = all
  std::string data_folder;         // may be empty for speed alone
  std::string program;             // the command whose wall time is measured; empty: not
};

struct LatencyValidationResult {
  report::Table measured;                // what is asked, and what came out
  bool all_met = true;                   // no line of `measured` says no
  std::vector<report::Table> details;    // by part
  report::LatencyValidation validation;  // for data/weights/validation.json
};

// Parts run one after another; minutes, most of them for the fits without one GPU. Throws NotFound when a
// part needs data and no folder is given, InputError for a part that does not exist and for files that are
// missing or damaged, Interrupted.
LatencyValidationResult validate_latency(const LatencyValidationRequest& request, const RunContext& context);

// Markdown of the result: the table of what was asked, then the details.
std::string latency_markdown(const LatencyValidationResult& result);

}  // namespace orrery::validate
