// What users measured, as their tools write it: kernels with a latency and whole serving runs. The input of
// `orrery fit latency`.
//   CSV    the columns of `predict latency --kernels` and a latency_ms
//   vLLM   the JSON of `vllm bench serve --save-result` (and `vllm bench latency`)
//   Kineto a trace of the PyTorch profiler (with record_shapes=True), plain or gzipped
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orrery/base/error.h"
#include "orrery/graph/graph.h"

namespace orrery::schedule {

struct MeasuredKernel {
  std::string gpu;  // as the file names it; empty where it does not
  graph::Kernel kernel;
  Seconds time;
  Place place;
};

// Means over a run's requests. Zero where the file does not say.
struct MeasuredRun {
  std::string gpu, model;
  double requests = 0, prompt = 0, output = 0;  // tokens
  double running = 0;                           // sequences at once, on average: throughput × time per token
  Seconds ttft, tpot;
  Place place;
};

struct Measurements {
  std::vector<MeasuredKernel> kernels;
  std::vector<MeasuredRun> runs;
  bool from_host = false;          // kernels were timed from the host: a call costs its launch
  std::vector<std::string> notes;  // what the file holds that is not used, with counts
};

// Tells the format by the content. `gpu` stands in where the file names none. Throws InputError with the
// place.
Measurements read_measurements(const std::string& path, const std::string& gpu);

// The readers, one file a format (readers/).
Measurements read_vllm_bench(std::string text, const std::string& file, const std::string& gpu);
Measurements read_kineto(const std::string& text, const std::string& file, const std::string& gpu);

}  // namespace orrery::schedule
