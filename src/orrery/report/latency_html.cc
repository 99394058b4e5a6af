#include "orrery/report/latency_html.h"

#include <algorithm>
#include <map>

#include "orrery/report/html.h"
#include "orrery/report/latency_html_sections.h"
#include "orrery/report/latency_json.h"

namespace orrery::report {
namespace {

// The series of the classes of GPU that the report speaks of, whole models first, with as many points as one
// can tell apart.
LatencyValidation of_these_classes(const schedule::LatencyReport& report,
                                   const LatencyValidation& validation) {
  constexpr size_t kPointsOfAClass = 900, kFewestPoints = 24;
  std::map<std::string, size_t> series_of;  // class: how many
  for (const schedule::DeviceAnswer& answer : report.devices) {
    if (const hardware::Gpu* gpu = answer.device.gpu())
      series_of.emplace(hardware::name(gpu->architecture), 0);
  }
  LatencyValidation out;
  for (const ValidationSeries& series : validation.series) {
    auto found = series_of.find(series.architecture);
    if (found == series_of.end()) continue;
    ++found->second;
    out.series.push_back(series);
  }
  std::stable_sort(out.series.begin(), out.series.end(),
                   [](auto& a, auto& b) { return (a.level == "models") > (b.level == "models"); });
  for (ValidationSeries& series : out.series) {
    size_t most = std::max(kFewestPoints, kPointsOfAClass / series_of[series.architecture]);
    size_t every = (series.points.size() + most - 1) / most;
    if (every < 2) continue;
    for (size_t i = 0; i * every < series.points.size(); ++i) series.points[i] = series.points[i * every];
    series.points.resize((series.points.size() + every - 1) / every);
  }
  return out;
}

std::string with_operators(const schedule::LatencyReport& report, const LatencyValidation& validation,
                           const RunInfo& run, const LatencyHtmlOptions& options, size_t most_operators) {
  std::string json = latency_json(report, run, {.indent = -1, .most_operators = most_operators});
  std::string trust = validation_json(of_these_classes(report, validation));
  ShownJson shown(json), shown_trust(trust, "data-validation");
  PageParts parts;
  parts.title = report.model + " · Orrery latency forecast";
  parts.body = "<a class=\"skip\" href=\"#devices\">Skip to the table</a>\n" + header_section(shown) +
               "<main>\n" + devices_section(shown) + trust_section(shown, shown_trust) +
               memory_section(shown) + roofline_section(shown) + classes_section(shown) +
               curves_section(shown) + timeline_section(shown, options.timeline_file) +
               sources_section(shown, options.json_file) + "</main>\n";
  parts.data = {{"report", std::move(json)}, {"validation", std::move(trust)}};
  parts.styles = {asset("report.css")};
  parts.scripts = {asset("chart.js"), asset("report.js"), asset("latency.js")};
  return page(parts);
}

}  // namespace

std::string latency_html(const schedule::LatencyReport& report, const LatencyValidation& validation,
                         const RunInfo& run, const LatencyHtmlOptions& options) {
  constexpr size_t kFewestOperators = 4;
  size_t most = kFewestOperators;
  for (const schedule::DeviceAnswer& answer : report.devices) {
    for (const auto* phase : {&answer.prefill, &answer.decode, &answer.train}) {
      if (*phase) most = std::max(most, (*phase)->operators.size());
    }
  }
  std::string out = with_operators(report, validation, run, options, most);
  while (out.size() > kLargestPage && most > kFewestOperators) {
    most = std::max(kFewestOperators, most / 2);
    out = with_operators(report, validation, run, options, most);
  }
  return out;
}

}  // namespace orrery::report
