// Linear and integer programs behind one face. The solvers behind it are COIN-OR's CLP (linear) and CBC
// (integer), as Debian ships them; nothing of theirs shows here.
//
// min Σ_j cost_j x_j   with   column lower_j <= x_j <= upper_j   and   row lower_r <= Σ_j a_rj x_j <=
// upper_r. A LinearSolver keeps its basis: rows added after a solve continue from there by the dual simplex.
#pragma once

#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "orrery/base/units.h"

namespace orrery::solve {

inline constexpr double kUnbounded = std::numeric_limits<double>::infinity();

struct Term {
  int column;
  double factor;
};

struct LinearProgram {
  struct Column {
    double lower = 0, upper = kUnbounded, cost = 0;
    bool whole = false;
  };
  struct Row {
    double lower = -kUnbounded, upper = kUnbounded;
    std::vector<Term> terms;
  };
  std::vector<Column> columns;
  std::vector<Row> rows;

  int add_column(double lower, double upper, double cost, bool whole = false) {
    columns.push_back({lower, upper, cost, whole});
    return static_cast<int>(columns.size()) - 1;
  }
  void add_row(double lower, double upper, std::vector<Term> terms) {
    rows.push_back({lower, upper, std::move(terms)});
  }
};

enum class LinearStatus { Optimal, Infeasible, Unbounded, Limit };

struct LinearSolution {
  LinearStatus status = LinearStatus::Limit;
  double objective = 0;        // of `value`; meaningless when there is none
  double bound = -kUnbounded;  // proven: no solution costs less
  std::vector<double> value;   // size columns; empty when none was found
};

class LinearSolver {
 public:
  explicit LinearSolver(const LinearProgram& program);  // ignores `whole`
  ~LinearSolver();
  LinearSolver(LinearSolver&&) noexcept;

  // By the dual simplex, within `limit` seconds. A bound is proven at every stop: where the limit cuts a
  // solve, it is the Lagrangean bound of the row prices reached.
  LinearSolution solve(Seconds limit = Seconds(1e9));
  void add_rows(std::span<const LinearProgram::Row> rows);
  // Takes out rows numbered `first_row` and above that were slack (not tight) in the last solution.
  void drop_slack_rows(int first_row);
  int rows() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Branch and cut. Stops at a relative gap of `gap` or after `limit`; `start`, where given, is a solution to
// begin with (size columns).
struct IntegerOptions {
  Seconds limit{1e9};
  double gap = 1e-9;
  std::span<const double> start = {};
};
LinearSolution solve_integer(const LinearProgram& program, const IntegerOptions& options);

}  // namespace orrery::solve
