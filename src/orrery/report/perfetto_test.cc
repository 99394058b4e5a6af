#include "orrery/report/perfetto.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "orrery/report/latency_sample.h"

namespace orrery::report {
namespace {

TEST(Perfetto, lanes_are_threads_and_times_are_microseconds) {
  Timeline timeline{.lanes = {"stream 0", "link"}, .names = {"gemm", "all_reduce"}, .events = {}};
  timeline.events = {{0, 0, 0, Seconds(0), Seconds(2e-6)}, {1, 1, 0, Seconds(2e-6), Seconds(5e-6)}};
  NamedTimeline named{"decode", &timeline};
  auto events = nlohmann::json::parse(perfetto_json(std::span(&named, 1)))["traceEvents"];
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[0]["args"]["name"], "decode");
  EXPECT_EQ(events[2]["args"]["name"], "link");
  EXPECT_EQ(events[4]["name"], "all_reduce");
  EXPECT_EQ(events[4]["tid"], 1);
  EXPECT_DOUBLE_EQ(events[4]["ts"], 2);
  EXPECT_DOUBLE_EQ(events[4]["dur"], 5);
}

TEST(Perfetto, what_points_nowhere_or_is_not_finite_is_left_out) {
  Timeline timeline{.lanes = {"stream 0"}, .names = {"a"}, .events = {}};
  double nan = std::numeric_limits<double>::quiet_NaN();
  timeline.events = {{7, 0, 0, Seconds(0), Seconds(1)},
                     {0, 7, 0, Seconds(0), Seconds(1)},
                     {0, 0, 0, Seconds(nan), Seconds(1)}};
  NamedTimeline named{"x", &timeline};
  EXPECT_EQ(nlohmann::json::parse(perfetto_json(std::span(&named, 1)))["traceEvents"].size(), 2u);
}

TEST(Perfetto, a_report_has_a_process_for_each_device_and_phase) {
  auto trace = nlohmann::json::parse(perfetto_json(sample_serving_report({"h100-sxm5-80gb", "l40s", "t4"})));
  int processes = 0;
  for (const auto& event : trace["traceEvents"]) processes += event["name"] == "process_name";
  EXPECT_EQ(processes, 4);  // prefill and decode of the two that it fits on
}

}  // namespace
}  // namespace orrery::report
