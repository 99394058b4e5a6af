// Makes the FP8 model's weights (fp8_gemm_model.h) from measured rows: constants of the law, residual trees
// of each GPU, bands from residuals that the trees did not see (four folds of (n, k) families), and the
// libraries of block scales.
#pragma once

#include <functional>

#include "orrery/cost/fit/fit_fp8_gemm.h"
#include "orrery/cost/fp8_gemm_model.h"

namespace orrery::cost {

inline constexpr int kFp8Folds = 4;
// The fold of a (n, k) family: all products with these weights share it.
int fp8_fold(double n, double k);

struct Fp8ModelOptions {
  Fp8FitOptions law = {};       // to all GPUs at once
  double own_prior_weight = 4;  // of a GPU's own constants: its rows decide more
  int trees = 300, leaves = 24;
  bool bands = true;  // false: no folds are fitted, and the bands stay those of the law alone
  int threads = 1;
};

// `fp8` and `block` hold rows of the types of these names; `keep(gpu, row)` says which are seen. Devices are
// found by the rows' GPU names in `catalogue`. Throws InputError for a GPU that it lacks.
Fp8GemmModel fit_fp8_model(const Fp8Measured& fp8, const Fp8Measured& block,
                           const std::function<hardware::Device(const std::string&)>& device_of,
                           const std::function<bool(const std::string& gpu, const Fp8Row&)>& keep,
                           const Fp8ModelOptions& options);

}  // namespace orrery::cost
