#include "orrery/validate/latency_scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace orrery::validate {

namespace {

constexpr size_t kMostPoints = 150;

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t j = i;
    while (j < order.size() && values[order[j]] == values[order[i]]) ++j;
    for (size_t k = i; k < j; ++k) rank[order[k]] = static_cast<double>(i + j - 1) / 2;
    i = j;
  }
  return rank;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.) / n,
               mean_b = std::accumulate(b.begin(), b.end(), 0.) / n;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

size_t size_class(double seconds) {
  return seconds < 20e-6 ? 0 : seconds < 100e-6 ? 1 : seconds < 1e-3 ? 2 : 3;
}

}  // namespace

LatencyScores score(const std::vector<TimedRow>& rows) {
  LatencyScores s;
  s.rows = rows.size();
  if (rows.empty()) return s;
  std::vector<double> errors, predicted, measured;
  double in_class[4] = {}, off = 0, time = 0;
  for (const TimedRow& row : rows) {
    const double error = std::abs(row.predicted / row.measured - 1);
    const size_t c = size_class(row.measured);
    errors.push_back(error);
    predicted.push_back(row.predicted);
    measured.push_back(row.measured);
    s.mean += error;
    s.bias += row.predicted / row.measured - 1;
    s.size_class[c] += error;
    in_class[c] += 1;
    off += std::abs(row.predicted - row.measured);
    time += row.measured;
    s.coverage += row.measured >= row.low && row.measured <= row.high ? 1 : 0;
    s.width += (row.high - row.low) / row.predicted;
  }
  const double n = static_cast<double>(rows.size());
  for (double* value : {&s.mean, &s.bias, &s.coverage, &s.width}) *value /= n;
  for (size_t c = 0; c < 4; ++c) s.size_class[c] = in_class[c] > 0 ? s.size_class[c] / in_class[c] : 0;
  s.weighted = off / time;
  s.rank = correlation(ranks(predicted), ranks(measured));
  std::nth_element(errors.begin(), errors.begin() + static_cast<std::ptrdiff_t>(errors.size() / 2),
                   errors.end());
  s.median = errors[errors.size() / 2];

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
