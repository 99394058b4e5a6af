// What every search returns: the best plan, how far it can be from the best possible, over what that is
// proven, and why the search stopped. No bound stands without the space and the model that it was proven
// over.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orrery::solve {

enum class Stop { Proven, GapReached, WorkLimit, TimeLimit, Interrupted, Infeasible };
const char* name(Stop stop);

// An infeasible request names what is short: 'stage 3, memory, GiB, 43.8, 32'.
struct Shortfall {
  std::string where, constraint, unit;
  double needed = 0, available = 0;
};

// |objective − bound| / |objective| for either sense; 0 when both are equal (also at zero), infinite when the
// objective alone is zero.
inline double relative_gap(double objective, double bound) {
  if (objective == bound) return 0;
  return std::abs(objective - bound) / std::abs(objective);
}

template <class Plan>
struct SearchResult {
  std::optional<Plan> best;  // absent exactly when nothing feasible was found
  double objective = 0, bound = 0;
  std::string proven_over;  // "2,840 designs, greedy scheduler, fold model"
  Stop stop = Stop::Infeasible;
  uint64_t evaluations = 0;
  std::vector<Plan> front;            // Pareto front where the search keeps one
  std::vector<Shortfall> shortfalls;  // why nothing, or nothing better, was feasible
  double gap() const { return relative_gap(objective, bound); }
};

}  // namespace orrery::solve
