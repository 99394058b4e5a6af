#include "orrery/solve/linear_program.h"

#include <gtest/gtest.h>

#include "orrery/base/random.h"

namespace orrery::solve {
namespace {

// Random packing rows over {0..3}^n, tried out.
struct Small {
  LinearProgram program;
  double best = kUnbounded;
};
Small random_program(Random& random) {
  Small small;
  const int n = 2 + static_cast<int>(random.index(4)), rows = 1 + static_cast<int>(random.index(4));
  for (int j = 0; j < n; ++j)
    small.program.add_column(0, 3, static_cast<double>(random.index(21)) - 10, true);
  for (int r = 0; r < rows; ++r) {
    std::vector<Term> terms;
    for (int j = 0; j < n; ++j) terms.push_back({j, static_cast<double>(random.index(9)) - 2});
    const double low = static_cast<double>(random.index(8));
    small.program.add_row(random.index(2) ? low : -kUnbounded, low + static_cast<double>(random.index(9)),
                          terms);
  }
  for (int code = 0; code < 1 << (2 * n); ++code) {
    auto x = [&](int j) { return code >> (2 * j) & 3; };
    bool fits = true;
    for (const LinearProgram::Row& row : small.program.rows) {
      double sum = 0;
      for (const Term& t : row.terms) sum += t.factor * x(t.column);
      fits = fits && sum >= row.lower && sum <= row.upper;
    }
    double value = 0;
    for (int j = 0; j < n; ++j) value += small.program.columns[static_cast<size_t>(j)].cost * x(j);
    if (fits) small.best = std::min(small.best, value);
  }
  return small;
}

TEST(LinearProgram, integer_optimum_equals_enumeration_and_relaxation_bounds_it) {
  Random random(Seed{7});
  for (int round = 0; round < 60; ++round) {
    const Small small = random_program(random);
    const LinearSolution whole = solve_integer(small.program, {});
    const LinearSolution relaxed = LinearSolver(small.program).solve();
    if (small.best == kUnbounded) {
      EXPECT_EQ(whole.status, LinearStatus::Infeasible);
      continue;
    }
    ASSERT_EQ(whole.status, LinearStatus::Optimal);
    EXPECT_NEAR(whole.objective, small.best, 1e-6);
    EXPECT_LE(relaxed.bound, small.best + 1e-6);
    EXPECT_NEAR(relaxed.bound, relaxed.objective, 1e-6);
  }
}

TEST(LinearProgram, rows_added_later_tighten_and_slack_ones_can_go) {
  LinearProgram program;  // min -x - y in a box, then cut off
  program.add_column(0, 1, -1);
  program.add_column(0, 1, -1);
  LinearSolver solver(program);
  EXPECT_NEAR(solver.solve().objective, -2, 1e-9);
  const std::vector<LinearProgram::Row> rows{{-kUnbounded, 1.5, {{0, 1}, {1, 1}}},
                                             {-kUnbounded, 7, {{0, 1}, {1, 2}}}};
  solver.add_rows(rows);
  EXPECT_NEAR(solver.solve().objective, -1.5, 1e-9);
  solver.drop_slack_rows(0);
  EXPECT_EQ(solver.rows(), 1);
  EXPECT_NEAR(solver.solve().objective, -1.5, 1e-9);
}

}  // namespace
}  // namespace orrery::solve
