// `orrery check PLAN`: is what a plan claims so?
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "orrery/cli/options.h"
#include "orrery/report/terminal_table.h"
#include "orrery/study/check/check.h"

namespace orrery::cli {
namespace {

std::string as_json(const study::Verification& result) {
  using json = nlohmann::ordered_json;
  json claims = json::array();
  for (const study::Claim& claim : result.claims)
    claims.push_back({{"claim", claim.name},
                      {"claimed", claim.claimed},
                      {"recomputed", claim.recomputed},
                      {"verdict", study::name(claim.verdict)},
                      {"why", claim.why}});
  const json document = {{"schema", "orrery.check/1"},   {"plan", result.file},
                         {"plan_schema", result.schema}, {"holds", result.holds()},
                         {"subject", result.subject},    {"claims", claims},
                         {"notes", result.notes}};
  return document.dump(2, ' ', false, json::error_handler_t::replace);
}

report::Table as_table(const study::Verification& result) {
  report::Table table;
  table.title = result.file + ": " + result.subject;
  table.columns = {{"claim", ""}, {"claimed", ""}, {"recomputed", ""}, {"verdict", ""}};
  size_t failed = 0, unproven = 0;
  for (const study::Claim& claim : result.claims) {
    const std::string verdict = study::name(claim.verdict);
    table.rows.push_back({claim.name, claim.claimed, claim.recomputed,
                          claim.why.empty() ? verdict : verdict + ": " + claim.why});
    failed += claim.verdict == study::Verdict::Fails;
    unproven += claim.verdict == study::Verdict::NotProven;
  }
  table.notes = result.notes;
  table.notes.push_back(std::to_string(result.claims.size()) + " claims, " + std::to_string(failed) +
                        " fail, " + std::to_string(unproven) + " not proven");
  return table;
}

}  // namespace

Action declare_check(CLI::App& app, Common& common) {
  struct Options {
    std::string plan;
    std::vector<std::string> routing;
    double bound_time = 30;
  };
  auto o = std::make_shared<Options>();
  app.add_option("PLAN,--plan", o->plan, "A plan as `orrery plan` writes it (plan.json)")->required();
  app.add_option("--routing", o->routing,
                 "Recordings in place of those that an expert plan names, in its order");
  app.add_option("--bound-time", o->bound_time, "Seconds at most for a lower bound of its own")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_json(app, common);
  return [&common, o] {
    const study::Verification result =
        study::check_plan(o->plan, {.inputs = o->routing, .bound_limit = Seconds(o->bound_time)});
    *common.out << (common.json ? as_json(result) + "\n"
                                : report::to_terminal(as_table(result), common.style()));
    return result.holds() ? 0 : 1;
  };
}

}  // namespace orrery::cli
