#include "orrery/cost/memory_footprint.h"

#include <algorithm>
#include <cmath>

#include "orrery/base/error.h"
#include "orrery/graph/attention_block.h"
#include "orrery/graph/liveness.h"
#include "orrery/graph/optimizer_step.h"
#include "orrery/graph/parameters.h"
#include "orrery/graph/transformer.h"

namespace orrery::cost {
namespace {

using graph::Mode;
using graph::ModelConfig;
using graph::Tower;
using graph::Workload;

constexpr int64_t kMostBatch = int64_t{1} << 20, kMostContext = int64_t{1} << 26;

Bytes weights_of(const ModelConfig& model, const Workload& work) {
  if (work.mode == Mode::Train && model.quantization) {  // trained in the model's own type
    ModelConfig wide = model;
    wide.quantization.reset();
    return graph::weight_bytes(wide, work.parallel).total();
  }
  Bytes counted = graph::weight_bytes(model, work.parallel).total();
  // A checkpoint's index knows better what formats and paddings cost; next-token layers are in it but not
  // loaded.
  if (!model.exact_weight_bytes || model.next_token_layers > 0) return counted;
  return counted * (*model.exact_weight_bytes / graph::weight_bytes(model).total().value());
}

// Inference keeps one layer's working set: as few layers as show every kind of layer are enough.
ModelConfig shortened(const ModelConfig& model) {
  ModelConfig few = model;
  few.notes.clear();
  for (Tower& tower : few.towers) {
    int layers = 2;
    if (tower.moe) layers = std::max(layers, tower.moe->first_dense_layers + tower.moe->every + 1);
    if (tower.window > 0) layers = std::max(layers, tower.window_first + tower.window_every + 1);
    tower.layers = std::min(tower.layers, layers);
  }
  return few;
}

// Elements of weights that take a gradient, on this device.
double trained_elements(const graph::Graph& graph) {
  double elements = 0;
  for (const graph::Operator& op : graph.operators) {
    const graph::OperatorShape& shape = graph.kernels[op.kernel].parts[0];
    if (shape.kind == graph::OperatorKind::OptimizerStep) elements += static_cast<double>(shape.dims[0]);
  }
  return elements;
}

// The largest x in [1, most] with total(x) ≤ available, for a total that never falls; 0 when there is none.
// The total is nearly affine, so that secants find the border in a few steps; halving guards them.
template <class Total>
int64_t largest(Total total, int64_t start, int64_t most, double available) {
  double at_low = total(1), slope = 0;
  if (at_low > available) return 0;
  int64_t low = 1, high = most + 1, x = std::clamp<int64_t>(start, 2, std::max<int64_t>(most, 2));
  bool halve = false;
  while (high - low > 1) {
    x = std::clamp(x, low + 1, high - 1);
    double value = total(x);
    int64_t width = high - low;
    slope = (value - at_low) / static_cast<double>(x - low);
    if (value <= available) {
      low = x;
      at_low = value;
    } else {
      high = x;
    }
    bool bracketed = high <= most;
    halve = bracketed && !halve && high - low > width / 2;
    if (halve) {
      x = low + (high - low) / 2;
    } else {
      double step = slope > 0 ? (available - at_low) / slope : static_cast<double>(most);
      x = low + static_cast<int64_t>(std::min(step, static_cast<double>(high - low)));
      if (bracketed && x == low) x = low + 1;
    }
  }
  return low;
}

int64_t longest_input(const ModelConfig& model) {
  int64_t longest = kMostContext;
  for (const Tower& tower : model.towers) {
    if (tower.role != graph::TowerRole::Vision && tower.tokens > 0)
      longest = std::min<int64_t>(longest, tower.tokens);
  }
  return longest;
}

}  // namespace

Bytes kv_cache_bytes(const ModelConfig& model, const graph::Parallelism& parallel, int64_t tokens,
                     int64_t encoded) {
  DataType type =
      model.quantization && model.quantization->kv_cache ? *model.quantization->kv_cache : model.type;
  double elements = 0;
  for (const Tower& tower : model.towers) {
    if (tower.role != graph::TowerRole::Decoder) continue;
    double each = graph::cache_elements_per_token(tower, graph::share_of(model, tower, parallel));
    int64_t kept = 0;
    for (int layer = 0; layer < tower.layers; ++layer) {
      kept += tower.windowed(layer) ? std::min<int64_t>(tokens, tower.window) : tokens;
      if (tower.cross_attention) kept += encoded;
    }
    elements += each * static_cast<double>(kept);
  }
  return Bytes(elements * bytes_per_element(type));
}

MemoryFootprint memory_footprint(const ModelConfig& model, const Workload& asked) {
  Workload work = asked;
  bool train = work.mode == Mode::Train;
  // Without an optimizer gradients are still kept: a step of plain SGD counts them.
  if (train && work.optimizer == graph::Optimizer::None) work.optimizer = graph::Optimizer::Sgd;
  graph::check_workload(model, work);
  graph::Graph graph = build_graph(train ? model : shortened(model), work);
  graph::LivePeak peak = graph::peak_of_live_activations(graph);
  MemoryFootprint memory;
  memory.weights = weights_of(model, work);
  memory.activations = peak.activations - peak.logits;
  memory.logits = peak.logits;
  memory.workspace = kContext + kProductWorkspace;
  if (train) {
    double elements = trained_elements(graph);
    memory.gradients = Bytes(elements * bytes_per_element(model.type));
    memory.optimizer = Bytes(elements * graph::optimizer_bytes(asked.optimizer, model.type).state);
  } else {
    Bytes sequence;
    for (const Tower& tower : model.towers) {
      if (tower.role != graph::TowerRole::Decoder) continue;
      graph::TowerTokens tokens = graph::tokens_of(model, tower, work);
      sequence = kv_cache_bytes(model, work.parallel, tokens.cached + tokens.query, tokens.cross);
    }
    memory.kv_cache = sequence * static_cast<double>(work.batch);
  }
  return memory;
}

MemoryFit fit(const ModelConfig& model, const Workload& work, Bytes available, int widest) {
  auto total = [&](auto change) {
    return [&, change](int64_t x) {
      Workload changed = work;
      change(changed, x);
      return memory_footprint(model, changed).total().value();
    };
  };
  MemoryFit answer;
  Bytes needed = memory_footprint(model, work).total();
  answer.fits = needed <= available;
  answer.missing = answer.fits ? Bytes(0) : needed - available;
  answer.largest_batch =
      largest(total([](Workload& w, int64_t x) { w.batch = x; }), work.batch,
              std::min(kMostBatch, (int64_t{1} << 31) / std::max(work.sequence, work.output_sequence)),
              available.value());
  int64_t longest = std::max(std::min(longest_input(model), (int64_t{1} << 31) / work.batch), int64_t{1});
  answer.longest_context = largest(total([](Workload& w, int64_t x) { w.sequence = x; }),
                                   std::min(work.sequence, longest), longest, available.value());
  for (int width = 1; width <= widest && answer.smallest_tensor_parallel == 0; width *= 2) {
    Workload changed = work;
    changed.parallel.tensor = width;
    try {
      if (memory_footprint(model, changed).total() <= available) answer.smallest_tensor_parallel = width;
    } catch (const InputError&) {  // this width does not divide the model
    }
  }
  double whole = weights_of(model, work).value() * work.parallel.tensor;
  answer.smallest_devices = static_cast<int>(std::ceil(whole / available.value()));
  return answer;
}

}  // namespace orrery::cost
