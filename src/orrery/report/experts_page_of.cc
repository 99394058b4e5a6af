#include "orrery/report/experts_page_of.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orrery/base/text.h"

namespace orrery::report {
namespace {

struct Known {
  const char *planner, *title;
};
constexpr Known kKnown[] = {{"contiguous", "Experts in order, as engines do unasked"},
                            {"random", "Experts at random"},
                            {"lpt", "Heaviest expert first"},
                            {"eplb", "DeepSeek's EPLB"},
                            {"two-stage", "MoETuner's two stages"},
                            {"current", "The map that runs today"}};

std::string title_of(const std::string& planner) {
  for (const Known& known : kKnown) {
    if (planner == known.planner) return known.title;
  }
  return "This plan";
}

// What each rank sends or receives in each layer, the larger of the two.
std::vector<std::vector<double>> port_bytes(const place::Replay& replay) {
  std::vector<std::vector<double>> bytes;
  auto ranks = static_cast<size_t>(replay.ranks);
  for (const std::vector<double>& pair : replay.layer_pair) {
    std::vector<double>& row = bytes.emplace_back();
    for (size_t g = 0; g < ranks; ++g) {
      double out = 0, in = 0;
      for (size_t h = 0; h < ranks; ++h) out += pair[g * ranks + h], in += pair[h * ranks + g];
      row.push_back(std::max(out, in));
    }
  }
  return bytes;
}

ExpertCandidate candidate_of(const place::PlanFigures& figures) {
  ExpertCandidate candidate;
  candidate.name = figures.plan.planner;
  candidate.title = title_of(figures.plan.planner);
  ExpertFigures& f = candidate.figures;
  f.max_over_mean_load = figures.load.mean;
  f.worst_max_over_mean_load = figures.load.worst;
  if (figures.balancedness.steps > 0)
    f.balancedness = figures.balancedness.mean, f.balancedness_p95 = figures.balancedness.p95;
  if (figures.crossing.total > 0)
    f.cross_gpu_fraction = figures.crossing.cross_gpu, f.cross_node_fraction = figures.crossing.cross_node;
  if (figures.replay) {
    f.all_to_all_bytes = figures.replay->total;
    candidate.traffic = port_bytes(*figures.replay);
    std::vector<double> ports(static_cast<size_t>(figures.replay->ranks));
    for (const auto& layer : candidate.traffic)
      for (size_t g = 0; g < ports.size(); ++g) ports[g] += layer[g];
    f.busiest_port_bytes = *std::max_element(ports.begin(), ports.end());
  }
  if (figures.step_seconds > 0) f.step_seconds = figures.step_seconds;
  candidate.moved_experts = static_cast<double>(figures.moved_experts);
  if (figures.moved_bytes > 0) candidate.moved_bytes = figures.moved_bytes;
  candidate.load = figures.load.rank_load;
  return candidate;
}

std::string verdict_of(const ExpertsPage& page) {
  const ExpertFigures& ours = page.candidates[0].figures;
  const ExpertCandidate& other = page.candidates[page.today > 0 ? static_cast<size_t>(page.today) : 1];
  const char* what = page.today > 0 ? "today's map" : "the contiguous map";
  std::string text = fmt::format("The busiest GPU takes {:.2f} of the mean load, {:.2f} with {}",
                                 ours.max_over_mean_load, other.figures.max_over_mean_load, what);
  double bytes = ours.all_to_all_bytes / other.figures.all_to_all_bytes;
  if (bytes > 0)
    text += fmt::format("; {:.1f} % {} bytes pass between GPUs", 100 * std::abs(1 - bytes),
                        bytes <= 1 ? "fewer" : "more");
  return text + ".";
}

}  // namespace

ExpertsPage experts_page(const place::ExpertReport& report, const std::vector<std::string>& routing) {
  ExpertsPage page;
  const place::ExpertPlan& plan = report.ours.plan;
  page.routing = join(routing, ", ");
  page.model = report.profile_names.empty() ? "routing" : report.profile_names[0];
  page.dispatch = place::name(report.dispatch);
  page.cluster = fmt::format("{} node{}", report.grid.nodes(), report.grid.nodes() == 1 ? "" : "s");
  page.command = report.command;
  page.layers = plan.layers(), page.experts = plan.experts;
  page.gpus = report.grid.ranks, page.gpus_per_node = report.grid.ranks_per_node, page.slots = plan.slots();
  if (report.ours.replay) page.tokens = report.ours.replay->tokens;
  page.steps = report.ours.balancedness.steps;
  page.layer_ids = plan.layer_ids;
  page.map = plan.slot_to_expert;
  page.candidates.push_back(candidate_of(report.ours));
  for (const place::PlanFigures& other : report.others) {
    if (other.plan.planner == "current") page.today = static_cast<int>(page.candidates.size());
    page.candidates.push_back(candidate_of(other));
  }
  page.objective_name = report.dispatch == place::Dispatch::Home   ? "Distinct GPUs a token and layer"
                        : report.dispatch == place::Dispatch::Stay ? "Cost of a transition"
                                                                   : "Largest load over the mean";
  page.objective = report.search.objective;
  if (report.search.bound > 0) page.lower_bound = report.search.bound, page.gap = report.search.gap();
  page.proven_over = report.search.proven_over;
  page.stopped_because = solve::name(report.search.stop);
  for (const place::SearchPoint& point : report.progress)
    page.progress.push_back({point.seconds, point.objective, point.bound});
  for (const place::SettingFigures& row : report.sensitivity)
    page.sensitivity.push_back({row.setting, row.value, row.chosen, candidate_of(row.figures).figures});
  for (const place::PhaseFigures& row : report.phases) {
    ExpertFigures figures = candidate_of(row.figures).figures;
    figures.max_over_mean_load = row.figures.load_later.mean;
    figures.worst_max_over_mean_load = row.figures.load_later.worst;
    figures.cross_gpu_fraction = figures.cross_node_fraction = kUnknown;  // those are of the part planned on
    page.phases.push_back(
        {place::name(row.map_for), trace::name(row.judged_on), row.map_for == report.map_for, figures});
  }
  for (size_t p = 0; p < report.transfer.size(); ++p) {
    ExpertTransfer row{join(report.profile_names, " and "), report.profile_names[p], {}, {}};
    row.figures.max_over_mean_load = report.transfer[p];
    row.contiguous.max_over_mean_load = report.transfer_contiguous[p];
    page.transfer.push_back(row);
  }
  if (report.shortfall) page.warnings.push_back(report.shortfall_note);
  // What stands above as a warning is not told twice.
  for (const std::string& note : report.notes) {
    if (!report.shortfall || !note.ends_with(report.shortfall_note)) page.notes.push_back(note);
  }
  if (report.grid.nodes() == 1) {  // nothing leaves the only node
    for (ExpertCandidate& candidate : page.candidates) candidate.figures.cross_node_fraction = kUnknown;
    for (ExpertSensitivity& row : page.sensitivity) row.figures.cross_node_fraction = kUnknown;
  }
  if (page.candidates.size() > 1) page.verdict = verdict_of(page);
  return page;
}

}  // namespace orrery::report
