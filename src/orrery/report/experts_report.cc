#include "orrery/report/experts_report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace orrery::report {
namespace {

using json = nlohmann::ordered_json;

json finite(double v) {
  return std::isfinite(v) ? json(v) : json(nullptr);
}

json figures_json(const place::PlanFigures& f) {
  json result = {{"planner", f.plan.planner},
                 {"max_over_mean_load", f.load.mean},
                 {"max_over_mean_load_worst_layer", f.load.worst},
                 {"max_over_mean_load_later", f.load_later.mean},
                 {"balancedness", nullptr},
                 {"cross_gpu_fraction", nullptr},
                 {"cross_node_fraction", nullptr},
                 {"all_to_all_bytes", nullptr},
                 {"network_bytes", nullptr},
                 {"ranks_per_token", nullptr}};
  if (f.balancedness.steps > 0)
    result["balancedness"] = {
        {"mean", f.balancedness.mean}, {"p95", f.balancedness.p95}, {"steps", f.balancedness.steps}};
  if (f.crossing.total > 0) {
    result["cross_gpu_fraction"] = f.crossing.cross_gpu;
    result["cross_node_fraction"] = f.crossing.cross_node;
    result["transition_cost"] = f.crossing.cost;
  }
  if (f.replay) {
    result["all_to_all_bytes"] = f.replay->total;
    result["network_bytes"] = f.replay->network;
    result["ranks_per_token"] = f.replay->distinct_ranks;
    result["replayed_tokens"] = f.replay->tokens;
  }
  if (f.step_seconds > 0)
    result["step_seconds"] = {
        {"total", f.step_seconds}, {"experts", f.expert_seconds}, {"all_to_all", f.all_to_all_seconds}};
  result["moved_experts"] = f.moved_experts;
  result["moved_bytes"] = f.moved_bytes;
  return result;
}

}  // namespace

std::string experts_json(const place::ExpertReport& report, const std::vector<std::string>& routing,
                         const RunInfo& run) {
  const place::PlanFigures& ours = report.ours;
  json document = {{"schema", "orrery.experts/1"},
                   {"command", report.command},
                   {"routing", routing},
                   {"synthetic", report.synthetic},
                   {"dispatch", place::name(report.dispatch)},
                   {"ranks", report.grid.ranks},
                   {"ranks_per_node", report.grid.ranks_per_node},
                   {"experts", ours.plan.experts},
                   {"layer_ids", ours.plan.layer_ids}};
  if (report.groups > 1) document["expert_groups"] = report.groups;
  document["distance"] = {{"inside", report.grid.inside}, {"between", report.grid.between}};
  document["recording"] = {{"hold_out", report.hold_out},
                           {"step_tokens", report.step_tokens},
                           {"transitions", trace::name(report.transitions)}};
  if (report.map_for != place::MapFor::All) document["recording"]["phase"] = place::name(report.map_for);
  document["bytes_per_vector"] = report.bytes_per_vector;
  if (report.expert_bytes > 0 && report.gpu_memory_bytes > 0)
    document["weights"] = {{"expert_bytes", report.expert_bytes},
                           {"gpu_memory_bytes", report.gpu_memory_bytes}};
  document["max_load"] = report.max_load;
  if (const auto& s = report.shortfall)
    document["cap_shortfall"] = {{"reached", s->reached},
                                 {"least", s->least},
                                 {"profile", s->profile},
                                 {"layer_id", ours.plan.layer_ids[s->layer]},
                                 {"layers_above", s->layers_above}};
  if (!report.load_caps.empty()) document["load_caps"] = report.load_caps;
  document.update(figures_json(ours));
  document["objective_name"] = report.objective_name;
  document["balance_weight"] = report.balance_weight;
  document["objective"] = report.search.objective;
  document["lower_bound"] = finite(report.search.bound);
  document["gap"] = finite(report.search.gap());
  document["proven_over"] = report.search.proven_over;
  document["stopped_because"] = solve::name(report.search.stop);
  document["others"] = json::array();
  for (const place::PlanFigures& other : report.others) document["others"].push_back(figures_json(other));
  if (!report.front.empty()) {
    document["pareto"] = json::array();
    for (const place::BalanceTrial& trial : report.front)
      document["pareto"].push_back(
          {{"planner", trial.plan.planner},
           {"balance_weight", finite(trial.weight)},
           {"balancedness", {{"mean", trial.balance.mean}, {"p95", trial.balance.p95}}},
           {"traffic", trial.traffic},
           {"all_to_all_vectors", trial.all_to_all},
           {"on_front", trial.on_front}});
  }
  if (!report.phases.empty()) document["phases"] = json::array();
  for (const place::PhaseFigures& row : report.phases) {
    const place::PlanFigures& f = row.figures;
    document["phases"].push_back(
        {{"map_for", place::name(row.map_for)},
         {"judged_on", trace::name(row.judged_on)},
         {"max_over_mean_load", f.load_later.mean},
         {"balancedness", f.balancedness.steps > 0 ? json(f.balancedness.mean) : json(nullptr)},
         {"all_to_all_bytes", f.replay ? json(f.replay->total) : json(nullptr)},
         {"step_seconds", f.step_seconds > 0 ? json(f.step_seconds) : json(nullptr)}});
  }
  document["transfer"] = json::array();
  for (size_t p = 0; p < report.transfer.size(); ++p)
    document["transfer"].push_back({{"profile", report.profile_names[p]},
                                    {"max_over_mean_load", report.transfer[p]},
                                    {"contiguous", report.transfer_contiguous[p]}});
  document["max_over_mean_load_by_layer"] = ours.load.max_over_mean;
  document["map"] = ours.plan.slot_to_expert;
  document["notes"] = report.notes;
  document["run"] = {{"seconds", run.duration.value()}, {"host", run.host}, {"date", run.date}};
  return document.dump(1);
}

std::string experts_text(const place::ExpertReport& report, const TerminalStyle& style) {
  Table table;
  table.title =
      fmt::format("{} experts a layer, {} layers, {} ranks in {} node(s), {} dispatch{}",
                  report.ours.plan.experts, report.ours.plan.layers(), report.grid.ranks, report.grid.nodes(),
                  place::name(report.dispatch), report.synthetic ? ", SYNTHETIC routing" : "");
  table.columns = {{"plan", ""},   {"max/mean load", ""}, {"later", ""},        {"balancedness", ""},
                   {"p95", ""},    {"crossing", "%"},     {"all-to-all", "MB"}, {"between nodes", "MB"},
                   {"step", "us"}, {"moves", "GB"}};
  auto row = [&](const place::PlanFigures& f, const std::string& title) {
    Cell none;
    table.rows.push_back({title, number(f.load.mean, 3), number(f.load_later.mean, 3),
                          f.balancedness.steps ? number(f.balancedness.mean, 3) : none,
                          f.balancedness.steps ? number(f.balancedness.p95, 3) : none,
                          f.crossing.total > 0 ? number(100 * f.crossing.cross_gpu, 1) : none,
                          f.replay ? number(f.replay->total / 1e6) : none,
                          f.replay ? number(f.replay->network / 1e6) : none,
                          f.step_seconds > 0 ? number(f.step_seconds * 1e6) : none,
                          f.moved_bytes > 0 ? number(f.moved_bytes / 1e9) : none});
  };
  row(report.ours, "ours (" + report.ours.plan.planner + ")");
  for (const place::PlanFigures& other : report.others) row(other, other.plan.planner);
  if (report.search.bound > 0)
    table.notes.push_back(
        fmt::format("objective {:.5g}, proven lower bound {:.5g}: gap {:.2f} %, over {}; {}",
                    report.search.objective, report.search.bound, 100 * report.search.gap(),
                    report.search.proven_over, solve::name(report.search.stop)));
  if (report.transfer.size() > 1) {
    for (size_t p = 0; p < report.transfer.size(); ++p)
      table.notes.push_back(fmt::format("on {}: max/mean {:.3f} (contiguous {:.3f})", report.profile_names[p],
                                        report.transfer[p], report.transfer_contiguous[p]));
  }
  for (const place::PhaseFigures& row : report.phases) {
    const place::PlanFigures& f = row.figures;
    table.notes.push_back(
        fmt::format("map for {}, in {}: max/mean {:.3f}{}{}", place::name(row.map_for),
                    trace::name(row.judged_on), f.load_later.mean,
                    f.balancedness.steps > 0 ? fmt::format(", balancedness {:.3f}", f.balancedness.mean) : "",
                    f.replay ? fmt::format(", all-to-all {:.4g} MB", f.replay->total / 1e6) : ""));
  }
  for (const place::BalanceTrial& trial : report.front)
    table.notes.push_back(fmt::format(
        "balance weight {:>5}: balancedness {:.3f} (p95 {:.3f}), traffic {:.4g}{}",
        trial.plan.planner == "lpt" ? "lpt" : fmt::format("{:g}", trial.weight), trial.balance.mean,
        trial.balance.p95, trial.traffic, trial.on_front ? "" : " (beaten in both)"));
  for (const std::string& note : report.notes) table.notes.push_back(note);
  return to_terminal(table, style);
}

}  // namespace orrery::report
