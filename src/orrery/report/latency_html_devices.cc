// Header, the table to decide from, and sources.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "orrery/report/latency_html_sections.h"
#include "orrery/report/latency_words.h"

namespace orrery::report {
namespace {

constexpr double kMilli = 1e3, kPercent = 100, kGiga = 1e-9, kTera = 1e-12;
constexpr const char* kNone = "<span class=\"none\">–</span>";

std::string device_at(size_t index) {
  return fmt::format("/devices/{}", index);
}

struct Heading {
  const char *name, *unit, *explained;
  bool numeric = true;
};

// A cell: what its column sorts by (NaN: nothing), and what it shows.
struct Shown {
  double key = NAN;
  std::string shown;
  const char* classes = "";
};

std::string heading(const Heading& column) {
  return fmt::format(
      "<th scope=\"col\"{}{}>{}{}</th>", column.numeric ? " class=\"num\"" : "",
      *column.explained ? fmt::format(" title=\"{}\"", column.explained) : std::string(), column.name,
      *column.unit ? fmt::format(" <span class=\"unit\">{}</span>", column.unit) : std::string());
}

// The label is for narrow screens, where a row stands as a card.
std::string row_cell(const Heading& column, const Shown& cell) {
  std::string sort = std::isfinite(cell.key) ? fmt::format(" data-sort=\"{}\"", cell.key) : std::string();
  return fmt::format("<td class=\"{}{}\" data-label=\"{}{}{}\"{}>{}</td>", column.numeric ? "num " : "",
                     cell.classes, column.name, *column.unit ? " " : "", column.unit, sort, cell.shown);
}

std::string checked_badge(const std::string& level, bool fitted) {
  const char* explained = level == "models"    ? "whole models were measured on this GPU and compared"
                          : level == "kernels" ? "single kernels were measured on this GPU and compared"
                                               : "nothing was measured on this GPU";
  std::string shown = level.empty() ? "none" : escape(level);
  return fmt::format(
      "<span class=\"badge {}\" title=\"{}\">{}</span>{}", shown, explained, shown,
      fitted
          ? "<span class=\"margin\" title=\"measured rows of this GPU are among those that the weights were "
            "fitted on\"> fitted</span>"
          : "");
}

std::string name_cell(const ShownJson& report, const std::string& at) {
  std::string memory =
      report.number(at + "/device/memory_bytes", kGiga) + " GB " + report.text(at + "/device/memory_type");
  return fmt::format("<th scope=\"row\" data-sort=\"{}\">{}<small>{}</small></th>",
                     report.text(at + "/label"), report.text(at + "/label"), memory);
}

// Where it does not fit: what is short and what would do, in the JSON's numbers.
std::string refusal(const ShownJson& report, const std::string& at, size_t columns) {
  std::string memory = at + "/memory", largest = memory + "/components/0";
  for (size_t i = 1; i < report.size(memory + "/components"); ++i) {
    std::string component = fmt::format("{}/components/{}", memory, i);
    if (report.value(component + "/bytes") > report.value(largest + "/bytes")) largest = component;
  }
  std::string why;
  if (report.known(largest))
    why = report.number(largest + "/bytes", kGiga) + " GB of " + report.text(largest + "/component") + ", ";
  why += report.number(memory + "/short_bytes", kGiga) + " GB short. ";
  if (report.value(memory + "/smallest_devices") > 1) {
    why += "It needs " + report.number(memory + "/smallest_devices", 1, 0) + " × " +
           report.text(at + "/device/title") + ". ";
  }
  if (report.value(memory + "/smallest_tensor_parallel") > 0) {
    why += "Fits with <code>--tensor-parallel " + report.number(memory + "/smallest_tensor_parallel", 1, 0) +
           "</code>.";
  } else {
    why += "No <code>--tensor-parallel</code> width of one node is enough.";
  }
  return fmt::format(
      "<tr class=\"refused\">{}<td class=\"bad\" data-label=\"Fits\" data-sort=\"0\">no</td><td "
      "colspan=\"{}\">{}</td></tr>\n",
      name_cell(report, at), columns, why);
}

Shown bound_cell(const ShownJson& report, const std::string& phase) {
  if (!report.known(phase)) return {NAN, kNone};
  return {report.value(phase + "/bound_share"), report.text(phase + "/bound") + " <span class=\"margin\">" +
                                                    report.number(phase + "/bound_share", kPercent, 0) +
                                                    " %</span>"};
}

Shown checked_cell(const ShownJson& report, const std::string& at) {
  std::string level = report.raw(at + "/checked_on");
  return {level == "models"    ? 2.0
          : level == "kernels" ? 1.0
                               : 0.0,
          checked_badge(level, report.flag(at + "/measured_in_weights"))};
}

// A number with a thin bar of its share of the column's largest.
std::string with_bar(const std::string& shown, double value, double largest) {
  if (!(largest > 0) || !std::isfinite(value)) return shown;
  return shown + fmt::format("<span class=\"bar\" style=\"width:{:.0f}%\"></span>", 100 * value / largest);
}

double largest_of(const ShownJson& report, const std::string& field) {
  double largest = 0;
  for (size_t i = 0; i < report.size("/devices"); ++i) {
    double value = report.value(device_at(i) + field);
    if (std::isfinite(value)) largest = std::max(largest, value);
  }
  return largest;
}

// The columns behind the name, and the cells of a device that the model fits on.
const std::vector<Heading> kServing = {
    {"Fits", "", "", false},
    {"Context × batch", "", "longest context with that many sequences at once"},
    {"TTFT", "ms", "time to first token"},
    {"TPOT", "ms", "time per output token"},
    {"Tokens/s", "per GPU", "output tokens in steady state"},
    {"$", "per Mtok", "rent over output tokens"},
    {"J", "per token", "energy of an output token"},
    {"Bound by", "", "what bounds most of the time", false},
    {"Checked on", "", "what was measured on this GPU and compared", false}};
const std::vector<Heading> kSingleMode = {
    {"Fits", "", "", false},
    {"Time", "ms", "one iteration"},
    {"Rate", "per s", "tokens; samples for a graph from a file"},
    {"Work", "TFLOP", "matrix operations"},
    {"Matrix", "% of peak", ""},
    {"Bandwidth", "% of peak", ""},
    {"$", "per Mtok", "rent over tokens"},
    {"J", "per token", "energy of a token"},
    {"Bound by", "", "what bounds most of the time", false},
    {"Checked on", "", "what was measured on this GPU and compared", false}};

std::vector<Shown> serving_cells(const ShownJson& report, const std::string& at, double largest_rate) {
  auto band = [&](const char* field, const char* unit, double scale) {
    return Shown{report.value(at + field + "/value" + unit), report.banded(at + field, unit, scale)};
  };
  const std::string context = at + "/memory/longest_context_tokens",
                    rate = at + "/tokens_per_second_per_device";
  std::string phase = at + (report.known(at + "/decode") ? "/decode" : "/prefill");
  return {
      {1, "yes", "good"},
      {report.value(context), report.value(context) > 0
                                  ? report.number(context, 1, 0) + " × " + report.number(at + "/batch", 1, 0)
                                  : kNone},
      band("/ttft", "_s", kMilli),
      band("/tpot", "_s", kMilli),
      {report.value(rate + "/value"),
       with_bar(report.banded(rate, "", 1), report.value(rate + "/value"), largest_rate), "barred"},
      {report.value(at + "/dollars_per_million_tokens"), report.number(at + "/dollars_per_million_tokens")},
      band("/joules_per_token", "", 1),
      bound_cell(report, phase),
      checked_cell(report, at)};
}

std::vector<Shown> single_mode_cells(const ShownJson& report, const std::string& at, const std::string& mode,
                                     double largest_rate) {
  std::string phase = at + "/" + mode, rate = phase + "/tokens_per_second";
  auto plain = [&](const char* field, double scale, int decimals) {
    return Shown{report.value(phase + field), report.number(phase + field, scale, decimals)};
  };
  return {
      {1, "yes", "good"},
      {report.value(phase + "/time/value_s"), report.banded(phase + "/time", "_s", kMilli)},
      {report.value(rate), with_bar(report.number(rate), report.value(rate), largest_rate), "barred"},
      plain("/matrix_flops", kTera, kSignificant),
      plain("/flops_utilization", kPercent, 0),
      plain("/bandwidth_utilization", kPercent, 0),
      {report.value(at + "/dollars_per_million_tokens"), report.number(at + "/dollars_per_million_tokens")},
      {report.value(at + "/joules_per_token/value"), report.banded(at + "/joules_per_token", "", 1)},
      bound_cell(report, phase),
      checked_cell(report, at)};
}

std::string list_of(const ShownJson& report, const std::string& at) {
  std::string out;
  for (size_t i = 0; i < report.size(at); ++i)
    out += "<li>" + report.text(fmt::format("{}/{}", at, i)) + "</li>\n";
  return out.empty() ? out : "<ul>\n" + out + "</ul>\n";
}

}  // namespace

std::string header_section(const ShownJson& report) {
  std::string verdict = report.raw("/verdict"), trust = report.raw("/trust");
  if (!trust.empty() && verdict.ends_with(trust)) verdict.resize(verdict.size() - trust.size());
  std::string out = "<header>\n<p class=\"eyebrow\">Orrery · latency forecast</p>\n<h1>" +
                    report.text("/model/name") + "</h1>\n";
  out += "<p class=\"subject\">" + report.text("/subject") + "</p>\n<p class=\"verdict\">" + escape(verdict) +
         "</p>\n";
  if (!trust.empty()) out += "<p class=\"trust\">" + escape(trust) + "</p>\n";
  for (size_t i = 0; i < report.size("/warnings"); ++i) {
    out += "<p class=\"warning\"><strong>Warning:</strong> " + report.text(fmt::format("/warnings/{}", i)) +
           "</p>\n";
  }
  return out + "</header>\n";
}

std::string devices_section(const ShownJson& report) {
  std::string mode = report.raw("/workload/mode");
  bool serving = mode.empty();
  const std::vector<Heading>& columns = serving ? kServing : kSingleMode;
  std::string head = heading({"GPU", "", "", false});
  for (const Heading& column : columns) head += heading(column);
  double largest =
      largest_of(report, serving ? "/tokens_per_second_per_device/value" : "/" + mode + "/tokens_per_second");
  std::string rows;
  for (size_t i = 0; i < report.size("/devices"); ++i) {
    std::string at = device_at(i);
    if (report.value(at + "/memory/short_bytes") > 0) {
      rows += refusal(report, at, columns.size() - 1);
      continue;
    }
    std::vector<Shown> cells =
        serving ? serving_cells(report, at, largest) : single_mode_cells(report, at, mode, largest);
    rows += "<tr>" + name_cell(report, at);
    for (size_t c = 0; c < columns.size(); ++c) rows += row_cell(columns[c], cells[c]);
    rows += "</tr>\n";
  }
  std::string notes;
  for (size_t i = 0; i < report.size("/devices"); ++i) {
    std::string at = device_at(i) + "/notes";
    for (size_t n = 0; n < report.size(at); ++n) {
      notes += "<li><strong>" + report.text(device_at(i) + "/label") + ":</strong> " +
               report.text(fmt::format("{}/{}", at, n)) + "</li>\n";
    }
  }
  std::string out =
      "<section id=\"devices\">\n<h2>The GPUs, side by side</h2>\n<div class=\"scroll stacks\" "
      "role=\"region\" "
      "tabindex=\"0\" "
      "aria-label=\"GPUs side by side\">\n<table class=\"sortable decision\">\n<thead><tr>" +
      head + "</tr></thead>\n<tbody>\n" + rows + "</tbody>\n</table>\n</div>\n";
  for (size_t i = 0; i < report.size("/devices"); ++i) {
    std::string at = device_at(i) + (serving ? "/ttft/confidence" : "/" + mode + "/time/confidence");
    if (!(report.value(at) > 0)) continue;
    out += "<p class=\"note\">± spans the band that is meant to hold " + report.number(at, kPercent, 0) +
           " % of measurements.</p>\n";
    break;
  }
  if (!notes.empty())
    out += "<details class=\"notes\" open><summary>Notes on single GPUs</summary>\n<ul>\n" + notes +
           "</ul></details>\n";
  return out + "</section>\n";
}

std::string sources_section(const ShownJson& report, const std::string& json_file) {
  std::string out = "<section id=\"sources\">\n<h2>Assumptions, sources, and how to get it again</h2>\n";
  out += "<dl class=\"facts\"><div><dt>Predictor</dt><dd>" + report.text("/predictor/name") +
         "</dd></div><div><dt>Weights</dt><dd>" + report.text("/predictor/weights") +
         "</dd></div><div><dt>Orrery</dt><dd>" + report.text("/program/version") +
         "</dd></div><div><dt>Made</dt><dd>" + report.text("/run/date") + " in " +
         report.number("/run/seconds") + " s</dd></div></dl>\n";
  std::string assumptions = list_of(report, "/assumptions"), sources = list_of(report, "/sources"),
              notes = list_of(report, "/model/notes");
  if (!assumptions.empty()) out += "<h3>Assumptions</h3>\n" + assumptions;
  if (!notes.empty()) out += "<h3>About the model's file</h3>\n" + notes;
  if (!sources.empty()) out += "<h3>Sources</h3>\n" + sources;
  out += "<h3>Again</h3>\n<div class=\"command\"><pre tabindex=\"0\"><code id=\"command\">" +
         report.text("/command") + "</code></pre></div>\n<p>All numbers of this page, schema <code>" +
         report.text("/schema") + "</code>: ";
  if (!json_file.empty()) {
    out += "<a href=\"" + escape(json_file) + "\">" + escape(json_file) +
           "</a>, or the same command with <code>--json</code>";
  } else {
    out += "the same command with <code>--json</code>";
  }
  return out + ".</p>\n<p class=\"note\">Charts by Chart.js (MIT licence), built in.</p>\n</section>\n";
}

}  // namespace orrery::report
