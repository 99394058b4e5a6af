// Reports for the tests: Llama-3.1-8B on real devices with figures from a bare roofline. Made up, but of the
// right shape and size: every field filled, one device too small, bands, curves and timelines.
#pragma once

#include <string>
#include <vector>

#include "orrery/report/latency_validation.h"
#include "orrery/schedule/latency_report.h"

namespace orrery::report {

schedule::LatencyReport sample_serving_report(const std::vector<std::string>& devices = {
                                                  "h200-sxm-141gb", "h100-sxm5-80gb", "l40s", "rtx-4090",
                                                  "rtx-pro-6000-blackwell-server", "mi300x", "t4"});
schedule::LatencyReport sample_training_report();
// The serving report with names and notes that try to leave their place.
schedule::LatencyReport hostile_report();
// Kernels on Hopper and Ada, models on Ada; nothing on the other classes.
LatencyValidation sample_validation();

}  // namespace orrery::report
