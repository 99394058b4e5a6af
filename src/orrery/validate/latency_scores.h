// How far predicted times are from measured ones, in the figures that every latency validation prints.
#pragma once

#include <string>
#include <vector>

#include "orrery/cost/error_band.h"
#include "orrery/report/table.h"

namespace orrery::validate {

struct TimedRow {
  double predicted = 0, measured = 0;  // seconds
  double low = 0, high = 0;            // of the 90 % band, seconds; 0: none
};

struct LatencyScores {
  std::string gpu, what, setting;  // "H100-SXM5-80GB", "decode attention", "GPU left out"
  bool models = false;             // of whole models, not of single kernels
  size_t rows = 0;
  double mean = 0, median = 0, weighted = 0,
         bias = 0;  // of |predicted / measured − 1|; by time; mean of predicted / measured − 1
  double size_class[cost::kSizeClasses] = {};  // measured < 20 us, < 100 us, < 1 ms, more
  double rank = 0;                             // Spearman's correlation
  double coverage = 0, width = 0;              // of the band; mean of (high − low) / predicted
  double copy = 0, copy_scaled = 0;  // the other GPU's row; times the ratio of speeds of light; 0: none
  std::string copied_from;           // the source of the better one
  double roofline = 0;               // the roofline's mean error; 0: not asked
  std::vector<TimedRow> points;      // a sample to draw, evenly spaced in order of measured time
};
LatencyScores score(const std::vector<TimedRow>& rows);

// One row a score; columns that no score fills are left out.
report::Table scores_table(const std::string& title, const std::vector<LatencyScores>& scores);

}  // namespace orrery::validate
