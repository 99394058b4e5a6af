// Fits the constants of the FP8 law (fp8_gemm_law.h) to measured products, and reads the measured file.
//
// Minimized over the logarithms of the constants: a robust loss of log(law / measured), rows of every GPU
// with equal say, plus (log constant - log centre)² / spread², weighted so that a constant which the rows do
// not show stays at its centre (learn/least_squares.h). The rows are a sample that depends on
// the seed alone.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "orrery/base/data_type.h"
#include "orrery/cost/fp8_gemm_law.h"

namespace orrery::cost {

struct Fp8Row {
  int gpu = 0;  // index into Fp8Measured::gpus
  double m = 0, n = 0, k = 0, seconds = 0;
};

struct Fp8Measured {
  std::vector<std::string> gpus;  // as the file writes them
  std::vector<Fp8Row> rows;
};

// The rows of one data type ("fp8", "fp8_block") of a CSV with columns gpu, dtype, m, n, k, latency_ms.
// Throws InputError with the place of a bad row.
Fp8Measured read_fp8_rows(const std::string& path, DataType type);

struct Fp8FitOptions {
  int rows_per_gpu = 3000;
  uint64_t seed = 1;
  double prior_weight = 8;  // of a prior spread against the rows, per square root of GPUs
  double noise = .12;       // expected residual
  double huber_width = .1;  // of the log residual, where the loss turns linear
  int iterations = 30;
  int threads = 1;
};

// `devices[i]` is the GPU of rows with gpu == i; rows of GPUs without a device (nullptr) are left out.
Fp8Constants fit_fp8_constants(std::span<const Fp8Row> rows, std::span<const Fp8Device* const> devices,
                               const Fp8FitOptions& options);

}  // namespace orrery::cost
