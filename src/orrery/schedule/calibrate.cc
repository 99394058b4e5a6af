#include "orrery/schedule/calibrate.h"

#include <algorithm>
#include <cmath>

#include "orrery/graph/model_catalogue.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::schedule {
namespace {

struct DeviceData {
  hardware::Device device;
  std::vector<const MeasuredKernel*> kernels;
  std::vector<const MeasuredRun*> runs;
};

hardware::Device find_device(const std::string& name, const Place& place) {
  if (name.empty()) throw InputError(place, "does not say which GPU was measured; give --device");
  try {
    return hardware::Catalogue::shipped().device(name);
  } catch (const InputError& wrong) {
    throw InputError(place, wrong.what());
  }
}

// The mean decode step of a run as one observation: its priced kernels summed, and what the engine adds taken
// off the measurement.
cost::Observation observe(const MeasuredRun& run, const hardware::Device& device,
                          const Predictor& predictor) {
  graph::Workload step;
  step.mode = graph::Mode::Decode;
  step.batch = std::max<int64_t>(1, std::llround(run.running));
  step.sequence = std::max<int64_t>(1, std::llround(run.prompt + run.output / 2));
  graph::Graph graph = graph::build_graph(graph::find_model(run.model), step);
  std::vector<cost::OperatorCost> costs = predictor.price(graph, device);
  Forecast forecast =
      predictor.forecast(graph, costs, device, Driver::Serving, graph::Mode::Decode, step.batch);
  cost::Observation observation;
  observation.predicted.time = forecast.busy;
  observation.predicted.low = static_cast<float>(forecast.time.low / forecast.time.value);
  observation.predicted.high = static_cast<float>(forecast.time.high / forecast.time.value);
  for (size_t k = 0; k < costs.size(); ++k)
    observation.predicted.compute += costs[k].compute * forecast.executions[k];
  observation.predicted.traffic[cost::kDram] = forecast.traffic;
  Seconds engine = forecast.waiting + forecast.engine;
  constexpr double kLeastShare = 0.1;  // a step is never all engine, whatever the terms say
  observation.measured = std::max(run.tpot - engine, run.tpot * kLeastShare);
  return observation;
}

}  // namespace

cost::Calibrations calibrate(const Measurements& measured, const Predictor& predictor,
                             const RunContext& context) {
  std::map<std::string, DeviceData> by_device;
  std::map<std::string, std::string> name_of;  // as files spell it → Device::name
  auto data_of = [&](const std::string& spelling, const Place& place) -> DeviceData& {
    auto [at, fresh] = name_of.emplace(spelling, "");
    if (fresh) {
      hardware::Device device = find_device(spelling, place);
      at->second = device.name;
      by_device.try_emplace(device.name).first->second.device = std::move(device);
    }
    return by_device[at->second];
  };
  for (const MeasuredKernel& kernel : measured.kernels)
    data_of(kernel.gpu, kernel.place).kernels.push_back(&kernel);
  for (const MeasuredRun& run : measured.runs) data_of(run.gpu, run.place).runs.push_back(&run);

  cost::Measured how = measured.from_host ? cost::Measured::FromHost : cost::Measured::FromGraph;
  cost::Calibrations fitted;
  for (const auto& [name, data] : by_device) {
    if (context.stop.stop_requested()) throw Interrupted();
    std::vector<graph::Kernel> kernels;
    for (const MeasuredKernel* kernel : data.kernels) kernels.push_back(kernel->kernel);
    std::vector<cost::OperatorCost> costs(kernels.size());
    predictor.kernel_model(data.device, how).price(kernels, data.device, {}, costs);
    std::vector<cost::Observation> observations;
    for (size_t i = 0; i < kernels.size(); ++i) observations.push_back({costs[i], data.kernels[i]->time});
    for (const MeasuredRun* run : data.runs) observations.push_back(observe(*run, data.device, predictor));
    fitted[name] = cost::fit_calibration(observations, data.device);
  }
  return fitted;
}

}  // namespace orrery::schedule
