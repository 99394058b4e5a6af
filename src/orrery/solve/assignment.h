// Rows matched to columns: by least total cost, or by the least largest cost.
//
// A cost matrix is row-major, cost[r * columns + c], size rows * columns, with rows <= columns; every row
// gets a column of its own. Costs are finite; `kForbidden` marks a pair that must not be matched.
#pragma once

#include <limits>
#include <span>
#include <vector>

namespace orrery::solve {

inline constexpr double kForbidden = std::numeric_limits<double>::infinity();

struct Assignment {
  std::vector<int> column_of_row;  // size rows; empty when no complete matching avoids forbidden pairs
  double cost = 0;                 // sum, or largest, of the matched pairs
  // Dual certificate of the sum: row_price[r] + column_price[c] <= cost[r][c], equal on matched pairs, and
  // column_price[c] <= 0, zero on unmatched columns; so the prices sum to the cost.
  std::vector<double> row_price, column_price;
  bool feasible() const { return !column_of_row.empty(); }
};

// Least sum, by shortest augmenting paths (Jonker and Volgenant, 1987): O(rows² · columns).
Assignment solve_assignment(std::span<const double> cost, int rows, int columns);

// Least largest cost: bisection over the distinct costs, each tried by augmenting paths.
Assignment solve_bottleneck_assignment(std::span<const double> cost, int rows, int columns);

}  // namespace orrery::solve
