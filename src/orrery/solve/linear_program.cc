#include "orrery/solve/linear_program.h"

#include <CbcModel.hpp>
#include <ClpSimplex.hpp>
#include <CoinPackedMatrix.hpp>
#include <OsiClpSolverInterface.hpp>
#include <algorithm>
#include <cmath>

extern "C++" {
int CbcMain1(int argc, const char* argv[], CbcModel& model);
void CbcMain0(CbcModel& model);
}

namespace orrery::solve {
namespace {

double coin(double v) {
  return v == kUnbounded ? COIN_DBL_MAX : v == -kUnbounded ? -COIN_DBL_MAX : v;
}

// The rows as CoinPackedMatrix wants them: compressed, row-ordered.
struct Compressed {
  std::vector<CoinBigIndex> start{0};
  std::vector<int> index;
  std::vector<double> factor, lower, upper;

  explicit Compressed(std::span<const LinearProgram::Row> rows) {
    for (const LinearProgram::Row& row : rows) {
      for (const Term& term : row.terms) {
        index.push_back(term.column);
        factor.push_back(term.factor);
      }
      start.push_back(static_cast<CoinBigIndex>(index.size()));
      lower.push_back(coin(row.lower));
      upper.push_back(coin(row.upper));
    }
  }
  CoinPackedMatrix matrix(size_t columns) const {
    CoinPackedMatrix m(false, static_cast<int>(columns), static_cast<int>(lower.size()),
                       static_cast<CoinBigIndex>(index.size()), factor.data(), index.data(), start.data(),
                       nullptr);
    return m;
  }
};

template <class Model>
void load(Model& model, const LinearProgram& program) {
  std::vector<double> lower, upper, cost;
  for (const LinearProgram::Column& column : program.columns) {
    lower.push_back(coin(column.lower));
    upper.push_back(coin(column.upper));
    cost.push_back(column.cost);
  }
  const Compressed rows(program.rows);
  model.loadProblem(rows.matrix(program.columns.size()), lower.data(), upper.data(), cost.data(),
                    rows.lower.data(), rows.upper.data());
}

// The bound that any row prices prove: Σ_r of price times the row end that it leans on, plus each column at
// its cheaper end under the reduced costs.
double lagrangean_bound(const ClpSimplex& model) {
  const int rows = model.numberRows(), columns = model.numberColumns();
  const double* price = model.dualRowSolution();
  std::vector<double> reduced(model.objective(), model.objective() + columns);
  std::vector<double> product(static_cast<size_t>(columns), 0);
  model.matrix()->transposeTimes(price, product.data());
  double bound = 0;
  for (int r = 0; r < rows; ++r) {
    if (price[r] == 0) continue;
    const double end = price[r] > 0 ? model.rowLower()[r] : model.rowUpper()[r];
    if (std::abs(end) >= 1e30) return -kUnbounded;
    bound += price[r] * end;
  }
  for (int j = 0; j < columns; ++j) {
    const double d = reduced[static_cast<size_t>(j)] - product[static_cast<size_t>(j)];
    if (d == 0) continue;
    const double end = d > 0 ? model.columnLower()[j] : model.columnUpper()[j];
    if (std::abs(end) >= 1e30) {
      if (std::abs(d) < 1e-9) continue;  // rounding of a reduced cost that is zero
      return -kUnbounded;
    }
    bound += d * end;
  }
  return bound;
}

}  // namespace

struct LinearSolver::State {
  ClpSimplex model;
  bool solved = false;
};

LinearSolver::LinearSolver(const LinearProgram& program) : state_(std::make_unique<State>()) {
  state_->model.setLogLevel(0);
  load(state_->model, program);
}
LinearSolver::~LinearSolver() = default;
LinearSolver::LinearSolver(LinearSolver&&) noexcept = default;

int LinearSolver::rows() const {
  return state_->model.numberRows();
}

LinearSolution LinearSolver::solve(Seconds limit) {
  ClpSimplex& model = state_->model;
  model.setMaximumWallSeconds(std::max(1e-3, limit.value()));
  model.dual();
  state_->solved = true;
  LinearSolution result;
  switch (model.status()) {
    case 0:
      result.status = LinearStatus::Optimal;
      break;
    case 1:
      result.status = LinearStatus::Infeasible;
      result.bound = kUnbounded;
      return result;
    case 2:
      result.status = LinearStatus::Unbounded;
      return result;
    default:
      break;
  }
  result.bound = lagrangean_bound(model);
  if (result.status == LinearStatus::Optimal) {
    result.objective = model.objectiveValue();
    result.value.assign(model.primalColumnSolution(), model.primalColumnSolution() + model.numberColumns());
  }
  return result;
}

void LinearSolver::add_rows(std::span<const LinearProgram::Row> rows) {
  if (rows.empty()) return;
  const Compressed packed(rows);
  state_->model.addRows(static_cast<int>(rows.size()), packed.lower.data(), packed.upper.data(),
                        packed.start.data(), packed.index.data(), packed.factor.data());
}

void LinearSolver::drop_slack_rows(int first_row) {
  ClpSimplex& model = state_->model;
  std::vector<int> slack;
  for (int r = first_row; r < model.numberRows(); ++r) {
    if (model.getRowStatus(r) == ClpSimplex::basic) slack.push_back(r);
  }
  if (!slack.empty()) model.deleteRows(static_cast<int>(slack.size()), slack.data());
}

LinearSolution solve_integer(const LinearProgram& program, const IntegerOptions& options) {
  OsiClpSolverInterface relaxed;
  relaxed.messageHandler()->setLogLevel(0);
  load(relaxed, program);
  for (size_t j = 0; j < program.columns.size(); ++j) {
    if (program.columns[j].whole) relaxed.setInteger(static_cast<int>(j));
  }
  CbcModel model(relaxed);
  model.setLogLevel(0);
  model.solver()->messageHandler()->setLogLevel(0);
  model.setUseElapsedTime(true);
  model.setMaximumSeconds(options.limit.value());
  model.setAllowableFractionGap(options.gap);
  model.setAllowableGap(0);
  CbcMain0(model);
  model.setLogLevel(0);
  if (!options.start.empty()) {
    double value = 0;
    for (size_t j = 0; j < program.columns.size(); ++j) value += options.start[j] * program.columns[j].cost;
    model.setBestSolution(options.start.data(), static_cast<int>(options.start.size()), value, true);
  }
  const std::string seconds = std::to_string(options.limit.value());
  const std::string ratio = std::to_string(options.gap);
  const char* arguments[] = {"orrery",        "-log",   "0",           "-timeMode", "elapsed", "-sec",
                             seconds.c_str(), "-ratio", ratio.c_str(), "-solve",    "-quit"};
  CbcMain1(static_cast<int>(std::size(arguments)), arguments, model);
  LinearSolution result;
  if (model.isProvenInfeasible()) {
    result.status = LinearStatus::Infeasible;
    result.bound = kUnbounded;
    return result;
  }
  result.bound = model.getBestPossibleObjValue();
  if (model.bestSolution() != nullptr) {
    result.objective = model.getObjValue();
    result.value.assign(model.bestSolution(), model.bestSolution() + program.columns.size());
    result.bound = std::min(result.bound, result.objective);
  }
  if (model.isProvenOptimal()) result.status = LinearStatus::Optimal;
  return result;
}

}  // namespace orrery::solve
