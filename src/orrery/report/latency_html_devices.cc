// Header, the table to decide from, trust, and sources: the sections that are words and tables.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "orrery/report/latency_html_sections.h"
#include "orrery/report/latency_words.h"

namespace orrery::report {
namespace {

constexpr double kMilli = 1e3, kPercent = 100, kGiga = 1e-9;
constexpr const char* kNone = "<span class=\"none\">–</span>";

std::string device_at(size_t index) {
  return fmt::format("/devices/{}", index);
}

// <td data-sort=...>: what the column sorts by, and what it shows.
std::string sortable(double key, const std::string& shown, const char* classes = "num") {
  std::string sort = std::isfinite(key) ? fmt::format(" data-sort=\"{}\"", key) : std::string();
  return fmt::format("<td class=\"{}\"{}>{}</td>", classes, sort, shown);
}

std::string heading(const char* name, const char* unit, const char* explained, bool numeric = true) {
  return fmt::format("<th scope=\"col\"{}{}>{}{}</th>", numeric ? " class=\"num\"" : "",
                     *explained ? fmt::format(" title=\"{}\"", explained) : std::string(), name,
                     *unit ? fmt::format(" <span class=\"unit\">{}</span>", unit) : std::string());
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
      "<tr class=\"refused\">{}<td class=\"bad\" data-sort=\"0\">no</td><td colspan=\"{}\">{}</td></tr>\n",
      name_cell(report, at), columns - 2, why);
}

std::string bound_cell(const ShownJson& report, const std::string& phase) {
  if (!report.known(phase)) return sortable(NAN, kNone, "");
  return sortable(report.value(phase + "/bound_share"),
                  report.text(phase + "/bound") + " <span class=\"margin\">" +
                      report.number(phase + "/bound_share", kPercent, 0) + " %</span>",
                  "");
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

std::string serving_row(const ShownJson& report, const std::string& at, double largest_rate) {
  auto band = [&](const char* field, const char* unit, double scale) {
    return sortable(report.value(at + field + "/value" + unit), report.banded(at + field, unit, scale));
  };
  bool context = report.value(at + "/memory/longest_context_tokens") > 0;
  std::string phase = at + (report.known(at + "/decode") ? "/decode" : "/prefill");
  const std::string rate = at + "/tokens_per_second_per_device";
  std::string row = name_cell(report, at) + "<td class=\"good\" data-sort=\"1\">yes</td>";
  row += sortable(report.value(at + "/memory/longest_context_tokens"),
                  context ? report.number(at + "/memory/longest_context_tokens", 1, 0) + " × " +
                                report.number(at + "/batch", 1, 0)
                          : kNone);
  row += band("/ttft", "_s", kMilli) + band("/tpot", "_s", kMilli);
  row += sortable(report.value(rate + "/value"),
                  with_bar(report.banded(rate, "", 1), report.value(rate + "/value"), largest_rate),
                  "num barred");
  row += sortable(report.value(at + "/dollars_per_million_tokens"),
                  report.number(at + "/dollars_per_million_tokens"));
  row += band("/joules_per_token", "", 1) + bound_cell(report, phase);
  return row;
}

std::string single_mode_row(const ShownJson& report, const std::string& at, const std::string& mode,
                            double largest_rate) {
  std::string phase = at + "/" + mode;
  auto plain = [&](const char* field, double scale, int decimals) {
    return sortable(report.value(phase + field), report.number(phase + field, scale, decimals));
  };
  std::string row = name_cell(report, at) + "<td class=\"good\" data-sort=\"1\">yes</td>";
  row += sortable(report.value(phase + "/time/value_s"), report.banded(phase + "/time", "_s", kMilli));
  row += sortable(report.value(phase + "/tokens_per_second"),
                  with_bar(report.number(phase + "/tokens_per_second"),
                           report.value(phase + "/tokens_per_second"), largest_rate),
                  "num barred");
  row += plain("/matrix_flops", 1e-12, kSignificant) + plain("/flops_utilization", kPercent, 0) +
         plain("/bandwidth_utilization", kPercent, 0);
  return row + bound_cell(report, phase);
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
  std::string head = heading("GPU", "", "", false) + heading("Fits", "", "", false);
  if (serving) {
    head += heading("Context × batch", "", "longest context with that many sequences at once") +
            heading("TTFT", "ms", "time to first token") + heading("TPOT", "ms", "time per output token") +
            heading("Tokens/s", "per GPU", "output tokens in steady state") +
            heading("$", "per Mtok", "rent over output tokens") +
            heading("J", "per token", "energy of an output token");
  } else {
    head += heading("Time", "ms", "one iteration") + heading("Tokens/s", "", "") +
            heading("Work", "TFLOP", "matrix operations") + heading("Matrix", "% of peak", "") +
            heading("Bandwidth", "% of peak", "");
  }
  head +=
      heading("Bound by", "", "what bounds most of the time", false) + heading("Checked on", "", "", false);
  const size_t columns = serving ? 10 : 9;
  double largest =
      largest_of(report, serving ? "/tokens_per_second_per_device/value" : "/" + mode + "/tokens_per_second");
  std::string rows;
  for (size_t i = 0; i < report.size("/devices"); ++i) {
    std::string at = device_at(i);
    if (report.value(at + "/memory/short_bytes") > 0) {
      rows += refusal(report, at, columns);
      continue;
    }
    rows +=
        "<tr>" + (serving ? serving_row(report, at, largest) : single_mode_row(report, at, mode, largest));
    std::string level = report.raw(at + "/checked_on");
    rows += sortable(level == "models"    ? 2
                     : level == "kernels" ? 1
                                          : 0,
                     checked_badge(level, report.flag(at + "/measured_in_weights")), "");
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
      "<section id=\"devices\">\n<h2>The GPUs, side by side</h2>\n<div class=\"scroll\" role=\"region\" "
      "tabindex=\"0\" "
      "aria-label=\"GPUs side by side\">\n<table class=\"sortable decision\">\n<thead><tr>" +
      head + "</tr></thead>\n<tbody>\n" + rows + "</tbody>\n</table>\n</div>\n";
  out += "<p class=\"note\">± spans the band that the forecast is meant to stay in.</p>\n";
  if (!notes.empty())
    out += "<details class=\"notes\" open><summary>Notes on single GPUs</summary>\n<ul>\n" + notes +
           "</ul></details>\n";
  return out + "</section>\n";
}

std::string trust_section(const ShownJson& report, const ShownJson& validation) {
  std::string out =
      "<section id=\"trust\">\n<h2>Predicted against measured</h2>\n<p>How far forecasts were from "
      "measurements on GPUs of the same "
      "class. A GPU that was left out of the fit was predicted without any of its own rows.</p>\n<div "
      "class=\"cards\">\n";
  std::set<std::string> seen;
  for (size_t i = 0; i < report.size("/devices"); ++i) {
    std::string architecture = report.raw(device_at(i) + "/device/architecture");
    if (architecture.empty()) architecture = report.raw(device_at(i) + "/device/title");
    if (!seen.insert(architecture).second) continue;
    std::string members;
    for (size_t d = 0; d < report.size("/devices"); ++d) {
      if (report.raw(device_at(d) + "/device/architecture") == architecture) {
        members += (members.empty() ? "" : ", ") + report.text(device_at(d) + "/device/title");
      }
    }
    std::string rows;
    for (size_t s = 0; s < validation.size("/series"); ++s) {
      std::string at = fmt::format("/series/{}", s);
      if (validation.raw(at + "/architecture") != architecture) continue;
      auto percent = [&](const char* field) {
        return "<td class=\"num\">" + validation.number(at + field, kPercent, 1) + "</td>";
      };
      rows += "<tr><th scope=\"row\">" + validation.text(at + "/what") + "<small>" +
              validation.text(at + "/device") + ", " + validation.text(at + "/held_out") +
              "</small></th><td class=\"num\">" + validation.number(at + "/rows", 1, 0) + "</td>" +
              percent("/mean_error") + percent("/median_error") + percent("/bias") + percent("/coverage") +
              "</tr>\n";
    }
    if (rows.empty()) {
      out += "<article class=\"card unknown\"><h3>" + escape(architecture) + "</h3><p>" + members +
             "</p><p>Nothing was measured on this class of GPU. Its figures carry over from other classes; "
             "trust the bands, not the "
             "middle.</p></article>\n";
      continue;
    }
    out += "<article class=\"card\"><h3>" + escape(architecture) + "</h3><p>" + members +
           "</p>\n<div class=\"chart square\"><canvas " + "data-chart=\"validation\" data-architecture=\"" +
           escape(architecture) +
           "\" role=\"img\" aria-label=\"Predicted time over "
           "measured time, " +
           escape(architecture) +
           "; the numbers stand in the table below\"></canvas></div>\n"
           "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Errors on " +
           escape(architecture) +
           "\"><table>\n"
           "<thead><tr><th scope=\"col\">Rows of</th><th scope=\"col\" class=\"num\">Rows</th><th "
           "scope=\"col\" class=\"num\">Mean "
           "<span class=\"unit\">%</span></th><th scope=\"col\" class=\"num\">Median <span "
           "class=\"unit\">%</span></th><th scope=\"col\" "
           "class=\"num\">Bias <span class=\"unit\">%</span></th><th scope=\"col\" class=\"num\">In band "
           "<span class=\"unit\">%</span>"
           "</th></tr></thead>\n<tbody>\n" +
           rows + "</tbody></table></div></article>\n";
  }
  return out + "</div>\n</section>\n";
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
