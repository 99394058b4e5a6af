// Timelines as Chrome trace-event JSON, which ui.perfetto.dev and chrome://tracing open.
// The format: "Trace Event Format", Google,
// docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
#pragma once

#include <span>
#include <string>

#include "orrery/base/timeline.h"
#include "orrery/schedule/latency_report.h"

namespace orrery::report {

struct NamedTimeline {
  std::string name;  // shown as a process
  const Timeline* timeline;
};

// A process for each timeline, a thread for each lane, a complete event for each event; times in
// microseconds. Events whose lane or name lies outside of the timeline's lists, or whose times are not
// finite, are left out.
std::string perfetto_json(std::span<const NamedTimeline> timelines);

// One layer of every phase on every device of the report.
std::string perfetto_json(const schedule::LatencyReport& report);

}  // namespace orrery::report
