#include "orrery/report/experts_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orrery/report/experts_page_json.h"
#include "orrery/report/html.h"

namespace orrery::report {
namespace {

constexpr double kPercent = 100, kMega = 1e-6, kGiga = 1e-9, kMilli = 1e3;

std::string at(const char* list, size_t index) {
  return fmt::format("/{}/{}", list, index);
}

// A figure of a map: which field, how it is shown, what it means.
struct Figure {
  const char *field, *name, *unit, *explained;
  double scale;
  int decimals;
  bool less_is_better;
};
constexpr Figure kFigures[] = {
    {"max_over_mean_load", "Load, max/mean", "", "largest GPU load over the mean, mean of layers; 1 is even",
     1, 3, true},
    {"worst_max_over_mean_load", "Worst layer", "max/mean", "the layer with the most uneven load", 1, 3,
     true},
    {"balancedness", "Balancedness", "mean", "mean over largest GPU load of each step and layer; 1 is even",
     1, 3, false},
    {"balancedness_p95", "Balancedness", "95 % reach", "19 of 20 steps and layers are at least so even", 1, 3,
     false},
    {"cross_gpu_fraction", "Leaves its GPU", "%", "share of what tokens do that crosses GPUs", kPercent, 1,
     true},
    {"cross_node_fraction", "Leaves its node", "%", "share that crosses nodes", kPercent, 1, true},
    {"all_to_all_bytes", "All-to-all", "MB", "of all recorded tokens, by replay", kMega, kSignificant, true},
    {"busiest_port_bytes", "Busiest GPU", "MB", "what the busiest GPU sends or receives", kMega, kSignificant,
     true},
    {"step_s", "Expert layers", "ms", "predicted time of a step, expert layers and all-to-all", kMilli,
     kSignificant, true},
    {"moved_bytes", "To move", "GB", "expert weights to fetch from today's map", kGiga, kSignificant, true}};

std::string heading(const Figure& figure) {
  return fmt::format(
      "<th scope=\"col\" class=\"num\" title=\"{}\">{}{}</th>", figure.explained, figure.name,
      *figure.unit ? fmt::format(" <span class=\"unit\">{}</span>", figure.unit) : std::string());
}

// Columns that hold a number in any row: a page does not show what nothing is known of.
std::vector<Figure> known_figures(const ShownJson& report, const char* list) {
  std::vector<Figure> known;
  for (const Figure& figure : kFigures) {
    for (size_t i = 0; i < report.size(std::string("/") + list); ++i) {
      if (!report.known(at(list, i) + "/" + figure.field)) continue;
      known.push_back(figure);
      break;
    }
  }
  return known;
}

double best_of(const ShownJson& report, const char* list, const Figure& figure) {
  double best = NAN;
  for (size_t i = 0; i < report.size(std::string("/") + list); ++i) {
    double value = report.value(at(list, i) + "/" + figure.field);
    if (std::isfinite(value) &&
        (!std::isfinite(best) || (figure.less_is_better ? value < best : value > best)))
      best = value;
  }
  return best;
}

std::string figure_cell(const ShownJson& report, const char* list, size_t index, const Figure& figure) {
  std::string pointer = at(list, index) + "/" + figure.field;
  double value = report.value(pointer);
  bool best = std::isfinite(value) && value == best_of(report, list, figure);
  return fmt::format("<td class=\"num{}\" data-label=\"{}{}{}\"{}>{}</td>", best ? " good" : "", figure.name,
                     *figure.unit ? " " : "", figure.unit,
                     std::isfinite(value) ? fmt::format(" data-sort=\"{}\"", value) : std::string(),
                     report.number(pointer, figure.scale, figure.decimals));
}

std::string header_section(const ShownJson& report) {
  std::string top_k =
      report.value("/routing/top_k") > 0 ? ", top-" + report.number("/routing/top_k", 1, 0) : std::string();
  std::string out = "<header>\n<p class=\"eyebrow\">Orrery · experts on GPUs</p>\n<h1>" +
                    report.text("/routing/model") + "</h1>\n";
  out += "<p class=\"subject\">" + report.number("/routing/layers", 1, 0) + " expert layers of " +
         report.number("/routing/experts", 1, 0) + " experts" + top_k + ", on " +
         report.number("/cluster/gpus", 1, 0) + " GPUs (" + report.text("/cluster/name") + "), " +
         report.number("/slots", 1, 0) + " slots a layer, dispatch “" + report.text("/dispatch") +
         "”; routing of " +
         (report.value("/routing/tokens") > 0 ? report.number("/routing/tokens", 1, 0) + " tokens"
                                              : std::string("counts only")) +
         "</p>\n<p class=\"verdict\">" + report.text("/verdict") + "</p>\n";
  for (size_t i = 0; i < report.size("/warnings"); ++i)
    out += "<p class=\"warning\"><strong>Warning:</strong> " + report.text(at("warnings", i)) + "</p>\n";
  return out + "</header>\n";
}

std::string plans_section(const ShownJson& report) {
  std::vector<Figure> figures = known_figures(report, "candidates");
  std::string head = "<th scope=\"col\">Map</th>", rows;
  for (const Figure& figure : figures) head += heading(figure);
  for (size_t i = 0; i < report.size("/candidates"); ++i) {
    std::string pointer = at("candidates", i), name = report.text(pointer + "/name");
    rows += "<tr><th scope=\"row\" data-sort=\"" + name + "\">" + name + "<small>" +
            report.text(pointer + "/title") + (report.flag(pointer + "/today") ? " · runs today" : "") +
            "</small></th>";
    for (const Figure& figure : figures) rows += figure_cell(report, "candidates", i, figure);
    rows += "</tr>\n";
  }
  return "<section id=\"plans\">\n<h2>The plan beside the others</h2>\n<p>All judged alike, on the same "
         "routing. The best of each column "
         "is green.</p>\n<div class=\"scroll stacks\" role=\"region\" tabindex=\"0\" aria-label=\"The plan "
         "beside the others\">\n"
         "<table class=\"decision sortable\">\n<thead><tr>" +
         head + "</tr></thead>\n<tbody>\n" + rows + "</tbody></table></div>\n</section>\n";
}

std::string canvas(const char* chart, const std::string& label, const std::string& more, const char* shape,
                   size_t rows = 0) {
  constexpr size_t kRowPixels = 14, kAxisPixels = 90, kLeastPixels = 200, kMostPixels = 620;
  std::string height =
      rows ? fmt::format(" style=\"height:{}px\"",
                         std::clamp(rows * kRowPixels + kAxisPixels, kLeastPixels, kMostPixels))
           : std::string();
  return fmt::format(
      "<div class=\"chart {}\"{}><canvas data-chart=\"{}\" {} role=\"img\" aria-label=\"{}; the numbers "
      "stand in the table "
      "below\"></canvas></div>\n",
      shape, height, chart, more, escape(label));
}

std::string numbers(const std::string& summary, const std::string& head, const std::string& rows) {
  return "<details class=\"numbers\" open><summary>" + summary +
         "</summary>\n<div class=\"scroll\" role=\"region\" tabindex=\"0\" "
         "aria-label=\"" +
         summary + "\">\n<table>\n<thead><tr>" + head + "</tr></thead>\n<tbody>\n" + rows +
         "</tbody></table>\n</div></details>\n";
}

// The map to compare the plan with: today's where it is known, else the contiguous one, else the second.
size_t compared(const ShownJson& report) {
  size_t count = report.size("/candidates"), contiguous = std::min<size_t>(1, count ? count - 1 : 0);
  for (size_t i = 0; i < count; ++i) {
    if (report.flag(at("candidates", i) + "/today")) return i;
    if (report.raw(at("candidates", i) + "/name") == "contiguous") contiguous = i;
  }
  return contiguous;
}

// The largest entry of a layer's row and which GPU holds it.
struct Peak {
  size_t gpu = 0;
  double value = NAN, mean = 0;
};
Peak peak(const ShownJson& report, const std::string& row) {
  Peak result;
  size_t count = report.size(row);
  for (size_t gpu = 0; gpu < count; ++gpu) {
    double value = report.value(fmt::format("{}/{}", row, gpu));
    result.mean += value / static_cast<double>(count);
    if (!std::isfinite(result.value) || value > result.value) {
      result.value = value;
      result.gpu = gpu;
    }
  }
  return result;
}

std::string heat_section(const ShownJson& report, const char* id, const char* field, const char* title,
                         const char* text, double scale, const char* unit) {
  size_t shown[] = {0, compared(report)};
  size_t kinds = shown[0] == shown[1] ? 1 : 2;
  std::string maps, head = "<th scope=\"col\">Layer</th>", rows;
  for (size_t k = 0; k < kinds; ++k) {
    std::string pointer = at("candidates", shown[k]), name = report.text(pointer + "/name");
    if (report.size(pointer + "/" + field) == 0) return {};
    maps += "<div><h3>" + name + "</h3>\n" +
            canvas("heat", fmt::format("{}: {} of {}", title, unit, name),
                   fmt::format("data-field=\"{}\" data-candidate=\"{}\"", field, shown[k]), "",
                   report.size(pointer + "/" + field)) +
            "</div>\n";
    head += fmt::format(
        "<th scope=\"col\" class=\"num\">{}: busiest GPU</th><th scope=\"col\" class=\"num\">{}</th>"
        "<th scope=\"col\" class=\"num\">over the mean</th>",
        name, unit);
  }
  for (size_t layer = 0; layer < report.size(at("candidates", 0) + "/" + field); ++layer) {
    rows +=
        "<tr><th scope=\"row\">" + report.number(fmt::format("/routing/layer_ids/{}", layer), 1, 0) + "</th>";
    for (size_t k = 0; k < kinds; ++k) {
      std::string row = fmt::format("{}/{}/{}", at("candidates", shown[k]), field, layer);
      Peak most = peak(report, row);
      rows += fmt::format("<td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>",
                          most.gpu, report.number(fmt::format("{}/{}", row, most.gpu), scale),
                          most.mean > 0 ? show(most.value / most.mean, 2) : "–");
    }
    rows += "</tr>\n";
  }
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n<p>{}</p>\n<div class=\"pair\">\n{}</div>\n", id,
                     title, text, maps) +
         numbers("The busiest GPU of each layer", head, rows) + "</section>\n";
}

std::string bound_section(const ShownJson& report) {
  std::string out = "<section id=\"bound\">\n<h2>How far from the best possible</h2>\n<p>" +
                    report.text("/objective_name") + ": " + report.number("/objective", 1, 4) +
                    " in the plan";
  if (report.known("/lower_bound")) {
    out += "; no map can be below " + report.number("/lower_bound", 1, 4) + ", so at most " +
           report.number("/gap", kPercent, 1) + " % is left. Proven over " + report.text("/proven_over");
  }
  out += ". The search stopped: " + report.text("/stopped_because") + ".</p>\n";
  if (report.size("/progress") < 2) return out + "</section>\n";
  std::string rows;
  for (size_t i = 0; i < report.size("/progress"); ++i) {
    std::string pointer = at("progress", i);
    rows += "<tr><td class=\"num\">" + report.number(pointer + "/seconds", 1, 2) + "</td><td class=\"num\">" +
            report.number(pointer + "/objective", 1, 4) + "</td><td class=\"num\">" +
            report.number(pointer + "/bound", 1, 4) + "</td></tr>\n";
  }
  return out + canvas("gap", "The plan and its bound over time", "", "") +
         numbers("The search in numbers",
                 "<th scope=\"col\" class=\"num\">Time <span class=\"unit\">s</span></th><th scope=\"col\" "
                 "class=\"num\">Plan</th>"
                 "<th scope=\"col\" class=\"num\">Bound</th>",
                 rows) +
         "</section>\n";
}

// Of the row that `pointer` leads to.
std::string cells(const ShownJson& report, const std::string& pointer, const std::vector<Figure>& figures) {
  std::string row;
  for (const Figure& figure : figures)
    row += "<td class=\"num\">" + report.number(pointer + "/" + figure.field, figure.scale, figure.decimals) +
           "</td>";
  return row;
}

std::string sensitivity_section(const ShownJson& report) {
  if (report.size("/sensitivity") == 0) return {};
  std::vector<Figure> figures = known_figures(report, "sensitivity");
  std::string head = "<th scope=\"col\">Setting</th>", rows;
  for (const Figure& figure : figures) head += heading(figure);
  for (size_t i = 0; i < report.size("/sensitivity"); ++i) {
    std::string pointer = at("sensitivity", i);
    rows += "<tr><th scope=\"row\">" + report.text(pointer + "/setting") + " " +
            report.number(pointer + "/value") +
            (report.flag(pointer + "/chosen") ? "<small>this plan</small>" : "") + "</th>";
    rows += cells(report, pointer, figures) + "</tr>\n";
  }
  return "<section id=\"sensitivity\">\n<h2>What a looser cap or faster links would change</h2>\n<p>Balance "
         "is paid for with traffic: each "
         "row is a plan, or its time, with one setting changed.</p>\n" +
         canvas("sensitivity", "Balance against traffic", "", "") +
         numbers("The settings in numbers", head, rows) + "</section>\n";
}

std::string transfer_section(const ShownJson& report) {
  if (report.size("/transfer") == 0) return {};
  std::string rows;
  bool crossings = false;
  for (size_t i = 0; i < report.size("/transfer"); ++i)
    crossings = crossings || report.known(at("transfer", i) + "/cross_gpu_fraction");
  for (size_t i = 0; i < report.size("/transfer"); ++i) {
    std::string pointer = at("transfer", i);
    bool worse = report.value(pointer + "/max_over_mean_load") >
                 report.value(pointer + "/contiguous_max_over_mean_load");
    rows += "<tr><th scope=\"row\">" + report.text(pointer + "/made_on") + "</th><td>" +
            report.text(pointer + "/judged_on") +
            fmt::format("</td><td class=\"num{}\">", worse ? " bad" : "") +
            report.number(pointer + "/max_over_mean_load", 1, 3) + "</td><td class=\"num\">" +
            report.number(pointer + "/contiguous_max_over_mean_load", 1, 3) + "</td>";
    if (crossings)
      rows += "<td class=\"num\">" + report.number(pointer + "/cross_gpu_fraction", kPercent, 1) +
              "</td><td class=\"num\">" +
              report.number(pointer + "/contiguous_cross_gpu_fraction", kPercent, 1) + "</td>";
    rows += "</tr>\n";
  }
  return std::string(
             "<section id=\"transfer\">\n<h2>How it does on each kind of text</h2>\n<p>The plan judged on "
             "each profile. Red: "
             "more uneven there than doing nothing.</p>\n<div class=\"scroll\" role=\"region\" "
             "tabindex=\"0\" "
             "aria-label=\"Transfer\">\n<table>\n"
             "<thead><tr><th scope=\"col\">Plan made on</th><th scope=\"col\">judged on</th><th "
             "scope=\"col\" "
             "class=\"num\">Load, "
             "max/mean</th><th scope=\"col\" class=\"num\">contiguous</th>") +
         (crossings ? "<th scope=\"col\" class=\"num\">Leaves its GPU <span class=\"unit\">%</span></th>"
                      "<th scope=\"col\" class=\"num\">contiguous <span class=\"unit\">%</span></th>"
                    : "") +
         "</tr></thead>\n<tbody>\n" + rows + "</tbody></table></div>\n</section>\n";
}

std::string phases_section(const ShownJson& report) {
  if (report.size("/phases") == 0) return {};
  const std::vector<Figure> figures = known_figures(report, "phases");
  std::string head = "<th scope=\"col\">Map for</th><th scope=\"col\">runs</th>", rows;
  for (const Figure& figure : figures) head += heading(figure);
  for (size_t i = 0; i < report.size("/phases"); ++i) {
    const std::string pointer = at("phases", i);
    rows += "<tr><th scope=\"row\">" + report.text(pointer + "/map_for") +
            (report.flag(pointer + "/chosen") ? "<small>this plan</small>" : "") + "</th><td>" +
            report.text(pointer + "/judged_on") + "</td>";
    rows += cells(report, pointer, figures) + "</tr>\n";
  }
  return "<section id=\"phases\">\n<h2>Prefill and decode</h2>\n<p>The map made for each phase, and one made "
         "for both, on held-out tokens of each: what one phase's map costs the other.</p>\n"
         "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Phases\">\n<table>\n<thead><tr>" +
         head + "</tr></thead>\n<tbody>\n" + rows + "</tbody></table></div>\n</section>\n";
}

std::string list_of(const ShownJson& report, const char* title, const char* list) {
  if (report.size(std::string("/") + list) == 0) return {};
  std::string items;
  for (size_t i = 0; i < report.size(std::string("/") + list); ++i)
    items += "<li>" + report.text(at(list, i)) + "</li>\n";
  return std::string("<h3>") + title + "</h3>\n<ul>\n" + items + "</ul>\n";
}

std::string sources_section(const ShownJson& report, const ExpertsHtmlOptions& options) {
  std::string out =
      "<section id=\"sources\">\n<h2>Assumptions, sources, and how to get it again</h2>\n<dl "
      "class=\"facts\"><div><dt>Routing</dt><dd>" +
      report.text("/routing/file") + "</dd></div><div><dt>Orrery</dt><dd>" + report.text("/program/version") +
      "</dd></div><div><dt>Made</dt><dd>" + report.text("/run/date") + " in " +
      report.number("/run/seconds") + " s</dd></div></dl>\n";
  out += list_of(report, "Assumptions", "assumptions") + list_of(report, "About the routing", "notes") +
         list_of(report, "Sources", "sources");
  out += "<h3>Again</h3>\n<div class=\"command\"><pre tabindex=\"0\"><code id=\"command\">" +
         report.text("/command") + "</code></pre></div>\n<p>";
  auto link = [](const std::string& file) {
    return "<a href=\"" + escape(file) + "\">" + escape(file) + "</a>";
  };
  if (!options.map_file.empty()) out += "The map, as an engine loads it: " + link(options.map_file) + ". ";
  out += options.json_file.empty() ? "As JSON: the same command with <code>--json</code>"
                                   : "The plan and its figures as JSON: " + link(options.json_file);
  return out + ".</p>\n<p class=\"note\">Charts by Chart.js (MIT licence), built in.</p>\n</section>\n";
}

}  // namespace

std::string experts_html(const ExpertsPage& report, const RunInfo& run, const ExpertsHtmlOptions& options) {
  std::string json = experts_page_json(report, run, -1);
  ShownJson shown(json);
  PageParts parts;
  parts.title = report.model + " · Orrery expert placement";
  parts.body = "<a class=\"skip\" href=\"#plans\">Skip to the table</a>\n" + header_section(shown) +
               "<main>\n" + plans_section(shown) +
               heat_section(shown, "load", "load_tokens", "Where the load lies",
                            "Tokens of each GPU (across) in each layer (down), over the layer's mean. The "
                            "GPU with the most is waited for.",
                            1, "tokens") +
               heat_section(shown, "traffic", "traffic_bytes", "Where the traffic lies",
                            "What each GPU sends or receives, the larger of the two, over the mean of all. "
                            "The busiest port is waited for.",
                            kMega, "MB") +
               bound_section(shown) + sensitivity_section(shown) + transfer_section(shown) +
               phases_section(shown) + sources_section(shown, options) + "</main>\n";
  parts.data = {{"report", std::move(json)}};
  parts.styles = {asset("report.css")};
  parts.scripts = {asset("chart.js"), asset("report.js"), asset("experts.js")};
  return page(parts);
}

}  // namespace orrery::report
