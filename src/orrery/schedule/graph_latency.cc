#include "orrery/schedule/graph_latency.h"

#include <algorithm>

#include "orrery/base/threads.h"
#include "orrery/cost/memory_footprint.h"
#include "orrery/graph/liveness.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/schedule/predictor.h"

namespace orrery::schedule {
namespace {

MemoryReport memory_of(const graph::Graph& graph, const hardware::Device& device) {
  MemoryReport report;
  auto row = [&](const char* component, Bytes bytes) {
    if (bytes.value() > 0) report.rows.push_back({component, bytes});
    report.needed += bytes;
  };
  row("weights", bytes_of(graph, graph::TensorKind::Weight));
  row("gradients", bytes_of(graph, graph::TensorKind::Gradient));
  row("optimizer", bytes_of(graph, graph::TensorKind::OptimizerState));
  row("activations", graph::peak_of_live_activations(graph).activations);
  row("workspace", cost::kContext + cost::kProductWorkspace);
  report.available = device.memory;
  report.fits = report.needed <= report.available;
  return report;
}

DeviceAnswer answer_for(const GraphRequest& r, const Predictor& predictor, const hardware::Device& device) {
  DeviceAnswer answer;
  answer.device = device;
  answer.checked_on = hardware::Catalogue::shipped().checked_on(device.name).text();
  std::vector<std::string> names = device.aliases;
  names.insert(names.end(), {device.name, device.title});
  answer.measured_in_weights = predictor.weights().saw(names);
  answer.notes = device.notes;
  answer.batch = r.batch;
  answer.memory = memory_of(r.graph, device);
  PhaseOf what{r.train ? graph::Mode::Train : graph::Mode::Prefill, r.batch, 1, r.type};
  PhaseForecast phase = predictor.phase(r.graph, what, device, Driver::Framework, r.timeline);
  for (const OperatorRow& row : phase.operators) {
    if (!row.priced)
      answer.notes.push_back(row.name + " (" + row.kind + ") is not modelled; its time is the traffic bound");
  }
  if (!r.train) answer.ttft = phase.time;
  (r.train ? answer.train : answer.prefill) = std::move(phase);
  return answer;
}

}  // namespace

LatencyReport predict_graph_latency(const GraphRequest& request, const RunContext& context) {
  Predictor predictor(request.predictor, request.weights, request.accelerators);
  LatencyReport report;
  report.model = request.name;
  report.config.name = request.name;
  report.config.type = request.type;
  report.parameters = request.parameters;
  report.serving = false;
  report.workload.mode = request.train ? graph::Mode::Train : graph::Mode::Prefill;
  report.workload.batch = request.batch;
  report.predictor = predictor.name();
  report.weights = predictor.weights().title();
  report.warnings = request.notes;
  report.assumptions = {
      "One pass of the file's graph by an eager framework, every kernel launched by the host."};
  report.devices.resize(request.devices.size());
  parallel_for(request.devices.size(), 1, context.threads, [&](size_t begin, size_t end, size_t) {
    for (size_t i = begin; i < end; ++i) {
      if (context.stop.stop_requested()) throw Interrupted();
      report.devices[i] = answer_for(request, predictor, request.devices[i]);
    }
  });
  return report;
}

}  // namespace orrery::schedule
