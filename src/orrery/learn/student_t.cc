#include "orrery/learn/student_t.h"

#include <cmath>
#include <numbers>

namespace orrery::learn {
namespace {

// P(|T| ≤ √freedom · tan angle), Abramowitz and Stegun 26.7.3 and 26.7.4.
double inside(double angle, int freedom) {
  const double square = std::cos(angle) * std::cos(angle);
  const bool odd = freedom % 2 == 1;
  double term = odd ? std::cos(angle) : 1, sum = freedom > 1 ? term : 0;
  for (int i = odd ? 3 : 2; i < freedom; i += 2) {
    term *= square * (i - 1) / i;
    sum += term;
  }
  return odd ? 2 / std::numbers::pi * (angle + std::sin(angle) * sum) : std::sin(angle) * sum;
}

}  // namespace

double student_t_quantile(double p, int freedom) {
  const double asked = std::abs(2 * p - 1);
  double low = 0, high = std::numbers::pi / 2;
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (inside(middle, freedom) < asked ? low : high) = middle;
  }
  return std::copysign(std::sqrt(freedom) * std::tan((low + high) / 2), p - .5);
}

}  // namespace orrery::learn
