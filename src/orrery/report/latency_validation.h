// How far the forecasts were from measurements, as `orrery validate latency` found it and
// data/weights/validation.json keeps it, so that a report can show it for the class of GPU that it speaks of.
// docs/formats.md describes the file (orrery.validation/1).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orrery/base/units.h"

namespace orrery::report {

struct ValidationPoint {
  Seconds measured, predicted, low, high;  // the band of the forecast
};

// One kind of row on one device, under one way of holding out. Errors are fractions of the measured time:
// 0.12 = 12 %.
struct ValidationSeries {
  std::string device;        // "h100-sxm5-80gb"
  std::string architecture;  // "Hopper", as hardware::name spells it
  std::string what;          // "GEMM bf16", "decode attention", "vLLM time per output token"
  std::string level;         // "kernels" or "models"
  std::string held_out;      // "GPU left out of the fit", "(n,k) families left out", "not in any fit"
  int64_t rows = 0;          // compared
  double mean_error = 0, median_error = 0, weighted_error = 0;  // weighted: by measured time
  double bias = 0;                                              // mean of the signed relative error
  double coverage = 0;                                          // share of rows inside of the band
  std::vector<ValidationPoint> points;                          // rows to draw, some hundreds at most
};

struct LatencyValidation {
  std::vector<ValidationSeries> series;
};

std::string validation_json(const LatencyValidation& validation);
// Throws InputError for a file that is not of this form.
LatencyValidation read_validation(const std::string& path);
// The shipped results; none where the file is not there.
LatencyValidation shipped_validation();

}  // namespace orrery::report
