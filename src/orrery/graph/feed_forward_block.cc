#include "orrery/graph/feed_forward_block.h"

#include <algorithm>
#include <cmath>

#include "orrery/graph/experts.h"

namespace orrery::graph {
namespace {

double count(int64_t a, int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b);
}

struct Names {
  std::string_view gate, up, act, down, gate_up;
  Module gate_module, up_module, down_module;
};
constexpr Names kDense = {"feed_forward.gate",
                          "feed_forward.up",
                          "feed_forward.activation",
                          "feed_forward.down",
                          "feed_forward.gate_up",
                          Module::Gate,
                          Module::Up,
                          Module::Down};
constexpr Names kShared = {"shared_expert.gate", "shared_expert.up",      "shared_expert.activation",
                           "shared_expert.down", "shared_expert.gate_up", Module::SharedGate,
                           Module::SharedUp,     Module::SharedDown};

ValueId activate(BlockBuilder& b, std::string_view name, ValueId gate, ValueId up, int64_t rows,
                 int64_t columns) {
  if (b.setting().tower.gated) {
    return b.vector(name, OperatorKind::GatedActivation, {.rows = rows, .columns = columns, .inputs = 2},
                    {gate, up});
  }
  return b.vector(name, kind_of(b.setting().tower.activation), {.rows = rows, .columns = columns}, {up});
}

// `x` has entered the group; `reduce`: whether partial sums are reduced here.
ValueId dense(BlockBuilder& b, ValueId x, int64_t width, const Names& names, uint8_t merge, bool reduce) {
  const Tower& t = b.setting().tower;
  auto into = [&](std::string_view name, Module module) {
    return b.product(name, x,
                     {.n = width,
                      .k = t.hidden,
                      .role = ProductRole::Column,
                      .module = module,
                      .bias = t.feed_forward_bias,
                      .merge = merge,
                      .merged_name = names.gate_up});
  };
  ValueId gate = t.gated ? into(names.gate, names.gate_module) : kNone;
  ValueId up = into(names.up, names.up_module);
  ValueId wide = activate(b, names.act, gate, up, b.setting().rows(), width);
  if (b.setting().dialect.inner_dropout && !b.setting().work.fuse)
    wide = b.dropout("feed_forward.inner_dropout", wide, b.setting().rows(), width);
  return b.product(names.down, wide,
                   {.n = t.hidden,
                    .k = width,
                    .role = ProductRole::Row,
                    .module = names.down_module,
                    .bias = t.feed_forward_bias,
                    .reduce = reduce});
}

ValueId grouped(BlockBuilder& b, std::string_view name, ValueId x, GroupedGemmSize size, int64_t resident,
                Module module, uint8_t merge) {
  const Setting& s = b.setting();
  ModuleFormat format =
      s.train() ? ModuleFormat{s.type, s.type} : module_format(s.model, module, s.quantized);
  auto rows = static_cast<double>(size.m), n = static_cast<double>(size.n);
  ValueId weights = b.weight(static_cast<double>(resident) * n * static_cast<double>(size.k), format.weights);
  ValueId out = b.activation(rows * n);
  std::vector<ValueId> inputs = {b.narrowed(x, size.m, size.k, format.activations), weights};
  if (s.tower.moe->expert_bias) inputs.push_back(b.weight(static_cast<double>(resident) * n));
  b.step(name, make(size, format.activations, format.weights), std::move(inputs), {out});
  b.block().forward.back().merge = merge;
  b.block().forward.back().merged_name = "experts.gate_up";
  return out;
}

// Each expert that lives here gathers its tokens into a buffer of its capacity, runs, and scatters its
// results.
ValueId one_after_another(BlockBuilder& b, ValueId tokens, ValueId gates) {
  const Setting& s = b.setting();
  const Tower& t = s.tower;
  int64_t buffer = s.batch * t.moe->capacity, width = s.share.expert_feed_forward;
  ValueId result = tokens;
  for (int64_t e = 0; e < s.share.experts; ++e) {
    ValueId rows =
        b.vector("experts.dispatch", OperatorKind::Copy, {.rows = buffer, .columns = t.hidden}, {tokens});
    auto product = [&](std::string_view name, ValueId x, int64_t n, int64_t k, Module module) {
      return b.product(name, x,
                       {.n = n, .k = k, .module = module, .bias = t.moe->expert_bias, .rows = buffer});
    };
    ValueId gate = t.gated ? product("experts.gate", rows, width, t.hidden, Module::ExpertGate) : kNone;
    ValueId up = product("experts.up", rows, width, t.hidden, Module::ExpertUp);
    ValueId wide = activate(b, "experts.activation", gate, up, buffer, width);
    if (s.dialect.inner_dropout) wide = b.dropout("experts.dropout", wide, buffer, width);
    ValueId out = product("experts.down", wide, t.hidden, width, Module::ExpertDown);
    ValueId scattered = b.activation(count(s.rows(), t.hidden));
    b.step("experts.scatter",
           make(OperatorKind::Copy, VectorSize{.rows = buffer, .columns = t.hidden}, s.type), {out, result},
           {scattered});
    result = scattered;
  }
  return b.vector("experts.combine", OperatorKind::Multiply,
                  {.rows = s.rows(), .columns = t.hidden, .broadcast = s.rows()}, {result, gates});
}

}  // namespace

ValueId feed_forward(BlockBuilder& b, ValueId x) {
  return dense(b, b.enter_group(x), b.setting().share.feed_forward, kDense, 4, true);
}

ValueId mixture_of_experts(BlockBuilder& b, ValueId x) {
  const Setting& s = b.setting();
  const Tower& t = s.tower;
  const Moe& moe = *t.moe;
  int64_t tokens = s.rows(), pairs = tokens * moe.experts_per_token;

  ValueId scores = b.product("router", x, {.n = moe.experts, .k = t.hidden, .bias = moe.router_bias});
  scores =
      b.vector("router.softmax", OperatorKind::Softmax, {.rows = tokens, .columns = moe.experts}, {scores});
  if (moe.groups > 1) {  // first the groups, then experts within them
    scores =
        b.vector("router.group_mask", OperatorKind::Mask, {.rows = tokens, .columns = moe.experts}, {scores});
  }
  OperatorShape top_k{
      OperatorKind::TopK, s.type, s.type, Pass::Forward, {tokens, moe.experts, moe.experts_per_token}};
  ValueId gates = b.activation(static_cast<double>(pairs));
  b.step("router.top_k", top_k, {scores}, {gates});

  x = b.enter_group(x);
  if (s.dialect.sequential_experts && !s.work.fuse && moe.capacity > 0 && s.share.expert_groups == 1)
    return b.all_reduce("tensor_parallel.all_reduce", one_after_another(b, x, gates));
  ValueId rows = b.vector("experts.dispatch", OperatorKind::Copy, {.rows = pairs, .columns = t.hidden}, {x});
  auto exchange = [&](std::string_view name, ValueId value, double bytes_each) {
    if (s.share.expert_groups == 1) return value;
    // Each device of a tensor-parallel group sends its part of the pairs.
    double bytes = static_cast<double>(pairs) * t.hidden * bytes_each / s.share.tensor;
    ValueId out = b.activation(b.block().values[value].elements);
    b.step(name,
           make(OperatorKind::AllToAll, CollectiveSize{static_cast<int64_t>(bytes), s.work.parallel.expert}),
           {value}, {out});
    return out;
  };
  ModuleFormat format =
      s.train() ? ModuleFormat{s.type, s.type} : module_format(s.model, Module::ExpertGate, s.quantized);
  rows = exchange("experts.all_to_all", rows, bytes_per_element(format.activations));

  // The experts that live here see the tokens of all groups that exchange them.
  int64_t seen = tokens * s.share.expert_groups;
  double here = static_cast<double>(s.share.experts) / moe.experts;
  int64_t local_rows = 0, active = 0, heaviest = 0;
  if (moe.capacity > 0) {
    int64_t buffer = s.batch * moe.capacity;
    local_rows = s.share.experts * buffer;
    active = s.share.experts;
    heaviest = buffer;
  } else {
    local_rows = std::max<int64_t>(1, std::llround(static_cast<double>(pairs) * s.share.expert_rows));
    active = std::clamp<int64_t>(
        std::llround(expected_active_experts(seen, moe.experts, moe.experts_per_token) * here), 1,
        s.share.experts);
    heaviest = std::min<int64_t>(
        local_rows,
        std::llround(std::ceil(expected_fullest_expert(seen, moe.experts, moe.experts_per_token))));
  }
  int64_t width = s.share.expert_feed_forward;
  ValueId taken = b.block().add_view(rows, static_cast<double>(local_rows) * t.hidden);
  GroupedGemmSize into{active, local_rows, width, t.hidden, heaviest},
      out_of{active, local_rows, t.hidden, width, heaviest};
  ValueId gate =
      t.gated ? grouped(b, "experts.gate", taken, into, s.share.experts, Module::ExpertGate, 5) : kNone;
  ValueId up = grouped(b, "experts.up", taken, into, s.share.experts, Module::ExpertUp, 5);
  ValueId wide = activate(b, "experts.activation", gate, up, local_rows, width);
  ValueId out = grouped(b, "experts.down", wide, out_of, s.share.experts, Module::ExpertDown, 0);
  out = exchange("experts.all_to_all_back", out, bytes_per_element(s.type));

  ValueId combined = b.activation(static_cast<double>(tokens) * t.hidden);
  auto copies = std::max<int64_t>(1, std::llround(static_cast<double>(local_rows * s.share.expert_groups) /
                                                  static_cast<double>(tokens * s.share.expert_groups)));
  b.step("experts.combine",
         make(OperatorKind::Reduce,
              VectorSize{.rows = tokens * t.hidden, .columns = copies, .broadcast = pairs}, s.type),
         {out, gates}, {combined});
  if (moe.shared_feed_forward > 0) {
    ValueId shared = dense(b, x, s.share.shared_feed_forward, kShared, 6, false);
    if (moe.shared_gate) {
      ValueId weight = b.product("shared_expert.scale", x, {.n = 1, .k = t.hidden});
      weight =
          b.vector("shared_expert.sigmoid", OperatorKind::Sigmoid, {.rows = tokens, .columns = 1}, {weight});
      shared = b.vector("shared_expert.scaled", OperatorKind::Multiply,
                        {.rows = tokens, .columns = t.hidden, .broadcast = tokens}, {shared, weight});
    }
    combined = b.add("experts.add_shared", combined, shared);
  }
  return b.all_reduce("tensor_parallel.all_reduce", combined);
}

}  // namespace orrery::graph
