// Fits the matrix-product model to measured rows: the law's constants and each GPU's three factors together
// by robust least squares with priors, then a residual per GPU by boosted trees, then the band from GPUs left
// out. Seeded; the same bits for any number of threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orrery/base/data_type.h"
#include "orrery/cost/gemm_model.h"

namespace orrery::cost {

struct GemmRow {
  size_t gpu = 0;  // into GemmData::devices
  double m = 0, n = 0, k = 0;
  double seconds = 0;
};

struct GemmData {
  DataType type = DataType::BF16;
  double copies = 6;  // of the weights that the benchmark cycled over
  std::vector<hardware::Device> devices;
  std::vector<GemmRow> rows;
};

// Reads the rows of one data type from a CSV (.csv, .csv.zst) with columns gpu, dtype, m, n, k (the
// contraction) and latency_ms. GPUs are looked up in the shipped catalogue. Throws InputError.
GemmData read_gemm_data(const std::string& path, DataType type);

inline constexpr size_t kNoGpu = static_cast<size_t>(-1);

struct GemmFitOptions {
  size_t rows_per_gpu = 1500;  // drawn for the constants
  double noise = .15;          // of a log residual
  double huber = 1;            // in units of noise
  double prior_weight = 6;
  double effect_spread = .12;  // of the logarithm of a GPU's factors
  int iterations = 14;
  int trees = 60, leaves = 80;
  double learning_rate = .2;
  uint64_t seed = 1;
  int threads = 1;
};

// `leave_out`: index of a device whose rows are not used at all, or kNoGpu. `use`: of the rows, which may be
// used, or empty for all. The band is left wide.
GemmModel fit_gemm_law(const GemmData& data, size_t leave_out, const std::vector<char>& use,
                       const GemmFitOptions& options);

// For every row: the prediction of a model that never saw the row's GPU, in seconds, and its features.
struct GemmLeftOut {
  std::vector<double> predicted;
  std::vector<double> law;      // without the residual
  std::vector<float> features;  // rows × kGemmFeatures
};
GemmLeftOut gemm_left_out(const GemmData& data, const GemmFitOptions& options);

// The band of GPUs that were left out; `skip` is not used.
ErrorBand gemm_band(const GemmData& data, const GemmLeftOut& left_out, size_t skip,
                    const GemmFitOptions& options);

// All GPUs, with the band.
GemmModel fit_gemm(const GemmData& data, const GemmFitOptions& options);

}  // namespace orrery::cost
