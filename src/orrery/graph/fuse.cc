#include "orrery/graph/fuse.h"

#include <algorithm>

namespace orrery::graph {
namespace {

using Kind = OperatorKind;

// first → second, in either pass. `keep_first`: whose name the kernel bears.
struct Rule {
  Kind first, second;
  bool keep_first;
};
constexpr Rule kRules[] = {
    // The residual is added on the way into the norm.
    {Kind::Add, Kind::RmsNorm, false},
    {Kind::Add, Kind::LayerNorm, false},
    // Epilogues that narrow a result for the next product.
    {Kind::RmsNorm, Kind::Quantize, true},
    {Kind::LayerNorm, Kind::Quantize, true},
    {Kind::GatedActivation, Kind::Quantize, true},
    {Kind::Gelu, Kind::Quantize, true},
    {Kind::Relu, Kind::Quantize, true},
    {Kind::Silu, Kind::Quantize, true},
    // Rotated keys go straight to the cache.
    {Kind::Rope, Kind::KvWrite, true},
    {Kind::RmsNorm, Kind::Rope, false},
    // Embeddings add up in one pass.
    {Kind::Embedding, Kind::Add, true},
    {Kind::Add, Kind::Add, false},
    // Scores of eager attention: compilers join what stands between the two products.
    {Kind::Multiply, Kind::Add, false},
    {Kind::Divide, Kind::Add, false},
    {Kind::Multiply, Kind::Mask, false},
    {Kind::Divide, Kind::Mask, false},
    {Kind::Multiply, Kind::Softmax, false},
    {Kind::Divide, Kind::Softmax, false},
    {Kind::Add, Kind::Softmax, false},
    {Kind::Mask, Kind::Softmax, false},
    {Kind::Softmax, Kind::Copy, true},
    {Kind::Softmax, Kind::Mask, true},
    {Kind::Sigmoid, Kind::Multiply, false},
    // Routing.
    {Kind::Softmax, Kind::TopK, false},
    {Kind::Mask, Kind::TopK, false},
    {Kind::Reduce, Kind::Add, true},
    // Gradients: a norm's is added to the residual's, an accumulated one to the earlier one.
    {Kind::LayerNorm, Kind::Add, true},
    {Kind::RmsNorm, Kind::Add, true},
    {Kind::Gemm, Kind::Add, true},
};

const Rule* rule_for(const OperatorShape& first, const OperatorShape& second) {
  for (const Rule& rule : kRules) {
    if (rule.first != first.kind || rule.second != second.kind) continue;
    // A product takes one epilogue alone: the addition to the gradient of earlier micro-batches.
    if (rule.first == Kind::Gemm && second.pass != Pass::Accumulate) continue;
    return &rule;
  }
  return nullptr;
}

bool same_product(const Step& a, const Step& b) {
  if (a.merge == 0 || a.merge != b.merge || a.inputs[0] != b.inputs[0] || a.inputs.size() != b.inputs.size())
    return false;
  const OperatorShape &x = a.shape(), &y = b.shape();
  if (x.kind != y.kind || x.type != y.type || x.stored != y.stored || x.dims[4] != y.dims[4]) return false;
  return x.dims[0] == y.dims[0] && x.dims[1] == y.dims[1] && x.dims[3] == y.dims[3];
}

void join(Block& block, Step& into, const Step& other) {
  into.kernel.parts[0].dims[2] += other.shape().dims[2];
  for (size_t i = 1; i < into.inputs.size(); ++i)
    block.values[into.inputs[i]].elements += block.values[other.inputs[i]].elements;
  ValueId part = other.outputs[0];
  if (into.name != into.merged_name) {  // the first that joins: both results become views of a common one
    ValueId own = into.outputs[0];
    Value whole = block.values[own];
    ValueId common = block.add_value(whole.elements, whole.type);
    block.values[own].storage = common;
    into.outputs = {common};
    into.name = into.merged_name;
  }
  block.values[into.outputs[0]].elements += block.values[part].elements;
  block.values[part].storage = into.outputs[0];
}

// How many steps read or offer each value, views counting for what they view.
std::vector<uint32_t> count_uses(const Block& block) {
  std::vector<uint32_t> uses(block.values.size());
  auto use = [&](ValueId v) {
    ++uses[v];
    if (block.values[v].storage != v) ++uses[block.values[v].storage];
  };
  for (const auto* steps : {&block.forward, &block.backward, &block.optimizer}) {
    for (const Step& step : *steps) std::ranges::for_each(step.inputs, use);
  }
  std::ranges::for_each(block.outputs, use);
  for (ValueId v : block.input_gradients) {
    if (v != kNone) use(v);
  }
  return uses;
}

// Whether `second` reads what `first` makes, at full size (a table of positions beside it does not count).
ValueId handed_over(const Block& block, const Step& first, const Step& second) {
  for (ValueId out : first.outputs) {
    for (ValueId in : second.inputs) {
      if (in == out || (block.values[in].storage == out && block.values[in].storage != in)) return out;
    }
  }
  return kNone;
}

bool is_vector(const OperatorShape& shape) {
  return traits(shape.kind).engine == Engine::Vector;
}

// Strikes `handed` from what the part reads.
void take_input(const Block& block, const Step& step, ValueId handed, OperatorShape& part) {
  if (!is_vector(part) || part.kind == Kind::TopK) return;
  int64_t &inputs = part.dims[2], &broadcast = part.dims[3];
  auto elements = static_cast<int64_t>(block.values[handed].elements);
  if (part.kind ==
      Kind::KvWrite) {  // keys and values together are its one input: the other still comes from memory
    inputs = 0;
    broadcast = std::max<int64_t>(0, part.dims[0] * part.dims[1] - elements);
  } else if (elements < part.dims[0] * part.dims[1] && broadcast >= elements && step.inputs[0] != handed) {
    broadcast -= elements;
  } else if (inputs > 0) {
    inputs -= 1;
  }
}

void fuse(Block& block, std::vector<Step>& steps, const std::vector<uint32_t>& uses,
          std::vector<uint32_t>* moved) {
  std::vector<Step> out;
  for (size_t i = 0; i < steps.size(); ++i) {
    Step& step = steps[i];
    const Rule* rule = nullptr;
    ValueId handed = kNone;
    if (!out.empty() && !step.is_view() && !out.back().is_view()) {
      rule = rule_for(out.back().kernel.parts.back(), step.shape());
      if (rule != nullptr) handed = handed_over(block, out.back(), step);
    }
    bool same_pass = !out.empty() && ((out.back().shape().pass == step.shape().pass) ||
                                      step.shape().pass == Pass::Accumulate);
    if (rule == nullptr || handed == kNone || !same_pass) {
      if (moved != nullptr) moved->push_back(static_cast<uint32_t>(out.size()));
      out.push_back(std::move(step));
      continue;
    }
    Step& into = out.back();
    OperatorShape part = step.shape();
    take_input(block, step, handed, part);
    if (uses[handed] == 1) {
      OperatorShape& producer = into.kernel.parts.back();
      OperatorShape& silent =
          is_vector(producer) ? producer : part;  // a product writes what its epilogue leaves
      if (silent.dims[4] > 0) silent.dims[4] -= 1;
      std::erase(into.outputs, handed);
    }
    into.kernel.parts.push_back(part);
    for (ValueId value : step.inputs) {
      bool inside = value == handed || block.values[value].storage == handed;
      if (!inside && std::ranges::find(into.inputs, value) == into.inputs.end()) into.inputs.push_back(value);
    }
    into.outputs.insert(into.outputs.end(), step.outputs.begin(), step.outputs.end());
    if (!rule->keep_first) into.name = step.name;
    if (moved != nullptr) moved->push_back(static_cast<uint32_t>(out.size() - 1));
  }
  steps = std::move(out);
}

bool joins_sole_consumer(const Step& step) {
  const OperatorShape& shape = step.kernel.parts.back();
  return is_vector(shape) && shape.kind != Kind::Mask && shape.kind != Kind::Copy;
}

// The only step that reads what `step` makes; null when others do, or later blocks.
Step* sole_consumer(Block& block, size_t at) {
  ValueId made = block.forward[at].outputs[0];
  auto same = [&](ValueId v) { return block.values[v].storage == made; };
  if (std::ranges::any_of(block.outputs, same)) return nullptr;
  Step* found = nullptr;
  for (size_t i = at + 1; i < block.forward.size(); ++i) {
    Step& step = block.forward[i];
    if (std::ranges::none_of(step.inputs, same)) continue;
    if (found != nullptr || step.is_view()) return nullptr;
    found = &step;
  }
  return found;
}

// `from` runs within `into`, whose last part reads its result.
void run_within(const Block& block, Step& from, Step& into) {
  ValueId handed = from.outputs[0];
  OperatorShape& reader = into.kernel.parts.back();
  take_input(block, into, handed, reader);
  from.kernel.parts.back().dims[4] = 0;
  into.kernel.parts.insert(into.kernel.parts.end() - 1, from.kernel.parts.begin(), from.kernel.parts.end());
  std::erase_if(into.inputs, [&](ValueId v) { return block.values[v].storage == handed; });
  for (ValueId value : from.inputs) {
    if (std::ranges::find(into.inputs, value) == into.inputs.end()) into.inputs.push_back(value);
  }
}

}  // namespace

void merge_products(Block& block) {
  std::vector<Step> out;
  out.reserve(block.forward.size());
  for (Step& step : block.forward) {
    auto same = std::ranges::find_if(out, [&](const Step& s) { return same_product(s, step); });
    if (same == out.end()) {
      out.push_back(std::move(step));
    } else {
      join(block, *same, step);
    }
  }
  block.forward = std::move(out);
}

void fuse_sole_consumers(Block& block) {
  std::vector<Step> out;
  for (size_t i = 0; i < block.forward.size(); ++i) {
    Step& step = block.forward[i];
    Step* reader = !step.is_view() && joins_sole_consumer(step) && step.outputs.size() == 1
                       ? sole_consumer(block, i)
                       : nullptr;
    if (reader != nullptr && joins_sole_consumer(*reader)) {
      run_within(block, step, *reader);
    } else {
      out.push_back(step);
    }
  }
  block.forward = std::move(out);
}

void fuse_kernels(Block& block) {
  std::vector<uint32_t> uses = count_uses(block), moved;
  fuse(block, block.forward, uses, &moved);
  fuse(block, block.backward, uses, nullptr);
  for (Step& step : block.backward) {
    if (step.mirror != kNone) step.mirror = moved[step.mirror];
  }
}

}  // namespace orrery::graph
