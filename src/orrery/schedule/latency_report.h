// The answer of `orrery predict latency`: one value that the terminal table, the JSON, the HTML report and
// Python all show. It is filled by predict_latency (latency.h) and computes nothing itself. Times are
// seconds, sizes bytes, per device.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orrery/base/interval.h"
#include "orrery/base/timeline.h"
#include "orrery/cost/operator_model.h"
#include "orrery/graph/workload.h"
#include "orrery/hardware/device.h"
#include "orrery/schedule/iteration_forecast.h"

namespace orrery::schedule {

// One class of operators in one phase: "attention", "linear", "experts", "norms and elementwise",
// "collectives", "engine"...
struct ClassTime {
  std::string name;
  Seconds time;
  double share = 0;
};

// One distinct kernel of a phase, for the operator table and the roofline.
struct OperatorRow {
  std::string name, kind, shape;  // "mlp.gate_up", "gemm", "m=2048 n=28672 k=4096 bf16"
  int64_t count = 0;
  Seconds time, low, high;  // of one execution
  Flops flops;              // of one execution
  Bytes bytes;              // DRAM traffic of one execution
  cost::Bound bound = cost::Bound::Compute;
  bool priced = true;
};

struct PhaseForecast {
  graph::Mode mode = graph::Mode::Prefill;
  int64_t batch = 1, sequence = 1;
  Interval<Seconds> time;         // of the whole phase: one prefill, one decode step, one training iteration
  Seconds device_busy, overhead;  // kernels; what the engine adds (launch gaps, scheduling, sampling)
  Flops matrix_flops;
  double flops_utilization = 0, bandwidth_utilization = 0;  // of the data sheet's peaks
  std::vector<ClassTime> classes;
  std::vector<OperatorRow> operators;  // by total time, largest first
  cost::Bound bound = cost::Bound::Compute;
  double bound_share = 0;  // the share of the time under that bound
  Timeline layer;          // one layer in the middle, or empty
};

// Memory of one device by component.
struct MemoryRow {
  std::string component;  // "weights", "KV cache", "gradients", "optimizer", "activations", "workspace"
  Bytes bytes;
};
struct MemoryReport {
  std::vector<MemoryRow> rows;
  Bytes needed, available;  // available: after the engine's reserve
  bool fits = true;
  int64_t longest_context = 0;       // at the batch asked for; 0 = none
  int64_t largest_batch = 0;         // at the context asked for; 0 = none
  int smallest_tensor_parallel = 0;  // that fits; 0 = none up to the node's width
  int smallest_devices = 0;          // that would hold the weights, ignoring divisibility
};

struct CurvePoint {
  int64_t x = 0;           // batch or context
  Interval<Seconds> time;  // decode step
  double tokens_per_second = 0;
};

struct DeviceAnswer {
  hardware::Device device;
  std::string checked_on;  // "models", "kernels" or "none": what was measured on this GPU and compared
  bool measured_in_weights = false;  // rows of this GPU are among those that the weights were fitted on
  MemoryReport memory;
  int64_t batch = 0;  // at which the serving figures hold
  std::optional<PhaseForecast> prefill, decode, train;
  std::optional<IterationForecast> iteration;  // over several replicas, stages or micro-batches; the phase
                                               // then holds its time and one device's share of its work
  Interval<Seconds> ttft, tpot;                // serving mode
  Interval<double> tokens_per_second_per_device;
  std::optional<double> dollars_per_million_tokens;
  std::optional<Interval<double>> joules_per_token;
  std::vector<CurvePoint> over_batch, over_context;
  std::vector<std::string> notes;  // extrapolation, power cap unknown, operators not priced
};

struct LatencyReport {
  std::string model;  // name
  graph::ModelConfig config;
  double parameters = 0;
  graph::Workload workload;
  int64_t prompt = 0, output_tokens = 0;
  bool serving = true;    // false: a single mode was asked for
  std::string predictor;  // "default", "roofline"
  std::string weights;    // "default.json, fitted on A100, H100, L40S"
  std::vector<DeviceAnswer> devices;
  std::vector<std::string> warnings, assumptions, sources;
  std::string command;  // to get it again
};

}  // namespace orrery::schedule
