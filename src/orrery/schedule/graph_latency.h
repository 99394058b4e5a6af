// Predicts how fast an operator graph runs that came from a file (ONNX, an operator list) instead of a model
// configuration: one pass, inference or training, by an eager framework. Fills the same report as
// predict_latency, without rates: such a graph has no tokens.
#pragma once

#include "orrery/base/run_context.h"
#include "orrery/cost/accelerator/accelerator_model.h"
#include "orrery/schedule/latency_report.h"

namespace orrery::schedule {

struct GraphRequest {
  std::string name;
  graph::Graph graph;
  double parameters = 0;
  DataType type = DataType::FP32;
  bool train = false;
  int64_t batch = 1;  // samples of a pass
  std::vector<hardware::Device> devices;
  std::string predictor = "default", weights;
  cost::AcceleratorOptions accelerators;
  bool timeline = false;
  std::vector<std::string> notes;  // of the reader
};

LatencyReport predict_graph_latency(const GraphRequest& request, const RunContext& context);

}  // namespace orrery::schedule
