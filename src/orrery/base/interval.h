// A value with the band that it lies in. Intervals belong to one model or to one validated sum; their ends
// are never added.
#pragma once

namespace orrery {

template <class Q>
struct Interval {
  Q low{}, value{}, high{};
  double confidence = 0;  // 0: exact, low = value = high

  static constexpr Interval exact(Q v) { return {v, v, v, 0}; }
};

}  // namespace orrery
