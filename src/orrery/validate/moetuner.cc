#include "orrery/validate/moetuner.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "orrery/base/error.h"
#include "orrery/base/text.h"
#include "orrery/trace/readers/routing.h"

namespace orrery::validate {
namespace {

struct PartRow {
  const char* name;
  void (*run)(const MoeTunerPart&);
  bool needs_data, unasked;  // unasked: runs where no part is named
};
constexpr PartRow kParts[] = {
    {"exact", moetuner_exact, true, true},     {"planner", moetuner_planner, true, true},
    {"cuts", moetuner_cuts, true, false},      {"copies", moetuner_copies, true, true},
    {"domains", moetuner_domains, true, true}, {"replay", moetuner_replay, false, true},
    {"trace", moetuner_trace, false, true},    {"claims", moetuner_claims, true, true},
    {"scale", moetuner_scale, false, false},
};

}  // namespace

trace::RoutingProfile olmoe(const MoeTunerPart& part, const std::string& domain, trace::WeightRule rule) {
  return trace::read_routing(part.request.data + "/moetuner/olmoe-1b-7b_" + domain + ".tsv.gz",
                             {.experts = 64, .rule = rule, .name = domain});
}

trace::RoutingProfile mixtral_tokens(const MoeTunerPart& part, const std::string& problem,
                                     trace::WeightRule rule) {
  return trace::read_routing(
      part.request.data + "/moetuner/mixtral-8x7b-instruct_" + problem + "_tokens.tsv.gz",
      {.experts = 8, .rule = rule, .name = problem});
}

place::RankGrid uniform_grid(int ranks) {
  return {ranks, ranks, 1, 1};
}

double seconds_of(const std::function<void()>& work) {
  const auto started = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

double processor_seconds_of(const std::function<void()>& work) {
  const std::clock_t started = std::clock();
  work();
  return static_cast<double>(std::clock() - started) / CLOCKS_PER_SEC;
}

MoeTunerValidation validate_moetuner(const MoeTunerRequest& request, const RunContext& context) {
  for (const std::string& name : request.parts) {
    if (std::none_of(std::begin(kParts), std::end(kParts),
                     [&](const PartRow& row) { return name == row.name; }))
      throw InputError("--only '" + printable(name) + "': expected some of " +
                       join(std::vector<std::string>(kMoeTunerParts.begin(), kMoeTunerParts.end()), ", "));
  }
  MoeTunerValidation result;
  const MoeTunerPart part{request, context, result};
  for (const PartRow& row : kParts) {
    const bool asked = std::find(request.parts.begin(), request.parts.end(), row.name) != request.parts.end();
    if (!asked && !(request.parts.empty() && row.unasked)) continue;
    if (context.stop.stop_requested()) throw Interrupted();
    if (row.needs_data && request.data.empty()) {
      if (asked)
        throw InputError("part '" + std::string(row.name) +
                         "' needs the measured data; give --data or $ORRERY_DATA");
      result.skipped.emplace_back(row.name);
      continue;
    }
    row.run(part);
    if (context.progress) context.progress->advance();
  }
  return result;
}

report::Table moetuner_checks(const MoeTunerValidation& result) {
  report::Table table{.title = "Asked and seen", .columns = {{"check"}, {"asked"}, {"seen"}, {"met"}}};
  for (const MoeTunerCheck& check : result.checks)
    table.rows.push_back({check.check, check.asked, check.seen, std::string(check.met ? "yes" : "NO")});
  for (const std::string& name : result.skipped)
    table.notes.push_back("part '" + name + "' needs the measured data and was left out");
  return table;
}

std::string moetuner_markdown(const MoeTunerValidation& result) {
  std::string text;
  for (const report::Table& table : result.tables) text += report::to_markdown(table) + "\n";
  return text + report::to_markdown(moetuner_checks(result));
}

}  // namespace orrery::validate
