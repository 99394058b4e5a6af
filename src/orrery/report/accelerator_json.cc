#include <cmath>
#include <nlohmann/json.hpp>

#include "orrery/base/storage.h"
#include "orrery/report/accelerator_report.h"

namespace orrery::report {
namespace {

using explore::DesignPoint;
using explore::EvaluatedDesign;
using json = nlohmann::ordered_json;

json real(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}

json point_of(const DesignPoint& p) {
  return {{"matrix_cores", p.matrix_cores}, {"columns", p.columns}, {"rows", p.rows},
          {"vector_cores", p.vector_cores}, {"lanes", p.lanes},     {"global_buffer_bytes", p.global_buffer}};
}

json design_of(const EvaluatedDesign& d) {
  json loads = json::array();
  for (const explore::WorkloadFigures& f : d.workloads) {
    json by = json::object();
    for (size_t k = 0; k < f.critical_by.size(); ++k)
      by[explore::kCriticalParts[k]] = real(f.critical_by[k].value());
    loads.push_back({{"makespan_s", real(f.makespan.value())},
                     {"shared_dram_makespan_s", real(f.shared_dram_makespan.value())},
                     {"critical_path_s", real(f.critical_path.value())},
                     {"bound_s", real(f.bound.value())},
                     {"throughput_per_s", real(f.throughput)},
                     {"energy_J", real(f.energy.value())},
                     {"average_power_W", real(f.average_power().value())},
                     {"critical_path_by_s", std::move(by)}});
  }
  return {{"name", tuple_text(d.point)},
          {"point", point_of(d.point)},
          {"objective", real(d.objective)},
          {"tdp_W", real(d.tdp.value())},
          {"core_area_mm2", real(d.core.value() * 1e6)},
          {"chip_area_mm2", real(d.chip.value() * 1e6)},
          {"workloads", std::move(loads)}};
}

json designs_of(const std::vector<EvaluatedDesign>& designs) {
  json out = json::array();
  for (const EvaluatedDesign& d : designs) out.push_back(design_of(d));
  return out;
}

// In the form of a study file, so that the plan can be made, or checked, again from itself.
json study_of(const explore::StudySpec& s) {
  json loads = json::array();
  for (const explore::WorkloadSpec& w : s.workloads) {
    json load = {{"model", w.model},         {"batch", w.batch},         {"sequence", w.sequence},
                 {"mode", w.mode},           {"optimizer", w.optimizer}, {"recompute", w.recompute},
                 {"attention", w.attention}, {"dtype", w.type},          {"weight", w.weight}};
    if (!w.unknown.empty()) load["unknown"] = w.unknown;
    if (!w.dims.empty()) load["dims"] = w.dims;
    if (w.least_is_reference) {
      load["least_throughput"] = "reference";
    } else if (w.least_throughput > 0) {
      load["least_throughput"] = w.least_throughput;
    }
    loads.push_back(std::move(load));
  }
  json buffers = json::array();
  for (int64_t bytes : s.global_buffers) buffers.push_back(std::to_string(bytes) + " B");
  json limits = {{"of", s.whole_chip ? "chip" : "cores"}};
  auto quantity = [](double value, const char* unit) { return json(value).dump() + " " + unit; };
  if (s.area > 0) limits["area"] = quantity(s.area * 1e6, "mm2");
  if (s.power > 0) limits["power"] = quantity(s.power, "W");
  return {{"workloads", std::move(loads)},
          {"base", s.base},
          {"reference", s.reference},
          {"calibrate", s.calibrate},
          {"objective", s.objective},
          {"limits", std::move(limits)},
          {"space",
           {{"grid", s.grid},
            {"least", s.least},
            {"most", s.most},
            {"matrix_cores", s.matrix_cores},
            {"vector_cores", s.vector_cores},
            {"global_buffer", std::move(buffers)}}},
          {"costs",
           {{"array", s.array},
            {"dataflow", s.dataflow},
            {"vector", s.vector_costs},
            {"pack_groups", s.pack_groups},
            {"backward", s.backward},
            {"fuse", s.fuse}}},
          {"top", s.top}};
}

json schedules_of(const AcceleratorReport& report) {
  json out = json::array();
  for (size_t w = 0; w < report.plan.schedules.size(); ++w) {
    const explore::WorkloadSchedule& schedule = report.plan.schedules[w];
    const graph::Graph& graph = report.study.workloads[w].graph;
    json operators = json::array();
    for (const explore::ScheduledOperator& op : schedule.operators) {
      json row = {{"operator", op.op},
                  {"name", graph.names[graph.operators[op.op].name]},
                  {"start_s", op.start.value()},
                  {"duration_s", op.duration.value()},
                  {"slack_s", op.slack.value()}};
      if (op.matrix_core != schedule::kNoCore) row["matrix_core"] = op.matrix_core;
      if (op.vector_core != schedule::kNoCore) row["vector_core"] = op.vector_core;
      operators.push_back(std::move(row));
    }
    out.push_back({{"workload", schedule.workload}, {"operators", std::move(operators)}});
  }
  return out;
}

json workloads_of(const explore::AcceleratorStudy& study) {
  json out = json::array();
  for (const explore::AcceleratorWorkload& w : study.workloads) {
    out.push_back({{"name", w.name},
                   {"samples", w.samples},
                   {"weight", w.weight},
                   {"least_throughput_per_s", w.least_throughput},
                   {"operators", w.graph.operators.size()},
                   {"multiply_adds", matrix_flops(w.graph).value() / 2}});
  }
  return out;
}

}  // namespace

std::string accelerator_json(const AcceleratorReport& report, const RunInfo& run, int indent) {
  const explore::AcceleratorPlan& plan = report.plan;
  const auto& result = plan.result;
  json next = json::array(), sensitivity = json::array(), shortfalls = json::array(), notes = report.notes;
  for (const explore::NextStep& s : plan.next_steps)
    next.push_back({{"change", s.change},
                    {"gain", real(s.gain)},
                    {"within_limits", s.within_limits},
                    {"in_space", s.in_space}});
  for (const explore::SensitivityRow& s : plan.sensitivity)
    sensitivity.push_back({{"parameter", s.parameter},
                           {"factor", s.factor},
                           {"best", point_of(s.best)},
                           {"name", tuple_text(s.best)},
                           {"same", result.best && s.best == result.best->point},
                           {"loss", real(s.loss)},
                           {"gain_over_reference", real(s.gain_over_reference)},
                           {"throughput_over_reference", real(s.throughput_over_reference)}});
  for (const solve::Shortfall& s : result.shortfalls)
    shortfalls.push_back({{"where", s.where},
                          {"constraint", s.constraint},
                          {"unit", s.unit},
                          {"needed", real(s.needed)},
                          {"available", real(s.available)}});
  for (const std::string& note : plan.notes) notes.push_back(note);
  json document = {{"schema", kAcceleratorPlanSchema},
                   {"program", {{"name", "orrery"}, {"version", std::string(version())}}},
                   {"command", report.command},
                   {"run",
                    {{"seconds", real(run.duration.value())},
                     {"search_seconds", real(plan.work.time.value())},
                     {"host", run.host},
                     {"date", run.date}}},
                   {"study", study_of(report.spec)},
                   {"search", {{"name", report.search}, {"seed", report.seed}}},
                   {"workloads", workloads_of(report.study)},
                   {"power_calibration", report.study.power_calibration},
                   {"limits",
                    {{"area_mm2", report.study.limits.area.value() * 1e6},
                     {"power_W", report.study.limits.power.value()},
                     {"of", report.study.limits.whole_chip ? "chip" : "cores"}}},
                   {"space_designs", report.study.space.size()},
                   {"verdict", verdict_sentence(report)},
                   {"certificate", certificate_sentence(report)},
                   {"bound_by", bound_by_sentence(report)},
                   {"sensitivity_verdict", sensitivity_sentence(report)},
                   {"best", result.best ? design_of(*result.best) : json(nullptr)},
                   {"objective", real(result.objective)},
                   {"bound", real(result.bound)},
                   {"bound_of_any_schedule", real(plan.bound_of_any_schedule)},
                   {"proven_over", result.proven_over},
                   {"stop", solve::name(result.stop)},
                   {"reference", plan.reference ? design_of(*plan.reference) : json(nullptr)},
                   {"top", designs_of(plan.top)},
                   {"front", designs_of(result.front)},
                   {"next_steps", std::move(next)},
                   {"sensitivity", std::move(sensitivity)},
                   {"shortfalls", std::move(shortfalls)},
                   {"work",
                    {{"evaluations", plan.work.evaluations},
                     {"schedules", plan.work.schedules},
                     {"sweeps", plan.work.sweeps},
                     {"latency_tables", plan.work.latency_tables},
                     {"dimension_sets", plan.work.dimension_sets},
                     {"feasible_designs", plan.work.feasible_designs}}},
                   {"schedules", schedules_of(report)},
                   {"notes", std::move(notes)}};
  return document.dump(indent);
}

}  // namespace orrery::report
