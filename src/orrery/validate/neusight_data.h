// The measured rows of the NeuSight paper's authors, as graphs of kernels that any operator model prices.
//
// A node of their graphs names its operators by phase ("[['VECmul', (4096, 5120)]]"). Two readings of it:
//   Paper  the operators as their files list them
//   Eager  what PyTorch 2.1 launches for the same node: gradients of an addition cost nothing, softmax's
//   backward
//          is a product and a reduction, layer norm's reads the input and the gradient twice, dropout keeps a
//          byte mask and widens it on the way back, ...
// Sizes: a product (m×k)(k×n); vector operators rows × columns with the inputs' own sizes, so that broadcast
// ones count their own; an operator that only moves memory is a copy of all its shapes' elements.
#pragma once

#include <string>
#include <vector>

#include "orrery/graph/graph.h"

namespace orrery::validate {

enum class NeuSightDialect : uint8_t { Paper, Eager };
inline constexpr size_t kNeuSightDialects = 2;

struct NeuSightPhases {
  std::vector<graph::Kernel> forward, backward, accumulate;
};

// The shipped predictions of the paper's authors for one row, seconds; NaN where they give none.
struct NeuSightShipped {
  double neusight = 0, roofline = 0, habitat = 0, li = 0;
};

struct NeuSightNode {
  std::string name, kind;                            // "addmm_1", "Linear"
  NeuSightPhases phases[kNeuSightDialects];          // by dialect
  double forward = 0, backward = 0, accumulate = 0;  // s, measured; 0: not
  NeuSightShipped shipped_forward, shipped_backward, shipped_accumulate;
};

// Which run of which model.
struct NeuSightRun {
  std::string gpu, model, mode;  // "L4", "gpt2_large", "inference" or "training"
  std::string option;            // "", "fusion", "dp4", "tp4", "pp4_1"
  int64_t sequence = 0, batch = 0;
  std::string workload() const;  // "gpt2_large-inf-1024-4", as the graph files name it
  auto operator<=>(const NeuSightRun&) const = default;
};

struct NeuSightLabels {  // measured operators of one run
  NeuSightRun run;
  std::vector<NeuSightNode> nodes;
};

struct NeuSightMeasuredRun {
  NeuSightRun run;
  double total = 0, forward = 0, backward = 0;  // s
  NeuSightShipped shipped, shipped_forward, shipped_backward;
};

// The nodes of a traced model in order, one layer in the dense models; `times`: how often node i runs.
struct NeuSightGraph {
  std::vector<NeuSightNode> nodes;
  std::vector<int> times;
};

// Each throws InputError with its place.
std::vector<NeuSightLabels> read_neusight_labels(const std::string& data_folder);
std::vector<NeuSightMeasuredRun> read_neusight_runs(const std::string& data_folder);
// `layers`: of the model where one layer was traced; 1 repeats nothing.
NeuSightGraph read_neusight_graph(const std::string& data_folder, const std::string& workload);

// Nodes as their columns give them; `place` names the row in errors.
NeuSightNode neusight_node(const std::string& name, const std::string& kind,
                           const std::string& forward_operators, const std::string& backward_operators,
                           const std::string& accumulate_operators, const std::string& input_shapes,
                           const std::string& output_shape, const Place& place);

bool neusight_unseen(const std::string& gpu);  // no row of it was in the paper's training

}  // namespace orrery::validate
