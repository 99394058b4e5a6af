// FP8 products against the world: each GPU left out of the fit, (n, k) families left out with the GPU in it,
// and products with block scales, beside the two trivial baselines. Reads tensorcore_gemm.csv.zst of the
// folder with measured data.
#pragma once

#include <string>
#include <vector>

#include "orrery/hardware/catalogue.h"
#include "orrery/report/table.h"

namespace orrery::validate {

struct Fp8Scores {
  std::string gpu, type,
      setting;  // "H100-SXM5-80GB", "fp8", "GPU left out" | "families left out" | "GPU in the fit"
  size_t rows = 0;
  double mean = 0, median = 0, weighted = 0,
         bias = 0;                   // of |predicted / measured - 1|; by time; mean log ratio
  double size_class[4] = {};         // measured < 20 us, < 100 us, < 1 ms, more
  double copy = 0, copy_scaled = 0;  // the other GPU's row; times the ratio of speeds of light; 0: none
  double rank = 0;                   // Spearman's correlation
  double coverage = 0, width = 0;    // of the 90 % band; mean of high - low over the prediction
};

// About half a minute on two cores. Throws InputError where the file is missing or damaged.
std::vector<Fp8Scores> evaluate_fp8(const std::string& data_folder, const hardware::Catalogue& catalogue,
                                    int threads);

std::vector<report::Table> fp8_tables(const std::vector<Fp8Scores>& scores);

}  // namespace orrery::validate
