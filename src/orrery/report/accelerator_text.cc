#include <fmt/format.h>

#include <algorithm>

#include "orrery/report/accelerator_report.h"

namespace orrery::report {
namespace {

using explore::EvaluatedDesign;

constexpr double kSquareMillimetres = 1e6, kPercent = 100;

std::string unit_of(explore::AcceleratorObjective objective) {
  switch (objective) {
    case explore::AcceleratorObjective::Throughput:
      return "samples/s";
    case explore::AcceleratorObjective::PerformancePerTdp:
      return "samples/s/W";
    case explore::AcceleratorObjective::EnergyDelay:
      return "1/(J s)";
  }
  return "";
}

// With several workloads and a reference the objective is a ratio.
std::string objective_unit(const AcceleratorReport& report) {
  if (report.study.workloads.size() > 1)
    return report.study.reference ? "x the reference, geometric mean"
                                  : "geometric mean of " + unit_of(report.study.objective);
  return unit_of(report.study.objective);
}

std::string headline(const AcceleratorReport& report, const EvaluatedDesign& best) {
  std::string text =
      fmt::format("best  {}   {} mm2 core, {} mm2 chip; TDP {} W", explore::tuple_text(best.point),
                  show(best.core.value() * kSquareMillimetres), show(best.chip.value() * kSquareMillimetres),
                  show(best.tdp.value()));
  if (report.study.power_calibration != 1)
    text += fmt::format(" (dynamic part x {}, with which {} comes to its published power)",
                        show(report.study.power_calibration), report.spec.calibrate);
  return text + "\n";
}

Table designs_table(const AcceleratorReport& report) {
  Table table;
  table.title = "Designs: matrix cores, columns x rows, vector cores, lanes, global buffer";
  table.columns = {
      {"design", ""}, {"objective", objective_unit(report)}, {"core", "mm2"}, {"chip", "mm2"}, {"TDP", "W"}};
  for (const auto& load : report.study.workloads) table.columns.push_back({load.name, "samples/s"});
  table.columns.push_back({"average", "W"});
  auto row = [&](const std::string& name, const EvaluatedDesign& d) {
    std::vector<Cell> cells = {name, number(d.objective), number(d.core.value() * kSquareMillimetres),
                               number(d.chip.value() * kSquareMillimetres), number(d.tdp.value())};
    for (const auto& f : d.workloads) cells.push_back(number(f.throughput));
    cells.push_back(d.workloads.empty() ? Cell{} : number(d.workloads.front().average_power().value()));
    table.rows.push_back(std::move(cells));
  };
  for (const EvaluatedDesign& d : report.plan.top) row(explore::tuple_text(d.point), d);
  if (report.plan.reference)
    row(report.spec.reference + " " + explore::tuple_text(report.plan.reference->point),
        *report.plan.reference);
  return table;
}

Table next_table(const AcceleratorReport& report) {
  Table table;
  table.title = "Next steps from the best";
  table.columns = {{"change", ""}, {"objective", "%"}, {"", ""}};
  for (const explore::NextStep& step : report.plan.next_steps) {
    std::string remark = !step.within_limits ? "over a limit" : !step.in_space ? "outside the grid" : "";
    table.rows.push_back({step.change, number(kPercent * step.gain, 1), remark});
  }
  return table;
}

Table sensitivity_table(const AcceleratorReport& report) {
  Table table;
  table.title = "Does it stay the best when a parameter moves?";
  table.columns = {{"parameter", ""}, {"factor", ""}, {"best then", ""}, {"loss of ours", "%"}};
  if (report.plan.reference) table.columns.push_back({"ours / reference", ""});
  for (const explore::SensitivityRow& row : report.plan.sensitivity) {
    std::vector<Cell> cells = {row.parameter, number(row.factor, 1),
                               report.plan.result.best && row.best == report.plan.result.best->point
                                   ? std::string("the same")
                                   : explore::tuple_text(row.best),
                               number(kPercent * row.loss, 2)};
    if (report.plan.reference) cells.push_back(number(row.gain_over_reference, 3));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::string nothing(const AcceleratorReport& report, const TerminalStyle& style) {
  std::string text = verdict_sentence(report);
  for (const solve::Shortfall& s : report.plan.result.shortfalls) {
    // The relaxed limit is rounded to the side on which it holds.
    constexpr double kRounding = 1e-5;
    const bool asked = s.constraint == "throughput";
    text += fmt::format(
        "\n  {}: {} needs {} {}, {} available; the least that would do is --{} {:.6g}{}", s.where,
        s.constraint, show(s.needed), s.unit, show(s.available), asked ? "least-throughput" : s.constraint,
        asked ? s.available * (1 - kRounding) : s.needed * (1 + kRounding), asked ? std::string() : s.unit);
  }
  return text + "\n" + paragraph(certificate_sentence(report), style);
}

}  // namespace

std::string accelerator_text(const AcceleratorReport& report, const TerminalStyle& style) {
  const auto& result = report.plan.result;
  if (!result.best) return nothing(report, style);
  const EvaluatedDesign& best = *result.best;
  std::string text = toned(headline(report, best), Tone::Strong, style);
  text += fmt::format("      {} {}", show(best.objective), objective_unit(report));
  for (size_t w = 0; w < best.workloads.size(); ++w)
    text += fmt::format("; {} {} samples/s, {} W average", report.study.workloads[w].name,
                        show(best.workloads[w].throughput), show(best.workloads[w].average_power().value()));
  text += "\n";
  if (report.plan.reference) {
    const EvaluatedDesign& reference = *report.plan.reference;
    text +=
        paragraph(fmt::format("      {} {}: objective x {}, throughput x {}, TDP {} W, core {} mm2",
                              report.spec.reference, explore::tuple_text(reference.point),
                              show(best.objective / reference.objective),
                              show(best.workloads[0].throughput / reference.workloads[0].throughput),
                              show(reference.tdp.value()), show(reference.core.value() * kSquareMillimetres)),
                  style, 6);
  }
  text += paragraph("bound by: " + bound_by_sentence(report), style, 2);
  text += paragraph("with DRAM shared between cores at once: " + shared_dram_sentence(report), style, 2);
  auto step =
      std::ranges::find_if(report.plan.next_steps, [](const explore::NextStep& s) { return s.gain > 0; });
  text += paragraph(step == report.plan.next_steps.end()
                        ? std::string("next step: none of those tried helps")
                        : fmt::format("next step: {} gives {:+.1f} %{}", step->change, kPercent * step->gain,
                                      step->within_limits ? "" : ", over the limits"),
                    style, 2);
  text += paragraph("certificate: " + certificate_sentence(report), style, 2);
  if (report.plan.bound_of_any_schedule > 0)
    text += paragraph(
        fmt::format("any schedule: no design of the grid is above {} under any scheduler, {:.1f} % more",
                    show(report.plan.bound_of_any_schedule),
                    kPercent * (report.plan.bound_of_any_schedule / best.objective - 1)),
        style, 2);
  if (!report.plan.sensitivity.empty())
    text += paragraph("sensitivity: " + sensitivity_sentence(report), style, 2);
  text +=
      fmt::format("search: {}, {} designs scheduled ({} schedules, {} sweeps) in {} s\n\n", report.search,
                  show(static_cast<double>(report.plan.work.evaluations), 0),
                  show(static_cast<double>(report.plan.work.schedules), 0),
                  show(static_cast<double>(report.plan.work.sweeps), 0), show(report.plan.work.time.value()));
  text += to_terminal(designs_table(report), style) + "\n";
  if (!report.plan.next_steps.empty()) text += to_terminal(next_table(report), style) + "\n";
  if (!report.plan.sensitivity.empty()) text += to_terminal(sensitivity_table(report), style) + "\n";
  for (const auto* notes : {&report.plan.notes, &report.notes}) {
    for (const std::string& note : *notes) text += paragraph("note: " + note, style, 2);
  }
  return text;
}

}  // namespace orrery::report
