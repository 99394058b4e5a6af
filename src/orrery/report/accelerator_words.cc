#include <fmt/format.h>

#include <algorithm>

#include "orrery/base/text.h"
#include "orrery/report/accelerator_report.h"

namespace orrery::report {
namespace {

using explore::EvaluatedDesign;

constexpr double kPercent = 100, kMilli = 1e3;

}  // namespace

std::string verdict_sentence(const AcceleratorReport& report) {
  const auto& result = report.plan.result;
  if (result.best) return "Best: " + explore::tuple_text(result.best->point);
  if (result.stop == solve::Stop::Infeasible) return "no feasible design";
  return fmt::format("no feasible design among the {} that were tried before the search was stopped",
                     result.evaluations);
}

std::string certificate_sentence(const AcceleratorReport& report) {
  const auto& result = report.plan.result;
  if (!result.best) return "Nothing was found: " + std::string(solve::name(result.stop)) + ".";
  const std::string over = result.proven_over.empty() ? "the designs that were tried" : result.proven_over;
  if (result.stop == solve::Stop::Proven)
    return fmt::format("Best of {}, proven: other grids, cost models and schedulers may have better ones.",
                       over);
  if (result.bound > 0 && result.objective > 0)
    return fmt::format("Stopped ({}): at most {:.2f} % better is possible over {}.", solve::name(result.stop),
                       kPercent * (result.bound / result.objective - 1), over);
  return fmt::format("The best that this search met ({}): without a bound, over {}.",
                     solve::name(result.stop), over);
}

std::string bound_by_sentence(const AcceleratorReport& report) {
  const auto& best = report.plan.result.best;
  if (!best || best->workloads.empty()) return {};
  std::vector<std::string> parts;
  for (size_t w = 0; w < best->workloads.size(); ++w) {
    const explore::WorkloadFigures& f = best->workloads[w];
    if (!(f.critical_path.value() > 0)) continue;
    std::vector<size_t> order;
    for (size_t k = 0; k < f.critical_by.size(); ++k) order.push_back(k);
    std::ranges::sort(order, [&](size_t a, size_t b) { return f.critical_by[a] > f.critical_by[b]; });
    std::string text;
    for (size_t k : order) {
      double share = f.critical_by[k] / f.critical_path;
      if (share < .01) break;
      text += fmt::format("{}{} {:.0f} %", text.empty() ? "" : ", ", explore::kCriticalParts[k],
                          kPercent * share);
    }
    parts.push_back((best->workloads.size() > 1 ? report.study.workloads[w].name + ": " : "") + text +
                    " of the critical path");
  }
  return join(parts, "; ");
}

std::string shared_dram_sentence(const AcceleratorReport& report) {
  const auto& best = report.plan.result.best;
  if (!best) return {};
  std::vector<std::string> parts;
  for (size_t w = 0; w < best->workloads.size(); ++w) {
    const explore::WorkloadFigures& f = best->workloads[w];
    if (!(f.makespan.value() > 0)) continue;
    std::string text = fmt::format("{} {:.4g} ms a pass, {:+.1f} %", report.study.workloads[w].name,
                                   f.shared_dram_makespan.value() * kMilli,
                                   kPercent * (f.shared_dram_makespan / f.makespan - 1));
    if (report.plan.reference) {
      const explore::WorkloadFigures& other = report.plan.reference->workloads[w];
      text += fmt::format(", throughput x {:.3g} of the reference's",
                          other.shared_dram_makespan / f.shared_dram_makespan);
    }
    parts.push_back(std::move(text));
  }
  return join(parts, "; ");
}

std::string sensitivity_sentence(const AcceleratorReport& report) {
  const auto& rows = report.plan.sensitivity;
  if (rows.empty() || !report.plan.result.best) return {};
  std::vector<std::string> moved, flips;
  for (const explore::SensitivityRow& row : rows) {
    const std::string change = fmt::format("{} x {:g}", row.parameter, row.factor);
    if (row.best != report.plan.result.best->point)
      moved.push_back(fmt::format("{} (then {}, {:.1f} % better)", change, explore::tuple_text(row.best),
                                  kPercent * row.loss));
    if (report.plan.reference && row.gain_over_reference < 1) flips.push_back(change);
  }
  std::string text = moved.empty() ? fmt::format("stays the best under all {} changes of +-20 %", rows.size())
                                   : fmt::format("the best in {} of {} changes of +-20 %; not with {}",
                                                 rows.size() - moved.size(), rows.size(), join(moved, ", "));
  if (report.plan.reference)
    text += flips.empty() ? "; stays ahead of the reference under all of them"
                          : "; falls behind the reference with " + join(flips, ", ");
  return text;
}

}  // namespace orrery::report
