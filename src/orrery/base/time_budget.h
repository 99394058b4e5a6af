// One wall-clock limit for many searches, whichever run one after another or side by side.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "orrery/base/run_context.h"
#include "orrery/base/threads.h"

namespace orrery {

// Begins to run when it is made. Without a limit in its context all parts are without one.
class TimeBudget {
 public:
  explicit TimeBudget(const RunContext& context) : context_(context) {}

  bool spent() const { return context_.time && left() <= kLeast; }

  // The context with a share of what is left, for what runs next and alone.
  RunContext part(double share) const {
    RunContext part = context_;
    if (context_.time) part.time = Seconds(std::max(kLeast, share * left()));
    return part;
  }
  // For each of `count` equal searches that run side by side on the context's threads.
  RunContext each_of(size_t count) const {
    const auto threads = static_cast<size_t>(context_.threads > 0 ? context_.threads : hardware_threads());
    return part(1 / static_cast<double>(std::max<size_t>(1, (count + threads - 1) / threads)));
  }

 private:
  static constexpr double kLeast = 1e-6;  // a limit of nothing would be none
  double left() const {
    return context_.time->value() - std::chrono::duration<double>(Clock::now() - began_).count();
  }
  using Clock = std::chrono::steady_clock;
  RunContext context_;
  Clock::time_point began_ = Clock::now();
};

}  // namespace orrery
