// The operator graphs that NeuSight's authors traced (arXiv 2407.13853; neusight/operator_graphs.csv.zst of
// the folder with measured data) beside ours: which operators, of which sizes, how often, and their FLOP.
//
// Here is also the door through which the measured models enter: their names, which head was measured, and
// that a measured iteration is a plain pass in FP32 over whole sequences, without loss, optimizer or cache,
// with dropout where it trains.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/graph/traced_operator.h"
#include "orrery/graph/workload.h"
#include "orrery/report/table.h"
#include "orrery/schedule/predictor.h"

namespace orrery::validate {

// A row of the measured models: "gpt2_large", training or inference, and how it ran: "" alone, "fusion",
// "dp4", "tp4", "pp4_1" (four devices; pipeline stages _ micro-batches). The batch is that of all devices
// together.
struct NeusightWorkload {
  std::string model;
  bool training = false;
  int64_t sequence = 0, batch = 0;
  std::string option;
};
// "gpt2_large-train-1024-16-dp4", as the graph files name them. Throws InputError.
NeusightWorkload parse_neusight_workload(std::string_view name);
std::string neusight_workload_name(const NeusightWorkload& workload);

// The configuration that was measured, FP32, embeddings and head apart. BERT's inference ends in a classifier
// over two classes, its training in both heads of pre-training.
graph::ModelConfig neusight_model(const NeusightWorkload& workload);

// How it ran on one device: eager, and for "fusion" with neighbouring vector operators joined; `tensor` and
// `data` parallel as the option says (its batch is then one replica's); a pipeline's batch is one micro-batch
// and its graph the whole model.
graph::Workload neusight_run(const NeusightWorkload& workload, const graph::EagerOptions& eager = {});

// One workload as traced: what stands there, each layer counted as often as the model has it. Nodes of slices
// (getitem) are left out: the tracer counts by them what Python does with sizes.
struct TracedGraph {
  NeusightWorkload workload;
  std::map<graph::TracedOperator, int64_t> operators;
  std::map<std::vector<graph::TracedOperator>, int64_t> fused;  // those that run as one, where several do
};
std::vector<TracedGraph> read_traced_graphs(const std::string& data_folder);

struct GraphDifference {
  graph::TracedOperator op;
  int64_t theirs = 0, ours = 0;
};
// Empty where both have the same operators equally often.
std::vector<GraphDifference> differences(const std::map<graph::TracedOperator, int64_t>& theirs,
                                         const std::map<graph::TracedOperator, int64_t>& ours);
// Of the products, 2·batch·m·n·k each: exact, no value here reaches 2⁵³·2.
double product_flops(const std::map<graph::TracedOperator, int64_t>& operators, std::string_view name);

// A row a workload: operators, how many differ, and the FLOP of products, theirs and ours.
report::Table neusight_graph_table(const std::string& data_folder);
// A row an option of graph::EagerOptions: what it changes in the forecast of a training iteration that shows
// it.
report::Table neusight_fault_table(const schedule::Predictor& predictor, const hardware::Device& device);

}  // namespace orrery::validate
