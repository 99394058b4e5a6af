// The sections that are drawn: each a canvas that page/latency.js fills from the page's JSON, and the table
// of its numbers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "orrery/report/latency_html_sections.h"

namespace orrery::report {
namespace {

constexpr double kMilli = 1e3, kMicro = 1e6, kPercent = 100, kGiga = 1e-9, kTera = 1e-12;
constexpr const char* kNone = "<span class=\"none\">–</span>";

std::string device_at(size_t index) {
  return fmt::format("/devices/{}", index);
}

// A device that the model does not fit on would never run: its forecasts are left out where another fits.
bool runs(const ShownJson& report, size_t device) {
  auto fits = [&](size_t d) { return report.flag(device_at(d) + "/memory/fits"); };
  if (fits(device)) return true;
  for (size_t d = 0; d < report.size("/devices"); ++d) {
    if (fits(d)) return false;
  }
  return true;
}

// Devices whose operators, curves and timelines have tables: a page of forty GPUs would be nothing but these.
constexpr size_t kMostDetailed = 16;
size_t detailed(const ShownJson& report) {
  return std::min(kMostDetailed, report.size("/devices"));
}
std::string of_the_first(const ShownJson& report) {
  if (report.size("/devices") <= kMostDetailed) return {};
  return fmt::format(" (the first {} GPUs; the JSON has all)", kMostDetailed);
}

// `bars`: of a chart that has one a device, which decides its height; 0 for others, whose height `shape`
// decides.
std::string canvas(const char* chart, const std::string& label, const std::string& more, const char* shape,
                   size_t bars = 0) {
  constexpr size_t kBarPixels = 34, kAxisAndLegendPixels = 92;
  std::string height =
      bars ? fmt::format(" style=\"height:{}px\"", bars * kBarPixels + kAxisAndLegendPixels) : std::string();
  return fmt::format(
      "<div class=\"chart {}\"{}><canvas data-chart=\"{}\" {} role=\"img\" aria-label=\"{}; the numbers "
      "stand in the table "
      "below\"></canvas></div>\n",
      shape, height, chart, more, escape(label));
}

// Open where scripts do not run; report.js folds it.
std::string numbers(const std::string& summary, const std::string& table) {
  return "<details class=\"numbers\" open><summary>" + summary +
         "</summary>\n<div class=\"scroll\" role=\"region\" tabindex=\"0\" "
         "aria-label=\"" +
         summary + "\">\n" + table + "</div></details>\n";
}

std::string table(const std::string& head, const std::string& rows) {
  return "<table>\n<thead><tr>" + head + "</tr></thead>\n<tbody>\n" + rows + "</tbody></table>\n";
}

std::string column(const std::string& name, const std::string& unit = {}) {
  return "<th scope=\"col\" class=\"num\">" + name +
         (unit.empty() ? "" : " <span class=\"unit\">" + unit + "</span>") + "</th>";
}
std::string first_column(const std::string& name) {
  return "<th scope=\"col\">" + name + "</th>";
}
std::string cell(const std::string& shown) {
  return "<td class=\"num\">" + shown + "</td>";
}
std::string row_name(const std::string& shown) {
  return "<th scope=\"row\">" + shown + "</th>";
}

// Names that a list of objects carries in a field, over all devices, in the order of their first appearance.
std::vector<std::string> names_of(const ShownJson& report, const std::string& list,
                                  const std::string& field) {
  std::vector<std::string> names;
  for (size_t d = 0; d < report.size("/devices"); ++d) {
    for (size_t i = 0; i < report.size(device_at(d) + list); ++i) {
      std::string name = report.raw(fmt::format("{}{}/{}/{}", device_at(d), list, i, field));
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

// The pointer of the entry of a list whose field has that value; "" where there is none.
std::string entry(const ShownJson& report, const std::string& list, const std::string& field,
                  const std::string& value) {
  for (size_t i = 0; i < report.size(list); ++i) {
    std::string at = fmt::format("{}/{}", list, i);
    if (report.raw(at + "/" + field) == value) return at;
  }
  return {};
}

std::vector<const char*> phases_of(const ShownJson& report) {
  std::vector<const char*> phases;
  for (const char* phase : {"prefill", "decode", "train"}) {
    for (size_t d = 0; d < report.size("/devices"); ++d) {
      if (!runs(report, d)) continue;
      if (!report.known(device_at(d) + "/" + phase)) continue;
      phases.push_back(phase);
      break;
    }
  }
  return phases;
}

const char* phase_title(const std::string& phase) {
  return phase == "prefill" ? "Prefill" : phase == "decode" ? "Decode" : "Training";
}

// A choice of device that report.js shows where there is something to choose; latency.js redraws what depends
// on it.
std::string device_choice(const ShownJson& report, const char* id) {
  std::string options;
  size_t count = 0;
  for (size_t d = 0; d < report.size("/devices"); ++d) {
    if (!runs(report, d)) continue;
    std::string at = device_at(d);
    if (!report.known(at + "/prefill") && !report.known(at + "/decode") && !report.known(at + "/train"))
      continue;
    options += fmt::format("<option value=\"{}\">{}</option>", d, report.text(at + "/label"));
    ++count;
  }
  if (count < 2) return {};
  return fmt::format(
      "<p class=\"choice\"><label for=\"{}\">GPU</label> <select id=\"{}\" "
      "class=\"device-choice\">{}</select></p>\n",
      id, id, options);
}

std::string section(const char* id, const char* title, const std::string& body) {
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n", id, title) + body + "</section>\n";
}

}  // namespace

std::string memory_section(const ShownJson& report) {
  std::string head = first_column("GPU"), rows;
  std::vector<std::string> components = names_of(report, "/memory/components", "component");
  for (const std::string& component : components) head += column(escape(component), "GB");
  head += column("Needed", "GB") + column("Available", "GB") + column("Longest context", "tokens") +
          column("Largest batch");
  for (size_t d = 0; d < report.size("/devices"); ++d) {
    std::string at = device_at(d) + "/memory";
    rows += "<tr>" + row_name(report.text(device_at(d) + "/label"));
    for (const std::string& component : components) {
      std::string found = entry(report, at + "/components", "component", component);
      rows += cell(found.empty() ? kNone : report.number(found + "/bytes", kGiga));
    }
    auto count = [&](const char* field) {
      return cell(report.value(at + field) > 0 ? report.number(at + field, 1, 0) : kNone);
    };
    rows += cell(report.number(at + "/needed_bytes", kGiga)) +
            cell(report.number(at + "/available_bytes", kGiga)) + count("/longest_context_tokens") +
            count("/largest_batch") + "</tr>\n";
  }
  return section("memory", "What fills the memory",
                 "<p>Memory of one device by component, with the batch that the table gives, against what "
                 "may be used of it (the tick).</p>\n" +
                     canvas("memory", "Memory by component and device", "", "bars", report.size("/devices")) +
                     numbers("Memory in numbers, with the longest context", table(head, rows)));
}

std::string roofline_section(const ShownJson& report) {
  constexpr size_t kMostRows = 12;  // of a phase: beyond, nobody reads; the JSON has all
  std::string tables;
  for (size_t d = 0; d < detailed(report); ++d) {
    if (!runs(report, d)) continue;
    for (const char* phase : phases_of(report)) {
      std::string list = device_at(d) + "/" + phase + "/operators";
      std::string rows;
      for (size_t i = 0; i < std::min(kMostRows, report.size(list)); ++i) {
        std::string at = fmt::format("{}/{}", list, i);
        rows += "<tr>" +
                row_name(report.text(at + "/name") + "<small>" + report.text(at + "/kind") + " " +
                         report.text(at + "/shape") + "</small>") +
                cell(report.number(at + "/count", 1, 0)) + cell(report.number(at + "/time_s", kMicro)) +
                cell(report.number(at + "/total_s", kMilli)) +
                cell(report.number(at + "/intensity_flops_per_byte")) +
                cell(report.number(at + "/rate_flops_per_second", kTera)) + "<td>" +
                (report.flag(at + "/priced") ? report.text(at + "/bound") : "not priced: bandwidth") +
                "</td></tr>\n";
      }
      if (rows.empty()) continue;
      std::string head = first_column("Operator") + column("Times") + column("Each", "µs") +
                         column("All", "ms") + column("Intensity", "FLOP/B") + column("Rate", "TFLOP/s") +
                         first_column("Bound by");
      tables +=
          fmt::format("<h4>{}, {}</h4>\n", report.text(device_at(d) + "/label"), phase) + table(head, rows);
    }
  }
  if (tables.empty()) return {};
  return section("roofline", "Roofline",
                 "<p>Each dot is an operator, its area its share of the phase (those under 0.2 % are left "
                 "out). Below the slanted roof memory "
                 "decides, below the flat one "
                 "arithmetic; the dashed roof is what microbenchmarks reached.</p>\n" +
                     device_choice(report, "roofline-device") +
                     canvas("roofline", "Operators on the roofline", "", "tall") +
                     numbers("Operators in numbers" + of_the_first(report), tables));
}

std::string classes_section(const ShownJson& report) {
  std::string body =
      "<p>Time of one prefill, one decode step, or one training iteration, by class of operators.</p>\n";
  std::vector<const char*> phases = phases_of(report);
  if (phases.empty()) return {};
  for (const char* phase : phases) {
    std::string list = std::string("/") + phase + "/classes";
    std::vector<std::string> classes = names_of(report, list, "name");
    std::string head = first_column("GPU"), rows;
    size_t bars = 0;
    for (const std::string& name : classes) head += column(escape(name), "ms");
    head += column("All", "ms");
    for (size_t d = 0; d < report.size("/devices"); ++d) {
      std::string at = device_at(d) + "/" + phase;
      if (!report.known(at) || !runs(report, d)) continue;
      ++bars;
      rows += "<tr>" + row_name(report.text(device_at(d) + "/label"));
      for (const std::string& name : classes) {
        std::string found = entry(report, at + "/classes", "name", name);
        rows += cell(found.empty() ? kNone
                                   : report.number(found + "/time_s", kMilli) + " <span class=\"margin\">" +
                                         report.number(found + "/share", kPercent, 0) + " %</span>");
      }
      rows += cell(report.banded(at + "/time", "_s", kMilli)) + "</tr>\n";
    }
    body += fmt::format("<h3>{}</h3>\n", phase_title(phase)) +
            canvas("classes", std::string("Time by class of operators, ") + phase,
                   fmt::format("data-phase=\"{}\"", phase), "bars", bars) +
            numbers(std::string(phase_title(phase)) + " in numbers", table(head, rows));
  }
  return section("classes", "Where the time goes", body);
}

std::string curve_caption(const ShownJson& report) {
  std::string mode = report.raw("/workload/mode");
  if (mode == "train") return "Time of one training iteration.";
  if (mode == "prefill") return "Time of one prefill.";
  if (mode == "decode") return "Time of one decode step.";
  for (size_t d = 0; d < report.size("/devices"); ++d) {
    std::string tokens = device_at(d) + "/decode/sequence_tokens";
    if (!runs(report, d) || !report.known(tokens)) continue;
    return "Time of one decode step: over batch with " + report.number(tokens, 1, 0) +
           " tokens in the cache of each sequence, over context "
           "with one sequence.";
  }
  return "Time of one step.";
}

std::string curves_section(const ShownJson& report) {
  std::string body;
  struct Curve {
    const char *list, *x, *title, *unit;
  };
  for (const Curve& curve : {Curve{"over_batch", "batch", "Over batch", "sequences"},
                             {"over_context", "context_tokens", "Over context", "tokens"}}) {
    std::string rows;
    for (size_t d = 0; d < detailed(report); ++d) {
      if (!runs(report, d)) continue;
      std::string list = device_at(d) + "/" + curve.list;
      for (size_t i = 0; i < report.size(list); ++i) {
        std::string at = fmt::format("{}/{}", list, i);
        rows += "<tr>" + row_name(report.text(device_at(d) + "/label")) +
                cell(report.number(at + "/" + curve.x, 1, 0)) +
                cell(report.banded(at + "/time", "_s", kMilli)) +
                cell(report.number(at + "/tokens_per_second")) + "</tr>\n";
      }
    }
    if (rows.empty()) continue;
    std::string head = first_column("GPU") +
                       column(curve.x == std::string("batch") ? "Batch" : "Context", curve.unit) +
                       column("Step", "ms") + column("Tokens/s");
    body += fmt::format("<div><h3>{}</h3>\n", curve.title) +
            canvas("curve", std::string("Time of one step, ") + curve.title,
                   fmt::format("data-curve=\"{}\" data-x=\"{}\"", curve.list, curve.x), "tall") +
            numbers(std::string(curve.title) + " in numbers" + of_the_first(report), table(head, rows)) +
            "</div>\n";
  }
  if (body.empty()) return {};
  return section("curves", "Latency over batch and context",
                 "<p>" + curve_caption(report) + " The shade is the band.</p>\n<div class=\"pair\">\n" +
                     body + "</div>\n");
}

std::string timeline_section(const ShownJson& report, const std::string& timeline_file) {
  std::string tables;
  for (size_t d = 0; d < detailed(report); ++d) {
    if (!runs(report, d)) continue;
    for (const char* phase : phases_of(report)) {
      std::string at = device_at(d) + "/" + phase + "/layer_timeline", rows;
      for (size_t i = 0; i < report.size(at + "/events"); ++i) {
        std::string event = fmt::format("{}/events/{}", at, i);
        std::string lane = fmt::format("{}/lanes/{:.0f}", at, report.value(event + "/lane"));
        std::string name = fmt::format("{}/names/{:.0f}", at, report.value(event + "/name"));
        rows += "<tr>" + row_name(report.text(name)) + "<td>" + report.text(lane) + "</td>" +
                cell(report.number(event + "/start_s", kMicro)) +
                cell(report.number(event + "/duration_s", kMicro)) + "</tr>\n";
      }
      if (rows.empty()) continue;
      std::string head =
          first_column("Operator") + first_column("Lane") + column("Start", "µs") + column("Takes", "µs");
      tables +=
          fmt::format("<h4>{}, {}</h4>\n", report.text(device_at(d) + "/label"), phase) + table(head, rows);
    }
  }
  if (tables.empty()) return {};
  std::string beside =
      timeline_file.empty()
          ? std::string()
          : " The same as a trace for <a href=\"https://ui.perfetto.dev\">Perfetto</a>: <a href=\"" +
                escape(timeline_file) + "\">" + escape(timeline_file) + "</a>.";
  return section("timeline", "One layer, kernel by kernel",
                 "<p>A layer in the middle of the model." + beside + "</p>\n" +
                     device_choice(report, "timeline-device") +
                     "<div id=\"timelines\" class=\"js-only\"></div>\n" +
                     numbers("The layer in numbers" + of_the_first(report), tables));
}

}  // namespace orrery::report
