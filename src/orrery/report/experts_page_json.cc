#include "orrery/report/experts_page_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "orrery/base/storage.h"

namespace orrery::report {
namespace {

using json = nlohmann::ordered_json;

json real(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}

json reals(const std::vector<std::vector<double>>& rows) {
  json out = json::array();
  for (const std::vector<double>& row : rows) {
    json values = json::array();
    for (double value : row) values.push_back(real(value));
    out.push_back(std::move(values));
  }
  return out;
}

json figures_of(const ExpertFigures& f) {
  return {{"max_over_mean_load", real(f.max_over_mean_load)},
          {"worst_max_over_mean_load", real(f.worst_max_over_mean_load)},
          {"balancedness", real(f.balancedness)},
          {"balancedness_p95", real(f.balancedness_p95)},
          {"all_to_all_bytes", real(f.all_to_all_bytes)},
          {"busiest_port_bytes", real(f.busiest_port_bytes)},
          {"cross_gpu_fraction", real(f.cross_gpu_fraction)},
          {"cross_node_fraction", real(f.cross_node_fraction)},
          {"step_s", real(f.step_seconds)}};
}

json candidate_of(const ExpertCandidate& candidate, bool today) {
  json out = {{"name", candidate.name}, {"title", candidate.title}, {"today", today}};
  out.update(figures_of(candidate.figures));
  out["moved_experts"] = real(candidate.moved_experts);
  out["moved_bytes"] = real(candidate.moved_bytes);
  out["load_tokens"] = reals(candidate.load);
  out["traffic_bytes"] = reals(candidate.traffic);
  return out;
}

}  // namespace

std::string experts_page_json(const ExpertsPage& report, const RunInfo& run, int indent) {
  json out = {
      {"schema", kExpertsPageSchema},
      {"program", {{"name", "orrery"}, {"version", std::string(version())}}},
      {"command", report.command},
      {"run", {{"seconds", real(run.duration.value())}, {"host", run.host}, {"date", run.date}}},
      {"verdict", report.verdict},
      {"routing",
       {{"file", report.routing},
        {"model", report.model},
        {"layers", report.layers},
        {"experts", report.experts},
        {"top_k", report.top_k},
        {"tokens", report.tokens},
        {"steps", report.steps},
        {"layer_ids", report.layer_ids}}},
      {"cluster", {{"name", report.cluster}, {"gpus", report.gpus}, {"gpus_per_node", report.gpus_per_node}}},
      {"dispatch", report.dispatch},
      {"slots", report.slots}};
  if (!report.candidates.empty()) out.update(figures_of(report.candidates.front().figures));
  out["objective_name"] = report.objective_name;
  out["objective"] = real(report.objective);
  out["lower_bound"] = real(report.lower_bound);
  out["gap"] = real(report.gap);
  out["proven_over"] = report.proven_over;
  out["stopped_because"] = report.stopped_because;
  out["map"] = report.map;

  json candidates = json::array(), progress = json::array(), sensitivity = json::array(),
       transfer = json::array(), phases = json::array();
  for (size_t i = 0; i < report.candidates.size(); ++i)
    candidates.push_back(candidate_of(report.candidates[i], static_cast<int>(i) == report.today));
  for (const ExpertProgress& point : report.progress)
    progress.push_back({{"seconds", real(point.seconds)},
                        {"objective", real(point.objective)},
                        {"bound", real(point.bound)}});
  for (const ExpertSensitivity& row : report.sensitivity) {
    json one = {{"setting", row.setting}, {"value", real(row.value)}, {"chosen", row.chosen}};
    one.update(figures_of(row.figures));
    sensitivity.push_back(std::move(one));
  }
  for (const ExpertTransfer& row : report.transfer) {
    json one = {{"made_on", row.made_on}, {"judged_on", row.judged_on}};
    one.update(figures_of(row.figures));
    one["contiguous_max_over_mean_load"] = real(row.contiguous.max_over_mean_load);
    one["contiguous_cross_gpu_fraction"] = real(row.contiguous.cross_gpu_fraction);
    transfer.push_back(std::move(one));
  }
  for (const ExpertPhase& row : report.phases) {
    json one = {{"map_for", row.map_for}, {"judged_on", row.judged_on}, {"chosen", row.chosen}};
    one.update(figures_of(row.figures));
    phases.push_back(std::move(one));
  }
  out["candidates"] = std::move(candidates);
  out["progress"] = std::move(progress);
  out["sensitivity"] = std::move(sensitivity);
  out["transfer"] = std::move(transfer);
  out["phases"] = std::move(phases);
  out["warnings"] = report.warnings;
  out["assumptions"] = report.assumptions;
  out["sources"] = report.sources;
  out["notes"] = report.notes;
  return out.dump(indent, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace orrery::report
