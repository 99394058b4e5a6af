// An operator graph as accelerators run it: from a reader's graph to the tasks of WHAM (arXiv 2404.14632,
// section 4).
#pragma once

#include <optional>
#include <string>

#include "orrery/explore/accelerator_plan.h"
#include "orrery/graph/workload.h"

namespace orrery::explore {

enum class BackwardForm : uint8_t {
  Split,   // gradients of inputs and of weights are tasks of their own
  Lumped,  // one task for both, as the paper's release has it: a chain then has nothing to run side by side
};

struct WorkloadGraphOptions {
  std::optional<DataType> words = DataType::BF16;  // format of all floating-point tensors; absent: as given
  bool fuse_products = true;
  BackwardForm backward = BackwardForm::Split;
};

// In this order: formats, fusion of a product with the vector operator that alone follows it, lumping.
graph::Graph workload_graph(graph::Graph graph, const WorkloadGraphOptions& options);

// A product joins the vector operator (activation, element-wise, norm, dropout, mask) that is the only
// forward reader of its result and whose other inputs are weights or graph inputs; repeated along the chain,
// so that product, norm and activation become one. The result is written once: when a later gradient reads
// the product's own, or a middle one, that one is written too and counted. Never across layers.
graph::Graph fuse_products(const graph::Graph& graph);

// Input and weight gradients of one forward operator as one.
graph::Graph lump_backward(const graph::Graph& graph);

// The operators of layers first <= layer < last of one direction, as a graph: forward ones, or gradients with
// recomputation; updates belong to neither. What other operators made is an input. Layer -1 counts to the
// first stage (first = 0), the layer behind the last to the stage that ends with it.
graph::Graph stage_graph(const graph::Graph& graph, int first, int last, bool backward);

// A network from an ONNX file or a model from its configuration, for one device. batch replaces that of an
// ONNX file.
struct WorkloadRequest {
  // A path that ends in .onnx or .csv (operators, or a SCALE-Sim topology, run as they stand), else a model
  // as graph::find_model takes it.
  std::string source;
  int64_t batch = 8, sequence = 512;
  int tensor = 1;  // of a model: devices that share each layer; collectives are operators of the graph
  bool train = true;
  graph::Optimizer optimizer = graph::Optimizer::Adam;
  WorkloadGraphOptions options;
};
AcceleratorWorkload read_workload(const WorkloadRequest& request);

}  // namespace orrery::explore
