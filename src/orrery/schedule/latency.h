// Predicts how fast a model runs on devices, and whether it fits. The library function behind `orrery predict
// latency`.
#pragma once

#include "orrery/base/run_context.h"
#include "orrery/cost/accelerator/accelerator_model.h"
#include "orrery/hardware/cluster.h"
#include "orrery/schedule/latency_report.h"

namespace orrery::schedule {

struct LatencyRequest {
  graph::ModelConfig model;
  std::vector<hardware::Device> devices;
  std::optional<graph::Mode> mode;  // absent: serving (prefill, decode, largest batch that fits)
  int64_t prompt = 2048, output_tokens = 256;
  int64_t batch = 0;        // 0: serving: the largest that fits (at most max_batch); single mode: 1
  int64_t max_batch = 256;  // the engine's limit of running sequences
  int64_t sequence = 0;     // train and single modes; 0 = prompt
  // Serving: tensor and expert. Of a single phase `microbatch` counts the micro-batches of each replica;
  // training: data; training and prefill: pipeline.
  graph::Parallelism parallel;
  PipelineSchedule pipeline_schedule = PipelineSchedule::OneForwardOneBackward;
  std::optional<hardware::Cluster> cluster;  // whose links are used; absent: one node of the device
  graph::AttentionKernel attention = graph::AttentionKernel::Flash;
  graph::Recompute recompute = graph::Recompute::None;
  graph::Optimizer optimizer = graph::Optimizer::MixedAdam;
  int frozen_layers = 0;
  bool fuse = true;
  std::optional<DataType> type;     // overrides the model's own
  double memory_utilization = 0.9;  // share of device memory that the engine may use (vLLM's default)
  std::optional<double> dollars_per_hour;
  std::string predictor = "default";
  std::string weights;  // a file from `orrery fit latency`; empty = shipped
  cost::AcceleratorOptions accelerators;
  bool curves = true, timeline = false;
};

// Throws InputError for a request that makes no sense; a model that does not fit is an answer.
LatencyReport predict_latency(const LatencyRequest& request, const RunContext& context);

// The memory of the same request alone, without any forecast: serving, or the mode that is asked for.
LatencyReport predict_memory(const LatencyRequest& request);

}  // namespace orrery::schedule
