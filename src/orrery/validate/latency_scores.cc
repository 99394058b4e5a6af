#include "orrery/validate/latency_scores.h"

#include <algorithm>
#include <cmath>

#include "orrery/cost/error_band.h"
#include "orrery/learn/metrics.h"

namespace orrery::validate {

namespace {

constexpr size_t kMostPoints = 150;

}  // namespace

LatencyScores score(const std::vector<TimedRow>& rows) {
  LatencyScores s;
  s.rows = rows.size();
  if (rows.empty()) return s;
  std::vector<double> predicted, measured, low, high;
  double in_class[cost::kSizeClasses] = {};
  for (const TimedRow& row : rows) {
    predicted.push_back(row.predicted);
    measured.push_back(row.measured);
    low.push_back(row.low);
    high.push_back(row.high);
    const size_t c = cost::size_class(row.measured);
    s.size_class[c] += std::abs(row.predicted / row.measured - 1);
    in_class[c] += 1;
    s.width += (row.high - row.low) / row.predicted / static_cast<double>(rows.size());
  }
  for (size_t c = 0; c < cost::kSizeClasses; ++c)
    s.size_class[c] = in_class[c] > 0 ? s.size_class[c] / in_class[c] : 0;
  s.mean = learn::mean_absolute_error(predicted, measured);
  s.median = learn::median_absolute_error(predicted, measured);
  s.weighted = learn::weighted_absolute_error(predicted, measured);
  s.bias = learn::bias(predicted, measured);
  s.rank = learn::rank_correlation(predicted, measured);
  s.coverage = learn::coverage(low, high, measured);

  std::vector<TimedRow> sorted = rows;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const TimedRow& a, const TimedRow& b) { return a.measured < b.measured; });
  const size_t points = std::min(kMostPoints, rows.size());
  for (size_t i = 0; i < points; ++i) s.points.push_back(sorted[(2 * i + 1) * rows.size() / (2 * points)]);
  return s;
}

report::Table scores_table(const std::string& title, const std::vector<LatencyScores>& scores) {
  const bool bands = std::any_of(scores.begin(), scores.end(), [](const auto& s) { return s.width > 0; });
  const bool copies = std::any_of(scores.begin(), scores.end(), [](const auto& s) { return s.copy > 0; });
  report::Table table;
  table.title = title;
  table.keys = 3;
  table.columns = {{"GPU", ""},     {"what", ""},     {"setting", ""}, {"rows", ""},    {"mean", "%"},
                   {"median", "%"}, {"by time", "%"}, {"bias", "%"},   {"<20 us", "%"}, {"<100 us", "%"},
                   {"<1 ms", "%"},  {"more", "%"},    {"rank", ""}};
  if (bands) table.columns.insert(table.columns.end(), {{"coverage", "%"}, {"width / median", ""}});
  if (copies) table.columns.insert(table.columns.end(), {{"copy", "%"}, {"copy scaled", "%"}, {"from", ""}});
  for (const LatencyScores& s : scores) {
    auto percent = [](double v) -> report::Cell { return report::number(100 * v, 1); };
    std::vector<report::Cell> row = {s.gpu,
                                     s.what,
                                     s.setting,
                                     report::number(static_cast<double>(s.rows), 0),
                                     percent(s.mean),
                                     percent(s.median),
                                     percent(s.weighted),
                                     percent(s.bias)};
    for (double c : s.size_class) row.push_back(c > 0 ? percent(c) : report::Cell{});
    row.push_back(report::number(s.rank, 3));
    if (bands) {
      row.push_back(s.width > 0 ? percent(s.coverage) : report::Cell{});
      row.push_back(s.width > 0 ? report::number(s.width / s.median, 1) : report::Cell{});
    }
    if (copies) {
      row.push_back(s.copy > 0 ? percent(s.copy) : report::Cell{});
      row.push_back(s.copy_scaled > 0 ? percent(s.copy_scaled) : report::Cell{});
      row.push_back(s.copied_from);
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace orrery::validate
