#include "orrery/keyindex/training/corrected_step.h"

#include <cmath>

#include "orrery/keyindex/training/simd.h"

namespace orrery::keyindex {
namespace {

ORRERY_CLONES void multiply(const int32_t* rows, size_t count, size_t stride, size_t columns, const double* x,
                            double* out) {
  for (size_t i = 0; i < count; ++i) {
    double sum = 0;
    for (size_t j = 0; j < columns; ++j) sum += rows[i * stride + j] * x[j];
    out[i] = sum;
  }
}

ORRERY_CLONES void multiply_transposed(const int32_t* rows, size_t count, size_t stride, size_t columns,
                                       const double* x, double* out) {
  for (size_t j = 0; j < columns; ++j) out[j] = 0;
  for (size_t i = 0; i < count; ++i)
    for (size_t j = 0; j < columns; ++j) out[j] += rows[i * stride + j] * x[i];
}

double product(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

void correct(const RowMatrix& rows, size_t columns, const TriangularSolver& solver, int steps,
             std::vector<double>& beta) {
  const size_t count = rows.rows();
  std::vector<double> residual(count), image(count), gradient(columns), direction, solved;
  multiply(rows.data(), count, rows.stride(), columns, beta.data(), residual.data());
  for (size_t i = 0; i < count; ++i)
    residual[i] = static_cast<double>(i) - (static_cast<double>(count) - 1) / 2 - residual[i];
  double previous = 0, first = 0;
  for (int step = 0; step < steps; ++step) {
    multiply_transposed(rows.data(), count, rows.stride(), columns, residual.data(), gradient.data());
    solved = solver.precondition(gradient);
    const double slope = product(gradient, solved);
    if (step == 0) first = slope;
    if (!(slope > first * 1e-22)) return;
    if (step == 0) {
      direction = solved;
    } else {
      for (size_t j = 0; j < columns; ++j) direction[j] = solved[j] + slope / previous * direction[j];
    }
    previous = slope;
    multiply(rows.data(), count, rows.stride(), columns, direction.data(), image.data());
    const double curvature = product(image, image);
    if (!(curvature > 0) || !std::isfinite(slope / curvature)) return;
    // The best length along the direction, whatever R is worth: no step makes the residual longer.
    const double length = product(gradient, direction) / curvature;
    for (size_t j = 0; j < columns; ++j) beta[j] += length * direction[j];
    for (size_t i = 0; i < count; ++i) residual[i] -= length * image[i];
  }
}

}  // namespace orrery::keyindex
