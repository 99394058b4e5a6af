// Options that several commands share, declared once, so that one name means one thing everywhere.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "orrery/cli/command.h"
#include "orrery/hardware/device.h"
#include "orrery/schedule/graph_latency.h"
#include "orrery/schedule/latency.h"

namespace orrery::cli {

// "batch=8". Throws InputError.
std::pair<std::string, int64_t> parse_dim(const std::string& text);

void add_json(CLI::App& app, Common& common);
void add_threads(CLI::App& app, Common& common);
void add_seed(CLI::App& app, Common& common);

// The model, the devices and how the one runs on the other: what `predict latency` and `predict memory` ask
// for.
struct ModelOnDevices {
  std::string model;
  std::string devices;  // comma-separated names or files
  std::string mode, type, attention = "flash", recompute = "none", optimizer = "mixed-adam",
                          predictor = "default", weights, array = "pipelined", dataflow,
                          vector_costs = "revised", unknown;
  std::vector<std::string> dims;  // ONNX: batch=8
  int64_t prompt = 2048, output_tokens = 256, batch = 0, max_batch = 256, sequence = 0;
  int tensor_parallel = 1, expert_parallel = 1, frozen_layers = 0;
  int data_parallel = 1, pipeline_parallel = 1, micro_batches = 1;
  std::string pipeline_schedule = "1f1b", cluster;
  bool no_fuse = false, pack_groups = false;
  double memory_utilization = 0.9, dollars_per_hour = 0;
};
void add_model_and_devices(CLI::App& app, ModelOnDevices& options, bool model_required);

// Iterations over replicas, stages and micro-batches.
void add_distribution(CLI::App& app, ModelOnDevices& options);

// Resolves names and files. Throws InputError for what is not known or makes no sense.
std::vector<hardware::Device> find_devices(const std::string& names);
cost::AcceleratorOptions accelerator_options(const ModelOnDevices& options);
schedule::LatencyRequest to_request(const ModelOnDevices& options);

// A model that is a graph already (graph/readers/graph_file.h).
schedule::GraphRequest to_graph_request(const ModelOnDevices& options);

}  // namespace orrery::cli
