#include "orrery/validate/latency_targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "orrery/base/text.h"

namespace orrery::validate {
namespace {

constexpr const char* kGpuOut = "GPU left out";
constexpr const char* kFamiliesOut = "families left out";
constexpr const char* kRowsShared = "rows shared";
constexpr const char* kNoFit = "no row in any fit";

// Where the prototype gave a range over the sources that it copied from, its better end stands.
constexpr LatencyTarget kTargets[] = {
    {"gemm", "A100-SXM4-80GB", "bf16 GEMM", kGpuOut, 0.116, Asked::QuarterLess, 0},
    {"gemm", "H100-SXM5-80GB", "bf16 GEMM", kGpuOut, 0.121, Asked::QuarterLess, 0},
    {"gemm", "L40S", "bf16 GEMM", kGpuOut, 0.147, Asked::QuarterLess, 0},
    {"fp8", "H100-SXM5-80GB", "fp8 GEMM", kGpuOut, 0.169, Asked::QuarterLess, 0},
    {"fp8", "L40S", "fp8 GEMM", kGpuOut, 0.250, Asked::QuarterLess, 0},
    {"attention", "A100-SXM4-80GB", "prefill attention", kGpuOut, 0.137, Asked::QuarterLess, 0},
    {"attention", "H100-SXM5-80GB", "prefill attention", kGpuOut, 0.155, Asked::QuarterLess, 0},
    {"attention", "L40S", "prefill attention", kGpuOut, 0.176, Asked::QuarterLess, 0},
    {"attention", "A100-SXM4-80GB", "decode attention", kGpuOut, 0.195, Asked::QuarterLess, 0},
    {"attention", "H100-SXM5-80GB", "decode attention", kGpuOut, 0.210, Asked::QuarterLess, 0},
    {"attention", "L40S", "decode attention", kGpuOut, 0.175, Asked::QuarterLess, 0},
    {"gemm", "A100-SXM4-80GB", "bf16 GEMM", kFamiliesOut, 0.044, Asked::NoWorse, 0},
    {"gemm", "H100-SXM5-80GB", "bf16 GEMM", kFamiliesOut, 0.044, Asked::NoWorse, 0},
    {"gemm", "L40S", "bf16 GEMM", kFamiliesOut, 0.076, Asked::NoWorse, 0},
    {"fp8", "H100-SXM5-80GB", "fp8 GEMM", kFamiliesOut, 0.044, Asked::NoWorse, 0},
    {"fp8", "L40S", "fp8 GEMM", kFamiliesOut, 0.067, Asked::NoWorse, 0},
    {"serving", "RTX-4090", "vLLM time per output token", kNoFit, 0, Asked::AtMost, 0.12},
    {"serving", "RTX-4090", "vLLM prefill time", kNoFit, 0, Asked::AtMost, 0.12},
    {"serving", "RTX-PRO-6000-Blackwell-Workstation", "vLLM time per output token", kNoFit, 0, Asked::AtMost,
     0.12},
    {"serving", "RTX-PRO-6000-Blackwell-Workstation", "vLLM prefill time", kNoFit, 0, Asked::AtMost, 0.12},
};

const LatencyScores* find(std::span<const LatencyScores> scores, const LatencyTarget& target) {
  for (const LatencyScores& s : scores) {
    if (lower_case(s.gpu) == lower_case(target.gpu) && s.what == target.what && s.setting == target.setting)
      return &s;
  }
  return nullptr;
}

// The mean errors of copied rows, on the shapes that both GPUs have, from the source that each serves best;
// 0: none.
std::pair<double, double> copied(std::span<const LatencyScores> scores, const LatencyScores& target) {
  double copy = 0, scaled = 0;
  for (const LatencyScores& s : scores) {
    if (s.gpu != target.gpu || s.what != target.what ||
        (s.setting != target.setting && s.setting != kRowsShared))
      continue;
    if (s.copy > 0) copy = copy > 0 ? std::min(copy, s.copy) : s.copy;
    if (s.copy_scaled > 0) scaled = scaled > 0 ? std::min(scaled, s.copy_scaled) : s.copy_scaled;
  }
  return {copy, scaled};
}

double limit_of(const LatencyTarget& target) {
  switch (target.asked) {
    case Asked::QuarterLess:
      return 0.75 * target.prototype;
    case Asked::NoWorse:
      return target.prototype;
    case Asked::AtMost:
      return target.limit;
  }
  return target.limit;
}

// Compared as they are printed, with one decimal.
bool within(double share, double limit) {
  return std::round(1000 * share) <= std::round(1000 * limit);
}

report::Cell percent(double share) {
  return report::number(100 * share, 1);
}
report::Cell percent_or_none(double share) {
  return share > 0 ? percent(share) : report::Cell{};
}

}  // namespace

std::span<const LatencyTarget> latency_targets() {
  return kTargets;
}

report::Table measured_table(std::span<const LatencyScores> scores, std::span<const SpeedResult> speeds,
                             bool* all_met) {
  report::Table table;
  table.title = "Asked and measured";
  table.keys = 2;
  table.columns = {{"what", ""},      {"on", ""},        {"copied row", "%"}, {"copied x light", "%"},
                   {"roofline", "%"}, {"prototype", ""}, {"asked", ""},       {"measured", ""},
                   {"met", ""}};
  bool met_all = true;
  auto verdict = [&](bool met) -> report::Cell {
    met_all = met_all && met;
    return std::string(met ? "yes" : "NO");
  };
  for (const LatencyTarget& target : kTargets) {
    const LatencyScores* s = find(scores, target);
    if (!s) continue;
    const double limit = limit_of(target);
    const auto [copy, copy_scaled] =
        target.asked == Asked::QuarterLess ? copied(scores, *s) : std::pair(0.0, 0.0);
    std::string measured = fmt::format("{:.1f} %", 100 * s->mean);
    if (target.asked == Asked::AtMost) measured += fmt::format(", bias {:+.1f} %", 100 * s->bias);
    table.rows.push_back({fmt::format("{}, {}", target.what, target.setting), s->gpu, percent_or_none(copy),
                          percent_or_none(copy_scaled), percent_or_none(s->roofline),
                          target.prototype > 0 ? report::Cell(fmt::format("{:.1f} %", 100 * target.prototype))
                                               : report::Cell{},
                          fmt::format("at most {:.1f} %", 100 * limit), measured,
                          verdict(within(s->mean, limit))});
  }
  for (const LatencyScores& s : scores) {
    const bool asked = std::any_of(std::begin(kTargets), std::end(kTargets), [&](const LatencyTarget& t) {
      return t.setting == std::string_view(kGpuOut) && s.setting == kGpuOut && s.what == t.what &&
             lower_case(s.gpu) == lower_case(t.gpu);
    });
    if (!asked || s.width <= 0) continue;
    table.rows.push_back(
        {fmt::format("90 % band of {}", s.what),
         s.gpu,
         {},
         {},
         {},
         {},
         fmt::format("{:.0f} to {:.0f} % inside, width at most {:.0f} x median error", 100 * kLeastCoverage,
                     100 * kMostCoverage, kMostWidth),
         fmt::format("{:.1f} % inside, width {:.1f} x", 100 * s.coverage, s.width / s.median),
         verdict(s.coverage >= kLeastCoverage && s.coverage <= kMostCoverage &&
                 s.width / s.median <= kMostWidth)});
  }
  for (const SpeedResult& speed : speeds) {
    auto time = [](double seconds) {
      return seconds < 1 ? fmt::format("{:.3g} ms", 1e3 * seconds) : fmt::format("{:.3g} s", seconds);
    };
    table.rows.push_back({speed.what,
                          std::string("this machine"),
                          {},
                          {},
                          {},
                          {},
                          "below " + time(speed.limit),
                          fmt::format("{} ({} of processor)", time(speed.seconds), time(speed.processor)),
                          verdict(speed.seconds < speed.limit)});
  }
  table.notes = {
      "Measured: mean of |predicted / measured - 1| over all rows. Copied row: the nearest GPU's measured "
      "row in place "
      "of a forecast; x light: times "
      "the ratio of the two GPUs' speeds of light. Roofline: with data-sheet peaks. Prototype: what a first "
      "try at the same laws reached; "
      "asked of a GPU left out is a quarter "
      "less, of left-out families no more."};
  if (all_met) *all_met = met_all;
  return table;
}

}  // namespace orrery::validate
