#include "orrery/base/units.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <iterator>

namespace orrery {
namespace {

struct Spelling {
  Unit unit;
  std::string_view text;
  double si;
};

constexpr double kKibi = 1024.0;
constexpr double kHour = 3600.0;
constexpr Spelling kSpellings[] = {
    {Unit::Bytes, "B", 1},
    {Unit::Bytes, "kB", 1e3},
    {Unit::Bytes, "KB", 1e3},
    {Unit::Bytes, "MB", 1e6},
    {Unit::Bytes, "GB", 1e9},
    {Unit::Bytes, "TB", 1e12},
    {Unit::Bytes, "KiB", kKibi},
    {Unit::Bytes, "MiB", kKibi* kKibi},
    {Unit::Bytes, "GiB", kKibi* kKibi* kKibi},
    {Unit::Bytes, "TiB", kKibi* kKibi* kKibi* kKibi},
    {Unit::BytesPerSecond, "B/s", 1},
    {Unit::BytesPerSecond, "MB/s", 1e6},
    {Unit::BytesPerSecond, "GB/s", 1e9},
    {Unit::BytesPerSecond, "TB/s", 1e12},
    {Unit::BytesPerSecond, "GiB/s", kKibi* kKibi* kKibi},
    {Unit::BytesPerSecond, "TiB/s", kKibi* kKibi* kKibi* kKibi},
    {Unit::BytesPerSecond, "Gbit/s", 1e9 / 8},
    {Unit::FlopsPerSecond, "FLOP/s", 1},
    {Unit::FlopsPerSecond, "GFLOP/s", 1e9},
    {Unit::FlopsPerSecond, "TFLOP/s", 1e12},
    {Unit::FlopsPerSecond, "PFLOP/s", 1e15},
    {Unit::FlopsPerSecond, "GFLOPS", 1e9},
    {Unit::FlopsPerSecond, "TFLOPS", 1e12},
    {Unit::FlopsPerSecond, "TOP/s", 1e12},
    {Unit::FlopsPerSecond, "TOPS", 1e12},
    {Unit::Hertz, "Hz", 1},
    {Unit::Hertz, "kHz", 1e3},
    {Unit::Hertz, "MHz", 1e6},
    {Unit::Hertz, "GHz", 1e9},
    {Unit::Watts, "mW", 1e-3},
    {Unit::Watts, "W", 1},
    {Unit::Watts, "kW", 1e3},
    {Unit::Seconds, "s", 1},
    {Unit::Seconds, "ms", 1e-3},
    {Unit::Seconds, "us", 1e-6},
    {Unit::Seconds, "\u00b5s", 1e-6},  // micro sign
    {Unit::Seconds, "\u03bcs", 1e-6},  // Greek mu
    {Unit::Seconds, "ns", 1e-9},
    {Unit::Joules, "J", 1},
    {Unit::Joules, "pJ", 1e-12},
    {Unit::Joules, "kWh", 3.6e6},
    {Unit::Dollars, "USD", 1},
    {Unit::DollarsPerHour, "USD/hour", 1 / kHour},
    {Unit::DollarsPerHour, "USD/h", 1 / kHour},
    {Unit::Metres, "nm", 1e-9},
    {Unit::Metres, "um", 1e-6},
    {Unit::SquareMetres, "mm2", 1e-6},
    {Unit::SquareMetres, "um2", 1e-12},
};

std::string_view example(Unit unit) {
  switch (unit) {
    case Unit::Bytes:
      return "a size such as '80 GB' or '50 MiB'";
    case Unit::BytesPerSecond:
      return "a bandwidth such as '3350 GB/s'";
    case Unit::FlopsPerSecond:
      return "a rate such as '989 TFLOP/s'";
    case Unit::Hertz:
      return "a clock such as '1830 MHz'";
    case Unit::Watts:
      return "a power such as '700 W'";
    case Unit::Seconds:
      return "a time such as '12 us'";
    case Unit::Joules:
      return "an energy such as '1.2 pJ'";
    case Unit::Dollars:
      return "a price such as '30000 USD'";
    case Unit::DollarsPerHour:
      return "a price such as '2.50 USD/hour'";
    case Unit::Metres:
      return "a length such as '4 nm'";
    case Unit::SquareMetres:
      return "an area such as '814 mm2'";
    case Unit::None:
      return "a plain number such as '132'";
  }
  return "";
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

double parse_quantity(std::string_view text, Unit unit) {
  text = trimmed(text);
  double number = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || !std::isfinite(number)) {
    throw UnitError(
        fmt::format("'{}' is not a number with a unit; expected {}", text.substr(0, 60), example(unit)));
  }
  std::string_view suffix = trimmed(text.substr(static_cast<size_t>(end - text.data())));
  if (unit == Unit::None) {
    if (suffix.empty()) return number;
    throw UnitError(fmt::format("'{}' carries a unit; expected {}", text.substr(0, 60), example(unit)));
  }
  if (suffix.empty())
    throw UnitError(fmt::format("'{}' has no unit; expected {}", text.substr(0, 60), example(unit)));
  for (const Spelling& spelling : kSpellings) {
    if (spelling.unit != unit || spelling.text != suffix) continue;
    double si = number * spelling.si;
    if (!std::isfinite(si))
      throw UnitError(fmt::format("'{}' is too large; expected {}", text.substr(0, 60), example(unit)));
    return si;
  }
  throw UnitError(
      fmt::format("unit '{}' does not fit here; expected {}", suffix.substr(0, 40), example(unit)));
}

std::string format_quantity(double si, Unit unit) {
  struct Scale {
    double si;
    const char* suffix;
  };
  auto pick = [si](std::initializer_list<Scale> scales) {
    const Scale* best = scales.begin();
    for (const Scale& scale : scales) {
      if (std::abs(si) >= scale.si * 0.9995) best = &scale;
    }
    double shown = si / best->si;
    int decimals = std::abs(shown) >= 99.95 ? 0 : std::abs(shown) >= 9.995 ? 1 : 2;
    return fmt::format("{:.{}f} {}", shown, decimals, best->suffix);
  };
  switch (unit) {
    case Unit::Bytes:
      return pick({{1, "B"}, {1e3, "kB"}, {1e6, "MB"}, {1e9, "GB"}, {1e12, "TB"}});
    case Unit::BytesPerSecond:
      return pick({{1, "B/s"}, {1e6, "MB/s"}, {1e9, "GB/s"}, {1e12, "TB/s"}});
    case Unit::FlopsPerSecond:
      return pick({{1e9, "GFLOP/s"}, {1e12, "TFLOP/s"}, {1e15, "PFLOP/s"}});
    case Unit::Hertz:
      return pick({{1, "Hz"}, {1e6, "MHz"}, {1e9, "GHz"}});
    case Unit::Watts:
      return pick({{1, "W"}, {1e3, "kW"}, {1e6, "MW"}});
    case Unit::Seconds:
      return pick({{1e-9, "ns"}, {1e-6, "us"}, {1e-3, "ms"}, {1, "s"}});
    case Unit::Joules:
      return pick({{1e-12, "pJ"}, {1e-3, "mJ"}, {1, "J"}, {1e3, "kJ"}, {1e6, "MJ"}});
    case Unit::Dollars:
      return fmt::format("{:.2f} USD", si);
    case Unit::DollarsPerHour:
      return fmt::format("{:.2f} USD/hour", si * kHour);
    case Unit::Metres:
      return pick({{1e-9, "nm"}, {1e-6, "um"}});
    case Unit::SquareMetres:
      return pick({{1e-12, "um2"}, {1e-6, "mm2"}});
    case Unit::None:
      return fmt::format("{:g}", si);
  }
  return {};
}

std::string format(Seconds v) {
  return format_quantity(v.value(), Unit::Seconds);
}
std::string format(Bytes v) {
  return format_quantity(v.value(), Unit::Bytes);
}
std::string format(BytesPerSecond v) {
  return format_quantity(v.value(), Unit::BytesPerSecond);
}
std::string format(FlopsPerSecond v) {
  return format_quantity(v.value(), Unit::FlopsPerSecond);
}
std::string format(Watts v) {
  return format_quantity(v.value(), Unit::Watts);
}

}  // namespace orrery
