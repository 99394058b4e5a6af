// Corrected steps: conjugate gradients for min |y - Aβ| (CGLS) with R as the preconditioner. Where R is that
// of A but for rounding, one step is SIA's corrected semi-normal step with the best length; where it is stale
// or coarse, each further one lowers the residual.
#pragma once

#include <span>
#include <vector>

#include "orrery/keyindex/training/block_sums.h"
#include "orrery/keyindex/training/qr_factor.h"

namespace orrery::keyindex {

// rows: all rows, in order of rank; y: rank - mean. Improves beta in place; stops early when the gradient is
// gone.
void correct(const RowMatrix& rows, size_t columns, const TriangularSolver& solver, int steps,
             std::vector<double>& beta);

}  // namespace orrery::keyindex
