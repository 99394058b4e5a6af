#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orrery/report/accelerator_report.h"
#include "orrery/report/html.h"

namespace orrery::report {
namespace {

constexpr double kPercent = 100, kMilli = 1e3;

std::string at(const std::string& list, size_t index) {
  return fmt::format("{}/{}", list, index);
}

std::string canvas(const char* chart, const std::string& label, const std::string& more, const char* shape,
                   size_t pixels = 0) {
  std::string height = pixels ? fmt::format(" style=\"height:{}px\"", pixels) : std::string();
  return fmt::format(
      "<div class=\"chart {}\"{}><canvas data-chart=\"{}\" {} role=\"img\" aria-label=\"{}; the numbers "
      "stand in the "
      "table below\"></canvas></div>\n",
      shape, height, chart, more, escape(label));
}

std::string numbers(const std::string& summary, const std::string& head, const std::string& rows) {
  return "<details class=\"numbers\" open><summary>" + summary +
         "</summary>\n<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"" + summary +
         "\">\n<table>\n<thead><tr>" + head + "</tr></thead>\n<tbody>\n" + rows +
         "</tbody></table>\n</div></details>\n";
}

struct Figure {
  const char *field, *name, *unit;
  double scale;
};
constexpr Figure kFigures[] = {{"objective", "Objective", "", 1},
                               {"core_area_mm2", "Cores", "mm²", 1},
                               {"chip_area_mm2", "Chip", "mm²", 1},
                               {"tdp_W", "TDP", "W", 1}};
constexpr Figure kLoadFigures[] = {{"throughput_per_s", "Rate", "samples/s", 1},
                                   {"makespan_s", "Pass", "ms", kMilli},
                                   {"shared_dram_makespan_s", "DRAM shared", "ms", kMilli},
                                   {"average_power_W", "Average", "W", 1}};

std::string heading(const Figure& f) {
  return fmt::format("<th scope=\"col\" class=\"num\">{}{}</th>", f.name,
                     *f.unit ? fmt::format(" <span class=\"unit\">{}</span>", f.unit) : std::string());
}

std::string cell(const ShownJson& report, const std::string& pointer, const Figure& f) {
  double value = report.value(pointer);
  return fmt::format("<td class=\"num\" data-label=\"{}{}{}\"{}>{}</td>", f.name, *f.unit ? " " : "", f.unit,
                     std::isfinite(value) ? fmt::format(" data-sort=\"{}\"", value) : std::string(),
                     report.number(pointer, f.scale));
}

// The designs of a list as rows; of several workloads the first's figures stand here, all in the JSON.
std::string design_row(const ShownJson& report, const std::string& pointer, const std::string& remark) {
  std::string name = report.text(pointer + "/name");
  std::string row = "<tr><th scope=\"row\" data-sort=\"" + name + "\">" + name +
                    (remark.empty() ? "" : "<small>" + escape(remark) + "</small>") + "</th>";
  for (const Figure& f : kFigures) row += cell(report, pointer + "/" + f.field, f);
  for (const Figure& f : kLoadFigures) row += cell(report, pointer + "/workloads/0/" + f.field, f);
  return row + "</tr>\n";
}

std::string design_head() {
  std::string head = "<th scope=\"col\">Design</th>";
  for (const Figure& f : kFigures) head += heading(f);
  for (const Figure& f : kLoadFigures) head += heading(f);
  return head;
}

std::string header_section(const ShownJson& report) {
  std::string loads;
  for (size_t i = 0; i < report.size("/workloads"); ++i)
    loads += (i ? ", " : "") + report.text(at("/workloads", i) + "/name");
  std::string out = "<header>\n<p class=\"eyebrow\">Orrery · an accelerator for " + loads + "</p>\n<h1>" +
                    report.text("/verdict") + "</h1>\n<p class=\"subject\">" +
                    report.number("/space_designs", 1, 0) + " designs in the grid; limits " +
                    report.number("/limits/area_mm2") + " mm² of " + report.text("/limits/of") + ", " +
                    report.number("/limits/power_W") + " W</p>\n";
  if (report.known("/best")) {
    out += "<p class=\"verdict\">" + report.number("/best/core_area_mm2") + " mm² of cores, " +
           report.number("/best/chip_area_mm2") + " mm² of chip, " + report.number("/best/tdp_W") + " W, " +
           report.number("/best/workloads/0/throughput_per_s") + " samples a second";
    if (report.known("/reference"))
      out += "; the reference " + report.text("/reference/name") + " has " +
             report.number("/reference/workloads/0/throughput_per_s") + " at " +
             report.number("/reference/tdp_W") + " W";
    out += ".</p>\n<p>Bound by " + report.text("/bound_by") + ".</p>\n";
  }
  out += "<p><strong>Certificate.</strong> " + report.text("/certificate") + "</p>\n";
  return out + "</header>\n";
}

std::string shortfalls_section(const ShownJson& report) {
  if (report.known("/best") || report.size("/shortfalls") == 0) return {};
  std::string items;
  for (size_t i = 0; i < report.size("/shortfalls"); ++i) {
    std::string p = at("/shortfalls", i);
    items += "<li>" + report.text(p + "/where") + ": " + report.text(p + "/constraint") + " needs " +
             report.number(p + "/needed") + " " + report.text(p + "/unit") + ", " +
             report.number(p + "/available") + " are there</li>\n";
  }
  return "<section id=\"shortfalls\">\n<h2>What is missing</h2>\n<ul>" + items + "</ul>\n</section>\n";
}

std::string designs_section(const ShownJson& report) {
  std::string rows;
  for (size_t i = 0; i < report.size("/top"); ++i)
    rows += design_row(report, at("/top", i), i == 0 ? "this plan" : "");
  if (report.known("/reference")) rows += design_row(report, "/reference", "the reference");
  return "<section id=\"designs\">\n<h2>The best designs</h2>\n<p>Matrix cores, columns × rows, vector "
         "cores, lanes, "
         "global buffer.</p>\n<div class=\"scroll stacks\" role=\"region\" tabindex=\"0\" aria-label=\"The "
         "best "
         "designs\">\n<table class=\"decision sortable\">\n<thead><tr>" +
         design_head() + "</tr></thead>\n<tbody>\n" + rows + "</tbody></table></div>\n</section>\n";
}

std::string front_section(const ShownJson& report) {
  if (report.size("/front") == 0) return {};
  std::string rows;
  for (size_t i = 0; i < report.size("/front"); ++i) rows += design_row(report, at("/front", i), "");
  return "<section id=\"front\">\n<h2>Pareto front</h2>\n<p>No other design beats one of these in "
         "throughput, power, "
         "area and energy at once. A larger mark has more area.</p>\n" +
         canvas("front", "Throughput against thermal design power of the designs on the front", "", "tall") +
         numbers("The front in numbers", design_head(), rows) + "</section>\n";
}

std::string binds_section(const ShownJson& report) {
  if (!report.known("/best")) return {};
  std::string rows;
  constexpr const char* kParts[] = {"matrix cores", "vector cores", "global buffer", "DRAM", "links"};
  for (size_t w = 0; w < report.size("/best/workloads"); ++w) {
    std::string p = at("/best/workloads", w);
    rows += "<tr><th scope=\"row\">" + report.text(at("/workloads", w) + "/name") + "</th>";
    for (const char* part : kParts)
      rows += "<td class=\"num\">" + report.number(p + "/critical_path_by_s/" + part, kMilli) + "</td>";
    rows += "<td class=\"num\">" + report.number(p + "/critical_path_s", kMilli) + "</td><td class=\"num\">" +
            report.number(p + "/makespan_s", kMilli) + "</td><td class=\"num\">" +
            report.number(p + "/shared_dram_makespan_s", kMilli) + "</td></tr>\n";
  }
  std::string head = "<th scope=\"col\">Workload</th>";
  for (const char* part : kParts)
    head += fmt::format("<th scope=\"col\" class=\"num\">{} <span class=\"unit\">ms</span></th>", part);
  head +=
      "<th scope=\"col\" class=\"num\">critical path <span class=\"unit\">ms</span></th><th scope=\"col\" "
      "class=\"num\">schedule <span class=\"unit\">ms</span></th><th scope=\"col\" "
      "class=\"num\">with DRAM shared <span class=\"unit\">ms</span></th>";
  return "<section id=\"binds\">\n<h2>What binds</h2>\n<p>What the operators of the critical path wait for. "
         "On any "
         "number of such cores a pass takes at least the critical path. The search gives each core all of "
         "DRAM; with DRAM shared, operators that run at once divide it.</p>\n" +
         canvas("binds", "Seconds of the critical path by what bounds them", "", "") +
         numbers("The critical path in numbers", head, rows) + "</section>\n";
}

// Lanes and how busy they are; the chart draws each operator.
std::string timeline_section(const ShownJson& report) {
  constexpr size_t kLanePixels = 30, kAxisPixels = 60;
  std::string out;
  for (size_t w = 0; w < report.size("/schedules"); ++w) {
    std::string p = at("/schedules", w);
    size_t lanes = static_cast<size_t>(report.value("/best/point/matrix_cores") +
                                       report.value("/best/point/vector_cores"));
    double span = report.value(at("/best/workloads", w) + "/makespan_s");
    std::string name = report.text(p + "/workload"), rows;
    struct Busy {
      double seconds = 0;
      size_t operators = 0;
    };
    for (const char* kind : {"matrix", "vector"}) {
      std::vector<Busy> cores(static_cast<size_t>(report.value(fmt::format("/best/point/{}_cores", kind))));
      for (size_t i = 0; i < report.size(p + "/operators"); ++i) {
        std::string op = at(p + "/operators", i);
        double core = report.value(fmt::format("{}/{}_core", op, kind));
        if (!(core >= 0) || core >= static_cast<double>(cores.size())) continue;
        Busy& busy = cores[static_cast<size_t>(core)];
        busy.seconds += report.value(op + "/duration_s");
        ++busy.operators;
      }
      for (size_t c = 0; c < cores.size(); ++c)
        rows += fmt::format(
            "<tr><th scope=\"row\">{} core {}</th><td class=\"num\">{}</td><td class=\"num\">{}</td></tr>\n",
            kind, c, cores[c].operators, show(kPercent * cores[c].seconds / span, 1));
    }
    out +=
        "<h3>" + name + "</h3>\n" +
        canvas("cores", "Operators of " + name + " on every core over time",
               fmt::format("data-workload=\"{}\"", w), "", lanes * kLanePixels + kAxisPixels) +
        canvas("cores", "Its first twentieth", fmt::format("data-workload=\"{}\" data-share=\"0.05\"", w), "",
               lanes * kLanePixels + kAxisPixels) +
        numbers("How busy each core is",
                "<th scope=\"col\">Core</th><th scope=\"col\" class=\"num\">Operators</th><th scope=\"col\" "
                "class=\"num\">Busy <span class=\"unit\">%</span></th>",
                rows);
  }
  if (out.empty()) return {};
  return "<section id=\"timeline\">\n<h2>Timeline of the cores</h2>\n<p>Every operator of a pass on the core "
         "that runs "
         "it, and the first twentieth of the pass closer. Dark: on the critical path.</p>\n" +
         out + "</section>\n";
}

std::string next_section(const ShownJson& report) {
  if (report.size("/next_steps") == 0) return {};
  std::string rows;
  for (size_t i = 0; i < report.size("/next_steps"); ++i) {
    std::string p = at("/next_steps", i);
    rows += "<tr><th scope=\"row\">" + report.text(p + "/change") + "</th><td class=\"num\">" +
            report.number(p + "/gain", kPercent, 1) + "</td><td>" +
            (!report.flag(p + "/within_limits") ? "over a limit"
             : !report.flag(p + "/in_space")    ? "outside the grid"
                                                : "") +
            "</td></tr>\n";
  }
  return "<section id=\"next\">\n<h2>What a next step would bring</h2>\n<div class=\"scroll\" "
         "role=\"region\" "
         "tabindex=\"0\" aria-label=\"Next steps\">\n<table>\n<thead><tr><th scope=\"col\">Change</th><th "
         "scope=\"col\" class=\"num\">Objective <span class=\"unit\">%</span></th><th "
         "scope=\"col\">Remark</th></tr>"
         "</thead>\n<tbody>\n" +
         rows + "</tbody></table></div>\n</section>\n";
}

std::string sensitivity_section(const ShownJson& report) {
  if (report.size("/sensitivity") == 0) return {};
  const bool reference = report.known("/reference");
  std::string rows, head =
                        "<th scope=\"col\">Parameter</th><th scope=\"col\" class=\"num\">times</th><th "
                        "scope=\"col\">Best then</th><th scope=\"col\" class=\"num\">Loss of this plan <span "
                        "class=\"unit\">%</span></th>";
  if (reference) head += "<th scope=\"col\" class=\"num\">Over the reference</th>";
  for (size_t i = 0; i < report.size("/sensitivity"); ++i) {
    std::string p = at("/sensitivity", i);
    rows += "<tr><th scope=\"row\">" + report.text(p + "/parameter") + "</th><td class=\"num\">" +
            report.number(p + "/factor", 1, 1) + "</td><td>" +
            (report.flag(p + "/same") ? "the same" : report.text(p + "/name")) + "</td><td class=\"num\">" +
            report.number(p + "/loss", kPercent, 2) + "</td>";
    if (reference) rows += "<td class=\"num\">" + report.number(p + "/gain_over_reference", 1, 3) + "</td>";
    rows += "</tr>\n";
  }
  return "<section id=\"sensitivity\">\n<h2>Does it stay the best?</h2>\n<p>The plan " +
         report.text("/sensitivity_verdict") + ".</p>\n" + numbers("Each change in numbers", head, rows) +
         "</section>\n";
}

std::string sources_section(const ShownJson& report, const AcceleratorHtmlOptions& options) {
  std::string out =
      "<section id=\"sources\">\n<h2>Assumptions, sources, and how to get it again</h2>\n<dl "
      "class=\"facts\"><div><dt>"
      "Search</dt><dd>" +
      report.text("/search/name") + ", " + report.number("/work/evaluations", 1, 0) +
      " designs scheduled in " + report.number("/run/search_seconds") +
      " s</dd></div><div><dt>Orrery</dt><dd>" + report.text("/program/version") +
      "</dd></div><div><dt>Made</dt><dd>" + report.text("/run/date") +
      "</dd></div></dl>\n<ul>\n<li>Area by the law of "
      "Accelergy and CACTI at 22 nm; uncore as the base chip's, apart from the cores.</li>\n<li>Power: "
      "everything busy "
      "at once; its dynamic part times " +
      report.number("/power_calibration") + " (" + report.text("/study/calibrate") +
      "). Average power is energy over time.</li>\n<li>Cycles by folds of the array, docs/wham.md; the "
      "schedule is "
      "greedy by latest start, each operator on one core of a kind.</li>\n";
  for (size_t i = 0; i < report.size("/notes"); ++i) out += "<li>" + report.text(at("/notes", i)) + "</li>\n";
  out += "</ul>\n<h3>Again</h3>\n<div class=\"command\"><pre tabindex=\"0\"><code id=\"command\">" +
         report.text("/command") + "</code></pre></div>\n";
  if (!options.files.empty()) {
    std::string links;
    for (const std::string& file : options.files)
      links += (links.empty() ? "" : ", ") + ("<a href=\"" + escape(file) + "\">" + escape(file) + "</a>");
    out += "<p>Beside this page: " + links + ".</p>\n";
  }
  return out + "<p class=\"note\">Charts by Chart.js (MIT licence), built in.</p>\n</section>\n";
}

}  // namespace

std::string accelerator_html(const AcceleratorReport& report, const RunInfo& run,
                             const AcceleratorHtmlOptions& options) {
  std::string json = accelerator_json(report, run, -1);
  ShownJson shown(json);
  PageParts parts;
  parts.title = "Orrery accelerator plan";
  parts.body = "<a class=\"skip\" href=\"#designs\">Skip to the table</a>\n" + header_section(shown) +
               "<main>\n" + shortfalls_section(shown) + designs_section(shown) + front_section(shown) +
               binds_section(shown) + timeline_section(shown) + next_section(shown) +
               sensitivity_section(shown) + sources_section(shown, options) + "</main>\n";
  parts.data = {{"report", std::move(json)}};
  parts.styles = {asset("report.css")};
  parts.scripts = {asset("chart.js"), asset("report.js"), asset("accelerator.js")};
  return page(parts);
}

}  // namespace orrery::report
