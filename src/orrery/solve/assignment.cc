#include "orrery/solve/assignment.h"

#include <algorithm>
#include <cstddef>
#include <stdexcept>

namespace orrery::solve {
namespace {

void check_shape(std::span<const double> cost, int rows, int columns) {
  if (rows < 0 || rows > columns || cost.size() != static_cast<size_t>(rows) * static_cast<size_t>(columns))
    throw std::logic_error("assignment: the matrix has another shape than rows * columns, rows <= columns");
}

// Matches `row` along a path of pairs that cost at most `limit`; true when the matching grew.
bool augment(std::span<const double> cost, int columns, double limit, int row, std::vector<char>& seen,
             std::vector<int>& row_of_column) {
  const std::span<const double> costs =
      cost.subspan(static_cast<size_t>(row) * static_cast<size_t>(columns), static_cast<size_t>(columns));
  for (int c = 0; c < columns; ++c) {
    if (seen[static_cast<size_t>(c)] || !(costs[static_cast<size_t>(c)] <= limit)) continue;
    seen[static_cast<size_t>(c)] = 1;
    int& holder = row_of_column[static_cast<size_t>(c)];
    if (holder < 0 || augment(cost, columns, limit, holder, seen, row_of_column)) {
      holder = row;
      return true;
    }
  }
  return false;
}

std::vector<int> match_below(std::span<const double> cost, int rows, int columns, double limit) {
  std::vector<int> row_of_column(static_cast<size_t>(columns), -1);
  std::vector<char> seen;
  for (int r = 0; r < rows; ++r) {
    seen.assign(static_cast<size_t>(columns), 0);
    if (!augment(cost, columns, limit, r, seen, row_of_column)) return {};
  }
  std::vector<int> column_of_row(static_cast<size_t>(rows));
  for (int c = 0; c < columns; ++c) {
    if (int r = row_of_column[static_cast<size_t>(c)]; r >= 0) column_of_row[static_cast<size_t>(r)] = c;
  }
  return column_of_row;
}

}  // namespace

Assignment solve_assignment(std::span<const double> cost, int rows, int columns) {
  check_shape(cost, rows, columns);
  const auto n = static_cast<size_t>(rows), m = static_cast<size_t>(columns);
  // Row 0 and column 0 are sentinels: p[j] is the row of column j, and column 0 holds the row being placed.
  std::vector<double> u(n + 1, 0), v(m + 1, 0), shortest(m + 1);
  std::vector<size_t> p(m + 1, 0), previous(m + 1, 0);
  std::vector<char> done(m + 1);
  Assignment result;
  for (size_t row = 1; row <= n; ++row) {
    p[0] = row;
    std::fill(shortest.begin(), shortest.end(), kForbidden);
    std::fill(done.begin(), done.end(), 0);
    size_t column = 0;
    do {
      done[column] = 1;
      const size_t from = p[column];
      const double* costs = cost.data() + (from - 1) * m;
      double least = kForbidden;
      size_t next = 0;
      for (size_t j = 1; j <= m; ++j) {
        if (done[j]) continue;
        const double reduced = costs[j - 1] - u[from] - v[j];
        if (reduced < shortest[j]) {
          shortest[j] = reduced;
          previous[j] = column;
        }
        if (shortest[j] < least) {
          least = shortest[j];
          next = j;
        }
      }
      if (next == 0) return result;  // all that is reachable is forbidden
      for (size_t j = 0; j <= m; ++j) {
        if (done[j]) {
          u[p[j]] += least;
          v[j] -= least;
        } else {
          shortest[j] -= least;
        }
      }
      column = next;
    } while (p[column] != 0);
    for (; column != 0; column = previous[column]) p[column] = p[previous[column]];
  }
  result.column_of_row.resize(n);
  for (size_t j = 1; j <= m; ++j) {
    if (p[j] == 0) continue;
    result.column_of_row[p[j] - 1] = static_cast<int>(j - 1);
    result.cost += cost[(p[j] - 1) * m + j - 1];
  }
  result.row_price.assign(u.begin() + 1, u.end());
  result.column_price.assign(v.begin() + 1, v.end());
  return result;
}

Assignment solve_bottleneck_assignment(std::span<const double> cost, int rows, int columns) {
  check_shape(cost, rows, columns);
  Assignment result;
  std::vector<double> limits;
  for (double c : cost) {
    if (c < kForbidden) limits.push_back(c);
  }
  std::sort(limits.begin(), limits.end());
  limits.erase(std::unique(limits.begin(), limits.end()), limits.end());
  size_t low = 0, high = limits.size();  // the answer lies in [low, high); high = none
  while (low < high) {
    const size_t middle = (low + high) / 2;
    std::vector<int> matching = match_below(cost, rows, columns, limits[middle]);
    if (matching.empty()) {
      low = middle + 1;
    } else {
      high = middle;
      result.column_of_row = std::move(matching);
      result.cost = limits[middle];
    }
  }
  return result;
}

}  // namespace orrery::solve
