// Predicted against measured, for each class of GPU that the report speaks of.
#include <fmt/format.h>

#include <vector>

#include "orrery/report/latency_html_sections.h"

namespace orrery::report {
namespace {

constexpr double kPercent = 100;
constexpr size_t kColours =
    10;  // --s1 to --s10 of page/report.css, in the order that page/latency.js draws in

// A GPU class of the report: its name, and its devices as text.
struct DeviceClass {
  std::string name, members;
};

std::vector<DeviceClass> classes_of(const ShownJson& report) {
  std::vector<DeviceClass> classes;
  for (size_t d = 0; d < report.size("/devices"); ++d) {
    std::string at = fmt::format("/devices/{}/device", d);
    std::string name = report.raw(at + "/architecture");
    if (name.empty()) name = report.raw(at + "/title");
    size_t c = 0;
    while (c < classes.size() && classes[c].name != name) ++c;
    if (c == classes.size()) classes.push_back({name, ""});
    classes[c].members += (classes[c].members.empty() ? "" : ", ") + report.text(at + "/title");
  }
  return classes;
}

// The rows of a class, each with the colour of its dots; "" where nothing was measured.
std::string series_rows(const ShownJson& validation, const std::string& architecture) {
  std::string rows;
  size_t drawn = 0;
  for (size_t s = 0; s < validation.size("/series"); ++s) {
    std::string at = fmt::format("/series/{}", s);
    if (validation.raw(at + "/architecture") != architecture) continue;
    auto percent = [&](const char* field) {
      return "<td class=\"num\">" + validation.number(at + field, kPercent, 1) + "</td>";
    };
    rows += fmt::format(
        "<tr><th scope=\"row\"><i class=\"swatch\" style=\"background:var(--s{})\"></i>{}<small>{}, "
        "{}</small></th>"
        "<td class=\"num\">{}</td>",
        drawn++ % kColours + 1, validation.text(at + "/what"), validation.text(at + "/device"),
        validation.text(at + "/held_out"), validation.number(at + "/rows", 1, 0));
    rows += percent("/mean_error") + percent("/median_error") + percent("/bias") + percent("/coverage") +
            "</tr>\n";
  }
  return rows;
}

std::string card(const DeviceClass& device_class, const std::string& rows) {
  std::string name = escape(device_class.name);
  return "<article class=\"card\"><h3>" + name + "</h3><p>" + device_class.members +
         "</p>\n<div class=\"chart square\"><canvas data-chart=\"validation\" data-architecture=\"" + name +
         "\" role=\"img\" aria-label=\"Predicted over measured time, " + name +
         "; the errors stand in the table below\"></canvas></div>\n<div class=\"scroll\" role=\"region\" "
         "tabindex=\"0\" "
         "aria-label=\"Errors on " +
         name +
         "\"><table>\n<thead><tr><th scope=\"col\">Rows of</th>"
         "<th scope=\"col\" class=\"num\">Rows</th><th scope=\"col\" class=\"num\">Mean <span "
         "class=\"unit\">%</span></th>"
         "<th scope=\"col\" class=\"num\">Median <span class=\"unit\">%</span></th>"
         "<th scope=\"col\" class=\"num\">Bias <span class=\"unit\">%</span></th>"
         "<th scope=\"col\" class=\"num\">In band <span "
         "class=\"unit\">%</span></th></tr></thead>\n<tbody>\n" +
         rows + "</tbody></table></div></article>\n";
}

}  // namespace

std::string trust_section(const ShownJson& report, const ShownJson& validation) {
  std::string out =
      "<section id=\"trust\">\n<h2>Predicted against measured</h2>\n<p>How far forecasts were from "
      "measurements on GPUs of the same "
      "class: a dot is one measurement, the line through it the band of its forecast. A GPU that was left "
      "out of the fit was predicted "
      "without any of its own rows.</p>\n<div class=\"cards\">\n";
  std::string unknown;
  for (const DeviceClass& device_class : classes_of(report)) {
    std::string rows = series_rows(validation, device_class.name);
    if (!rows.empty()) {
      out += card(device_class, rows);
    } else {
      unknown +=
          "<div><dt>" + escape(device_class.name) + "</dt><dd>" + device_class.members + "</dd></div>\n";
    }
  }
  if (!unknown.empty()) {
    out +=
        "<article class=\"card unknown\"><h3>Nothing was measured on these</h3><p>Their figures carry over "
        "from other classes of GPU: "
        "go by the bands, not by their middle.</p>\n<dl class=\"facts\">\n" +
        unknown + "</dl></article>\n";
  }
  return out + "</div>\n</section>\n";
}

}  // namespace orrery::report
