// Student's t: how far a mean of few may lie from the truth.
#pragma once

namespace orrery::learn {

// The p-quantile at `freedom` degrees of freedom. Precondition: 0 < p < 1, freedom ≥ 1.
double student_t_quantile(double p, int freedom);

}  // namespace orrery::learn
