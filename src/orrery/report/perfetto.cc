#include "orrery/report/perfetto.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "orrery/report/latency_words.h"

namespace orrery::report {

std::string perfetto_json(std::span<const NamedTimeline> timelines) {
  using json = nlohmann::ordered_json;
  constexpr double kMicro = 1e6;
  json events = json::array();
  for (size_t process = 0; process < timelines.size(); ++process) {
    const Timeline& timeline = *timelines[process].timeline;
    size_t pid = process + 1;
    events.push_back(
        {{"ph", "M"}, {"pid", pid}, {"name", "process_name"}, {"args", {{"name", timelines[process].name}}}});
    for (size_t lane = 0; lane < timeline.lanes.size(); ++lane) {
      events.push_back({{"ph", "M"},
                        {"pid", pid},
                        {"tid", lane},
                        {"name", "thread_name"},
                        {"args", {{"name", timeline.lanes[lane]}}}});
    }
    for (const Event& event : timeline.events) {
      double start = event.start.value() * kMicro, duration = event.duration.value() * kMicro;
      if (event.lane >= timeline.lanes.size() || event.name >= timeline.names.size()) continue;
      if (!std::isfinite(start) || !std::isfinite(duration)) continue;
      events.push_back({{"ph", "X"},
                        {"pid", pid},
                        {"tid", event.lane},
                        {"name", timeline.names[event.name]},
                        {"ts", start},
                        {"dur", duration}});
    }
  }
  json out = {{"displayTimeUnit", "ms"}, {"traceEvents", events}};
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string perfetto_json(const schedule::LatencyReport& report) {
  std::vector<NamedTimeline> timelines;
  for (const schedule::DeviceAnswer& answer : report.devices) {
    if (answer.iteration && !answer.iteration->timeline.events.empty())
      timelines.push_back({device_label(report, answer) + ", iteration", &answer.iteration->timeline});
    for (const auto* phase : {&answer.prefill, &answer.decode, &answer.train}) {
      if (!*phase || (*phase)->layer.events.empty()) continue;
      timelines.push_back({device_label(report, answer) + ", " + mode_name((*phase)->mode) + ", one layer",
                           &(*phase)->layer});
    }
  }
  return perfetto_json(timelines);
}

}  // namespace orrery::report
