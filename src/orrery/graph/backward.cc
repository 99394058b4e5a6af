#include "orrery/graph/backward.h"

#include <algorithm>

namespace orrery::graph {
namespace {

using Kind = OperatorKind;
using Rule = BackwardRule;

bool is_weight(const Block& block, ValueId value) {
  return block.values[value].kind == TensorKind::Weight;
}

// needs[v]: a trainable weight, or an input that needs a gradient, lies behind v.
std::vector<uint8_t> needs_gradient(const Block& block, std::span<const uint8_t> input_needs) {
  static const BackwardTable table = backward_table({});  // where gradients flow, all tables agree
  std::vector<uint8_t> needs(block.values.size());
  for (size_t i = 0; i < block.inputs.size(); ++i) needs[block.inputs[i]] = input_needs[i];
  for (size_t v = 0; v < block.values.size(); ++v) {
    if (block.values[v].trainable) needs[v] = true;
  }
  auto need = [&](ValueId v) { return needs[v] || needs[block.values[v].storage]; };
  for (const Step& step : block.forward) {
    const Rule& rule = table.rule(step.shape().kind);
    if (rule.flow == Flow::None && rule.weight == WeightFlow::None) continue;
    if (std::ranges::any_of(step.inputs, need)) {
      for (ValueId out : step.outputs) needs[out] = true;
    }
  }
  for (size_t v = 0; v < block.values.size(); ++v) {
    if (needs[block.values[v].storage]) needs[v] = true;
  }
  return needs;
}

class Reverse {
 public:
  Reverse(Block& block, const BackwardOptions& options) : block_(block), options_(options) {}

  void run() {
    needs_ = needs_gradient(block_, options_.input_needs);
    gradient_.assign(block_.values.size(), kNone);
    start();
    if (std::ranges::any_of(block_.forward, [&](const Step& s) { return flows_to(s); })) recompute();
    for (size_t i = block_.forward.size(); i-- > 0;) {
      step_ = static_cast<uint32_t>(i);
      if (options_.table.needless || !gradients_of_outputs().empty() || begins(block_.forward[i])) apply();
    }
    finish();
  }

 private:
  bool flows_to(const Step& s) const {
    return std::ranges::any_of(s.outputs, [&](ValueId v) { return needs_[v]; });
  }
  // A loss has no gradient from outside: it starts one.
  bool begins(const Step& s) const { return s.shape().kind == Kind::CrossEntropy && needs_[s.outputs[0]]; }

  ValueId fresh(double elements, DataType type, TensorKind kind = TensorKind::Gradient) {
    ValueId id = block_.add_value(elements, type, kind);
    gradient_.push_back(kNone);
    needs_.push_back(false);
    return id;
  }

  void start() {
    for (size_t i = 0; i < block_.outputs.size(); ++i) {
      ValueId given = kNone;
      if (options_.output_given[i] && needs_[block_.outputs[i]]) {
        const Value out = block_.values[block_.outputs[i]];
        given = fresh(out.elements, out.type,
                      out.kind == TensorKind::Weight ? TensorKind::Gradient : TensorKind::Activation);
        gradient_[block_.outputs[i]] = given;
      }
      block_.output_gradients.push_back(given);
    }
    for (size_t i = 0; i < block_.inputs.size(); ++i) {
      ValueId given = kNone;
      if (options_.input_running[i] && options_.input_needs[i]) {
        const Value in = block_.values[block_.inputs[i]];
        given = fresh(in.elements, in.type,
                      in.kind == TensorKind::Weight ? TensorKind::Gradient : TensorKind::Activation);
        gradient_[block_.inputs[i]] = given;
      }
      block_.running.push_back(given);
    }
  }

  // Forward steps again; the gradients read their results instead of the kept ones.
  void recompute() {
    again_.resize(block_.values.size());
    for (size_t v = 0; v < again_.size(); ++v) again_[v] = static_cast<ValueId>(v);
    for (size_t i = 0; i < block_.forward.size(); ++i) {
      if (!options_.recompute_all && !(options_.recompute_core && block_.forward[i].core)) continue;
      step_ = static_cast<uint32_t>(i);
      Step copy = block_.forward[i];
      copy.mirror = static_cast<uint32_t>(i);
      for (ValueId& value : copy.inputs) value = saved(value);
      for (ValueId& value : copy.outputs) {
        ValueId repeated =
            fresh(block_.values[value].elements, block_.values[value].type, TensorKind::Activation);
        again_[value] = repeated;
        value = repeated;
      }
      for (OperatorShape& part : copy.kernel.parts) part.pass = Pass::Recompute;
      block_.backward.push_back(std::move(copy));
    }
  }

  // The value that a gradient reads for forward value v.
  ValueId saved(ValueId v) {
    // What stands behind a recomputed core keeps the core's result.
    if (again_.empty() || (!options_.recompute_all && !block_.forward[step_].core)) return v;
    ValueId storage = block_.values[v].storage;
    if (storage != v && again_[storage] != storage && again_[v] == v) {  // a view of something recomputed
      again_[v] = block_.add_view(again_[storage], block_.values[v].elements);
      gradient_.push_back(kNone);
      needs_.push_back(false);
    }
    return again_[v];
  }

  // The gradients that came back for the outputs of the current step, of views where a consumer read one.
  std::vector<ValueId> gradients_of_outputs() const {
    std::vector<ValueId> found;
    for (ValueId out : block_.forward[step_].outputs) {
      if (gradient_[out] != kNone) found.push_back(gradient_[out]);
      if (!viewed_.empty()) {
        for (ValueId view : viewed_) {
          if (block_.values[view].storage == out && view != out) found.push_back(gradient_[view]);
        }
      }
    }
    return found;
  }

  // A gradient for `value` from one user; a second one is added to the first.
  void give(ValueId value, ValueId gradient) {
    if (gradient_[value] == kNone) {
      if (options_.accumulate && block_.values[value].trainable) gradient = accumulated(value, gradient);
      gradient_[value] = gradient;
      if (block_.values[value].storage != value) viewed_.push_back(value);
      return;
    }
    if (!options_.table.sums) return;
    const Value of = block_.values[value];
    ValueId sum = fresh(of.elements, of.type, block_.values[gradient].kind);
    auto elements = static_cast<int64_t>(of.elements);
    bool weight = is_weight(block_, value);
    emit(weight ? "gradient.accumulate" : "gradient.add", weight ? Pass::Accumulate : Pass::InputGradient,
         make(Kind::Add, VectorSize{.rows = 1, .columns = elements, .inputs = 2}, of.type),
         {gradient_[value], gradient}, {sum});
    gradient_[value] = sum;
  }

  ValueId accumulated(ValueId weight, ValueId gradient) {
    auto elements = static_cast<int64_t>(block_.values[weight].elements);
    DataType type = block_.values[weight].type;
    ValueId earlier = fresh(block_.values[weight].elements, type),
            sum = fresh(block_.values[weight].elements, type);
    emit("gradient.accumulate", Pass::Accumulate,
         make(Kind::Add, VectorSize{.rows = 1, .columns = elements, .inputs = 2}, type), {gradient, earlier},
         {sum});
    return sum;
  }

  void emit(std::string_view name, Pass pass, OperatorShape shape, std::vector<ValueId> inputs,
            std::vector<ValueId> outputs) {
    shape.pass = pass;
    Step step;
    step.name = name;
    step.kernel.parts = {shape};
    step.inputs = std::move(inputs);
    step.outputs = std::move(outputs);
    step.mirror = step_;
    step.core = block_.forward[step_].core;
    block_.backward.push_back(std::move(step));
  }

  // A gradient of `value`'s size for operator results.
  ValueId gradient_like(ValueId value) {
    const Value of = block_.values[value];
    return fresh(of.elements, of.type,
                 of.kind == TensorKind::Weight ? TensorKind::Gradient : TensorKind::Activation);
  }

  bool takes(ValueId value) const { return needs_[value]; }

  // Sums a full-size gradient down to a smaller operand (a bias, a table of positions, one value a row).
  ValueId reduced(std::string_view name, ValueId gradient, ValueId to) {
    double full = block_.values[gradient].elements, small = block_.values[to].elements;
    if (small >= full || !options_.table.reductions) return gradient;
    ValueId out = gradient_like(to);
    VectorSize size{.rows = static_cast<int64_t>(small), .columns = static_cast<int64_t>(full / small)};
    emit(name, is_weight(block_, to) ? Pass::WeightGradient : Pass::InputGradient,
         make(Kind::Reduce, size, block_.values[gradient].type), {gradient}, {out});
    return out;
  }

  // The gradient of a selection: zeros with the selected rows written into them.
  ValueId spread(const Step& step, ValueId gradient, ValueId to) {
    ValueId out = gradient_like(to);
    int64_t columns = vector_size(step.shape()).columns;
    VectorSize size{.rows = static_cast<int64_t>(block_.values[to].elements) / columns,
                    .columns = columns,
                    .inputs = 0,
                    .broadcast = static_cast<int64_t>(block_.values[gradient].elements)};
    emit(step.name, Pass::InputGradient, make(Kind::Copy, size, step.shape().type), {gradient}, {out});
    return out;
  }

  void apply() {
    const Step step = block_.forward[step_];
    const Rule& rule = options_.table.rule(step.shape().kind);
    std::vector<ValueId> incoming = gradients_of_outputs();
    if (incoming.empty() && !begins(step)) {  // a gradient that nobody takes
      const Value out = block_.values[step.outputs[0]];
      incoming.push_back(fresh(out.elements, out.type, TensorKind::Activation));
    }
    switch (rule.flow) {
      case Flow::None:
        break;
      case Flow::Through:
        through(step, incoming[0]);
        break;
      case Flow::Each:
        each(step, rule, incoming, step.inputs.size());
        break;
      case Flow::First:
        each(step, rule, incoming, 1);
        break;
      case Flow::Joint:
        joint(step, rule, incoming);
        break;
      case Flow::Products:
        products(step, incoming);
        break;
    }
    if (rule.flow != Flow::Products) weights(step, rule, incoming);
  }

  void through(const Step& step, ValueId incoming) {
    const OperatorShape& shape = step.shape();
    if (shape.kind == Kind::View && shape.dims[1] > 1) {
      ValueId sum =
          fresh(block_.values[incoming].elements, block_.values[incoming].type, TensorKind::Activation);
      emit("tensor_parallel.all_reduce", Pass::InputGradient,
           make(Kind::AllReduce, CollectiveSize{shape.dims[0], shape.dims[1]}), {incoming}, {sum});
      incoming = sum;
    }
    for (ValueId input : step.inputs) {
      if (takes(input)) give(input, reduced(step.name, incoming, input));
    }
  }

  // `operands`: how many inputs, from the first, take the operators.
  void each(const Step& step, const Rule& rule, const std::vector<ValueId>& incoming, size_t operands) {
    VectorSize whole = vector_size(step.shape());
    for (size_t i = 0; i < operands; ++i) {
      bool taken = takes(step.inputs[i]);
      if (!taken && !options_.table.needless) continue;
      ValueId current = incoming[0];
      double elements = static_cast<double>(whole.rows) * static_cast<double>(whole.columns),
             of_input = block_.values[step.inputs[i]].elements;
      if (step.shape().kind == Kind::Copy && of_input != elements && rule.flow == Flow::Each) {
        give(step.inputs[i], of_input < elements ? reduced(step.name, current, step.inputs[i])
                                                 : spread(step, current, step.inputs[i]));
        continue;
      }
      for (BackwardOperator op : rule.operators) {
        if (op.kind == Kind::View) break;
        std::vector<ValueId> inputs = current == incoming[0] ? incoming : std::vector<ValueId>{current};
        VectorSize size{.rows = whole.rows, .columns = whole.columns};
        if (step.shape().kind == Kind::Softmax && options_.table.softmax_columns > 0)
          size.columns = options_.table.softmax_columns;
        if (op.inputs == 0)
          size = {.rows = size.rows,
                  .columns = size.columns,
                  .inputs = 0,
                  .broadcast = rule.flow == Flow::First ? whole.broadcast : 0};
        if (op.kind == Kind::Dropout) size.broadcast = whole.broadcast;  // the mask again
        ValueId beside = beside_gradient(step, rule, op, i);
        if (beside != kNone) {
          inputs.push_back(saved(beside));
          if (block_.values[beside].elements < elements) {
            size.broadcast = static_cast<int64_t>(block_.values[beside].elements);
          } else {
            size.inputs += 1;
          }
        }
        ValueId out = fresh(elements, step.shape().type, TensorKind::Activation);
        emit(step.name, Pass::InputGradient, make(op.kind, size, step.shape().type), std::move(inputs),
             {out});
        current = out;
      }
      if (taken) give(step.inputs[i], reduced(step.name, current, step.inputs[i]));
      // What else the operator reads takes the same gradient: it cost nothing more.
      for (size_t other = operands; rule.flow == Flow::First && other < step.inputs.size(); ++other) {
        ValueId input = step.inputs[other];
        if (takes(input) && !is_weight(block_, input)) give(input, current);
      }
    }
  }

  // What the operator of input i's gradient reads beside that of the output; kNone: nothing.
  static ValueId beside_gradient(const Step& step, const Rule& rule, BackwardOperator op, size_t i) {
    bool alone = step.inputs.size() == 1;
    if (op.inputs == 0 || op.inputs == 1) return kNone;
    if (rule.saved == Saved::Output) return step.outputs[0];
    if (rule.saved != Saved::Inputs || (step.shape().kind == Kind::Divide && alone))
      return kNone;  // by a constant
    if (op.inputs < 0 && alone && op.kind == Kind::Multiply) return kNone;
    return step.inputs[i == 0 ? step.inputs.size() - 1 : 0];
  }

  void joint(const Step& step, const Rule& rule, const std::vector<ValueId>& incoming) {
    std::vector<ValueId> inputs = incoming, outputs, targets;
    for (ValueId input : step.inputs) {
      bool duplicate = std::ranges::find(targets, input) != targets.end();
      if (takes(input) && !is_weight(block_, input) && !duplicate) targets.push_back(input);
      bool matrix =
          rule.weight == WeightFlow::Product;  // products of weights read the weight, not the activation
      if (matrix ? is_weight(block_, input) && input == step.inputs[1]
                 : rule.saved == Saved::Inputs || rule.saved == Saved::Both) {
        inputs.push_back(saved(input));
      }
    }
    if (targets.empty()) return;
    if (rule.saved == Saved::Output || rule.saved == Saved::Both) inputs.push_back(saved(step.outputs[0]));
    for (ValueId target : targets)
      outputs.push_back(
          fresh(block_.values[target].elements, block_.values[target].type, TensorKind::Activation));
    OperatorShape shape = step.shape();
    if (traits(shape.kind).engine == Engine::Vector && shape.kind != Kind::TopK &&
        shape.kind != Kind::Pooling) {
      VectorSize size = vector_size(shape);
      if (shape.kind == Kind::Mean || shape.kind == Kind::Reduce) {
        size.inputs = 0;  // one value a row, spread
        size.broadcast = size.rows;
      } else if (shape.kind != Kind::Rope && shape.kind != Kind::CrossEntropy) {
        size.inputs += 1;  // the gradient beside what was saved
      }
      if (shape.kind == Kind::GatedActivation) size.outputs = static_cast<int64_t>(outputs.size());
      shape = make(rule.operators[0].kind, size, shape.type);
    }
    shape.kind = rule.operators[0].kind;
    emit(step.name, Pass::InputGradient, shape, std::move(inputs), outputs);
    for (size_t i = 0; i < targets.size(); ++i) give(targets[i], outputs[i]);
  }

  void products(const Step& step, const std::vector<ValueId>& incoming) {
    GemmSize size = gemm_size(step.shape());
    ValueId lhs = step.inputs[0], rhs = step.inputs[1];
    DataType type = step.shape().type;
    if (takes(lhs)) {
      std::vector<ValueId> inputs = incoming;
      inputs.push_back(saved(rhs));
      ValueId out = gradient_like(lhs);
      emit(step.name, Pass::InputGradient,
           make(GemmSize{size.batch, size.m, size.k, size.n}, type, step.shape().stored), std::move(inputs),
           {out});
      give(lhs, out);
    }
    if (takes(rhs)) {
      // A weight is stored as [n, k]: its gradient is dYᵀ·X. The right side of two activations is [k, n].
      bool weight = is_weight(block_, rhs);
      std::vector<ValueId> inputs = incoming;
      inputs.push_back(saved(lhs));
      ValueId out = gradient_like(rhs);
      // One that all of a batch of products share (the steps of a recurrence) contracts over the batch too.
      bool shared = weight && block_.values[rhs].elements < static_cast<double>(size.batch) *
                                                                static_cast<double>(size.n) *
                                                                static_cast<double>(size.k);
      GemmSize product = shared   ? GemmSize{1, size.n, size.k, size.m * size.batch}
                         : weight ? GemmSize{size.batch, size.n, size.k, size.m}
                                  : GemmSize{size.batch, size.k, size.n, size.m};
      emit(step.name, weight ? Pass::WeightGradient : Pass::InputGradient, make(product, type, type),
           std::move(inputs), {out});
      give(rhs, out);
    }
    for (size_t i = 2; i < step.inputs.size(); ++i) {
      if (takes(step.inputs[i])) bias(step.inputs[i], size.n, size.m, type, incoming);
    }
    bool without = step.inputs.size() == 2 && is_weight(block_, rhs) && takes(rhs);
    if (without && options_.table.every_bias && options_.accumulate) accumulate_missing_bias(size.n, type);
  }

  void bias(ValueId value, int64_t columns, int64_t rows, DataType type,
            const std::vector<ValueId>& incoming) {
    ValueId out = gradient_like(value);
    if (options_.table.reductions)
      emit("bias.gradient", Pass::WeightGradient,
           make(Kind::Reduce, VectorSize{.rows = columns, .columns = rows}, type), incoming, {out});
    give(value, out);
  }

  void accumulate_missing_bias(int64_t columns, DataType type) {
    auto elements = static_cast<double>(columns);
    ValueId earlier = fresh(elements, type), later = fresh(elements, type), sum = fresh(elements, type);
    emit("gradient.accumulate", Pass::Accumulate,
         make(Kind::Add, VectorSize{.rows = 1, .columns = columns, .inputs = 2}, type), {later, earlier},
         {sum});
  }

  void weights(const Step& step, const Rule& rule, const std::vector<ValueId>& incoming) {
    if (rule.weight == WeightFlow::None) return;
    std::vector<ValueId> trained;
    for (ValueId input : step.inputs) {
      if (is_weight(block_, input) && takes(input)) trained.push_back(input);
    }
    if (trained.empty()) return;
    OperatorShape shape = step.shape();
    std::vector<ValueId> outputs, inputs = incoming;
    switch (rule.weight) {
      case WeightFlow::Product: {
        inputs.push_back(saved(step.inputs[0]));
        ValueId out = gradient_like(trained[0]);
        emit(step.name, Pass::WeightGradient, shape, inputs, {out});
        give(trained[0], out);
        if (trained.size() > 1) {
          double columns = block_.values[trained[1]].elements, all = block_.values[step.outputs[0]].elements;
          bias(trained[1], static_cast<int64_t>(columns), static_cast<int64_t>(all / columns), shape.type,
               incoming);
        }
        return;
      }
      case WeightFlow::Reduction: {
        inputs.push_back(saved(step.inputs[0]));
        VectorSize size = vector_size(shape);
        shape = make(Kind::Reduce,
                     VectorSize{.rows = size.columns,
                                .columns = size.rows,
                                .inputs = 2,
                                .outputs = static_cast<int64_t>(trained.size())},
                     shape.type);
        break;
      }
      case WeightFlow::Scatter: {
        VectorSize size = vector_size(shape);
        ValueId table = fresh(block_.values[trained[0]].elements, shape.type);
        emit(step.name, Pass::WeightGradient,
             make(Kind::Fill, VectorSize{.rows = size.broadcast, .columns = size.columns, .inputs = 0},
                  shape.type),
             {}, {table});
        inputs.push_back(table);
        break;
      }
      case WeightFlow::Passes: {
        VectorSize size = vector_size(shape);
        VectorSize table{.rows = size.broadcast, .columns = size.columns, .inputs = 0};
        ValueId zeros = fresh(block_.values[trained[0]].elements, shape.type);
        emit(step.name, Pass::WeightGradient, make(Kind::Fill, table, shape.type), {}, {zeros});
        inputs.push_back(zeros);
        shape = make(Kind::Fill, table, shape.type);
        break;
      }
      case WeightFlow::Accumulated:
        for (ValueId weight : trained) give(weight, gradient_like(weight));
        return;
      case WeightFlow::None:
        break;
    }
    for (ValueId weight : trained) outputs.push_back(gradient_like(weight));
    emit(step.name, Pass::WeightGradient, shape, std::move(inputs), outputs);
    for (size_t i = 0; i < trained.size(); ++i) give(trained[i], outputs[i]);
  }

  void finish() {
    for (size_t i = 0; i < block_.inputs.size(); ++i) {
      block_.input_gradients.push_back(options_.input_needs[i] ? gradient_[block_.inputs[i]] : kNone);
    }
    Bytes reduced;
    std::vector<ValueId> all;
    size_t values = block_.values.size();
    for (size_t v = 0; v < values; ++v) {
      if (!block_.values[v].trainable || gradient_[v] == kNone) continue;
      all.push_back(gradient_[v]);
      reduced += block_.values[gradient_[v]].bytes();
    }
    if (options_.data_parallel > 1 && !all.empty()) {
      step_ = kNone;
      Step step;
      step.name = "data_parallel.all_reduce";
      step.kernel.parts = {make(Kind::AllReduce,
                                CollectiveSize{static_cast<int64_t>(reduced.value()), options_.data_parallel},
                                Pass::Accumulate)};
      step.inputs = all;
      block_.backward.push_back(std::move(step));
    }
    block_.weight_gradients = std::move(all);
  }

  Block& block_;
  const BackwardOptions& options_;
  std::vector<uint8_t> needs_;
  std::vector<ValueId> gradient_;  // of each value
  std::vector<ValueId> again_;     // of each value: its recomputed form
  std::vector<ValueId> viewed_;    // views that have a gradient of their own
  uint32_t step_ = 0;
};

}  // namespace

std::vector<uint8_t> outputs_that_need(const Block& block, std::span<const uint8_t> input_needs) {
  std::vector<uint8_t> needs = needs_gradient(block, input_needs), out;
  for (ValueId value : block.outputs) out.push_back(needs[value]);
  return out;
}

void add_backward(Block& block, const BackwardOptions& options) {
  Reverse(block, options).run();
}

}  // namespace orrery::graph
