#include "orrery/report/latency_text.h"

#include "orrery/report/latency_tables.h"
#include "orrery/report/latency_words.h"

namespace orrery::report {
namespace {

using schedule::DeviceAnswer;
using schedule::LatencyReport;

std::string head(const LatencyReport& report, const TerminalStyle& style) {
  return toned(paragraph(report.model, style), Tone::Strong, style) +
         toned(paragraph(subject(report), style), Tone::Muted, style) + "\n" +
         paragraph(verdict(report), style) + "\n";
}

std::string tail(const LatencyReport& report, const TerminalStyle& style) {
  std::string out;
  for (const DeviceAnswer& answer : report.devices) {
    for (const std::string& note : answer.notes)
      out += paragraph(device_label(report, answer) + ": " + note, style, 2);
  }
  for (const std::string& warning : report.warnings)
    out += toned(paragraph("warning: " + warning, style, 2), Tone::Bad, style);
  return out.empty() ? out : "\n" + out;
}

}  // namespace

std::string latency_text(const LatencyReport& report, const TerminalStyle& style) {
  Table table = decision_table(report);
  constexpr size_t kFits = 1;
  size_t checked = table.columns.size() - 1;
  auto tone = [&](size_t row, size_t column) {
    const DeviceAnswer& answer = report.devices[row];
    if (column == kFits) return answer.memory.fits ? Tone::Good : Tone::Bad;
    if (column == checked && answer.checked_on == "none") return Tone::Muted;
    return Tone::Plain;
  };
  std::string iterations;
  for (const DeviceAnswer& answer : report.devices) {
    if (!answer.iteration) continue;
    iterations += "\n" + to_terminal(stage_table(answer.device.title, *answer.iteration), style);
    Table links = link_table(*answer.iteration);
    if (!links.rows.empty()) iterations += "\n" + to_terminal(links, style);
  }
  return head(report, style) + to_terminal(table, style, tone) + iterations + tail(report, style);
}

std::string memory_text(const LatencyReport& report, const TerminalStyle& style) {
  std::string out = toned(paragraph(report.model, style), Tone::Strong, style) +
                    toned(paragraph(subject(report), style), Tone::Muted, style) + "\n" +
                    to_terminal(memory_table(report), style);
  for (const DeviceAnswer& answer : report.devices) {
    if (!answer.memory.fits)
      out += paragraph(device_label(report, answer) + ": " + why_not(report, answer), style, 2);
  }
  return out + tail(report, style);
}

}  // namespace orrery::report
