// `orrery predict memory`: what fills a device, by component.
#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "orrery/cli/options.h"
#include "orrery/report/latency_json.h"
#include "orrery/report/latency_text.h"

namespace orrery::cli {

Action declare_predict_memory(CLI::App& app, Common& common) {
  struct Options {
    ModelOnDevices on;
    bool require_fit = false;
  };
  auto options = std::make_shared<Options>();
  add_model_and_devices(app, options->on, true);
  app.add_flag("--require-fit", options->require_fit, "Exit with 1 when the model does not fit a device");
  add_json(app, common);
  return [&common, options] {
    schedule::LatencyRequest request = to_request(options->on);
    schedule::LatencyReport report = schedule::predict_memory(request);
    report.command = common.command_line;
    *common.out << (common.json ? report::latency_json(report, report::run_info(Seconds(0))) + "\n"
                                : report::memory_text(report, common.style()));
    bool all_fit = true;
    for (const schedule::DeviceAnswer& answer : report.devices) all_fit = all_fit && answer.memory.fits;
    return options->require_fit && !all_fit ? 1 : 0;
  };
}

}  // namespace orrery::cli
