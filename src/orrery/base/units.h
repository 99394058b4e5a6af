// Physical quantities as types: a time is not a size, and seconds are not milliseconds.
//
// A Quantity holds one double in SI units (bytes, FLOPs, cycles and US dollars stand beside the SI ones).
// Products and quotients carry their dimension, so `bytes / bandwidth` is a `Seconds` and nothing else
// compiles. Cycles carry no time without a clock: `cycles / hertz` is a `Seconds`, since Hertz here is cycles
// per second.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "orrery/base/error.h"

namespace orrery {

// Exponents of (time, bytes, floating-point operations, energy, cycles, dollars, grams of CO2e, square
// metres).
template <int T, int B, int F, int E, int C, int D, int G, int A>
struct Dimension {
  template <class O>
  using times = typename O::template plus<T, B, F, E, C, D, G, A>;
  template <int t, int b, int f, int e, int c, int d, int g, int a>
  using plus = Dimension<T + t, B + b, F + f, E + e, C + c, D + d, G + g, A + a>;
  using inverse = Dimension<-T, -B, -F, -E, -C, -D, -G, -A>;
};
using Dimensionless = Dimension<0, 0, 0, 0, 0, 0, 0, 0>;

template <class Dim>
class Quantity {
 public:
  using dimension = Dim;
  constexpr Quantity() = default;
  explicit constexpr Quantity(double si) : si_(si) {}
  constexpr double value() const { return si_; }

  constexpr Quantity& operator+=(Quantity other) {
    si_ += other.si_;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    si_ -= other.si_;
    return *this;
  }
  constexpr Quantity& operator*=(double factor) {
    si_ *= factor;
    return *this;
  }
  constexpr Quantity& operator/=(double divisor) {
    si_ /= divisor;
    return *this;
  }
  constexpr Quantity operator-() const { return Quantity(-si_); }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.si_ + b.si_); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.si_ - b.si_); }
  friend constexpr Quantity operator*(Quantity a, double factor) { return Quantity(a.si_ * factor); }
  friend constexpr Quantity operator*(double factor, Quantity a) { return Quantity(a.si_ * factor); }
  friend constexpr Quantity operator/(Quantity a, double divisor) { return Quantity(a.si_ / divisor); }
  friend constexpr auto operator<=>(Quantity a, Quantity b) = default;

 private:
  double si_ = 0;
};

template <class Dim>
struct QuantityOrNumber {
  using type = Quantity<Dim>;
};
template <>
struct QuantityOrNumber<Dimensionless> {
  using type = double;
};

template <class D1, class D2>
constexpr auto operator*(Quantity<D1> a, Quantity<D2> b) {
  return typename QuantityOrNumber<typename D1::template times<D2>>::type(a.value() * b.value());
}
template <class D1, class D2>
constexpr auto operator/(Quantity<D1> a, Quantity<D2> b) {
  return typename QuantityOrNumber<typename D1::template times<typename D2::inverse>>::type(a.value() /
                                                                                            b.value());
}
template <class D>
constexpr auto operator/(double a, Quantity<D> b) {
  return Quantity<typename D::inverse>(a / b.value());
}

using Seconds = Quantity<Dimension<1, 0, 0, 0, 0, 0, 0, 0>>;
using Bytes = Quantity<Dimension<0, 1, 0, 0, 0, 0, 0, 0>>;
using Flops = Quantity<Dimension<0, 0, 1, 0, 0, 0, 0, 0>>;
using Joules = Quantity<Dimension<0, 0, 0, 1, 0, 0, 0, 0>>;
using Cycles = Quantity<Dimension<0, 0, 0, 0, 1, 0, 0, 0>>;
using Dollars = Quantity<Dimension<0, 0, 0, 0, 0, 1, 0, 0>>;
using Grams = Quantity<Dimension<0, 0, 0, 0, 0, 0, 1, 0>>;
using SquareMetres = Quantity<Dimension<0, 0, 0, 0, 0, 0, 0, 1>>;
using Watts = Quantity<Dimension<-1, 0, 0, 1, 0, 0, 0, 0>>;
using Hertz = Quantity<Dimension<-1, 0, 0, 0, 1, 0, 0, 0>>;
using BytesPerSecond = Quantity<Dimension<-1, 1, 0, 0, 0, 0, 0, 0>>;
using FlopsPerSecond = Quantity<Dimension<-1, 0, 1, 0, 0, 0, 0, 0>>;
using DollarsPerSecond = Quantity<Dimension<-1, 0, 0, 0, 0, 1, 0, 0>>;

constexpr Seconds milliseconds(double v) {
  return Seconds(v * 1e-3);
}
constexpr Seconds microseconds(double v) {
  return Seconds(v * 1e-6);
}
constexpr Bytes gigabytes(double v) {
  return Bytes(v * 1e9);
}
constexpr Bytes gibibytes(double v) {
  return Bytes(v * 1073741824.0);
}

// What a text such as "80 GB", "3.35 TB/s", "1830 MHz" or "250 W" must measure. GB is 1e9 bytes, GiB is 2^30.
enum class Unit {
  Bytes,
  BytesPerSecond,
  FlopsPerSecond,
  Hertz,
  Watts,
  Seconds,
  Joules,
  Dollars,
  DollarsPerHour,
  Metres,
  SquareMetres,
  None
};

// Parses a number with its unit into SI (metres for lengths such as "4 nm", dollars per second for
// "USD/hour"). Throws UnitError, whose text says what was expected, when the unit is missing or measures
// something else.
double parse_quantity(std::string_view text, Unit unit);
class UnitError : public Error {
 public:
  using Error::Error;
};

// "1.94 TB/s", "12.9 ms", "80.0 GB": three significant digits and a prefix; what a table shows.
std::string format_quantity(double si, Unit unit);
std::string format(Seconds v);
std::string format(Bytes v);
std::string format(BytesPerSecond v);
std::string format(FlopsPerSecond v);
std::string format(Watts v);

}  // namespace orrery
