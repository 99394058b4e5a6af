#include "orrery/graph/attention_block.h"

#include <algorithm>

namespace orrery::graph {
namespace {

struct Heads {
  int64_t heads, kv_heads, key_dim, value_dim;
};

double count(int64_t a, int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b);
}

// The cache that this layer reads and appends to: the earlier tokens and the new ones.
ValueId cache_tensor(BlockBuilder& b) {
  const Setting& s = b.setting();
  double tokens = count(s.batch, s.cached + s.query);
  return b.block().add_value(tokens * cache_elements_per_token(s.tower, s.share), s.cache_type(),
                             TensorKind::KvCache);
}

// Appends new keys and values; the result only orders the operators.
ValueId write_cache(BlockBuilder& b, std::vector<ValueId> fresh, ValueId cache, int64_t columns) {
  OperatorShape shape = make(OperatorKind::KvWrite,
                             VectorSize{.rows = b.setting().rows(), .columns = columns}, b.setting().type);
  shape.stored = b.setting().cache_type();
  ValueId written = b.activation(0);
  fresh.push_back(cache);
  b.step("attention.kv_write", shape, std::move(fresh), {written});
  return written;
}

// softmax(QKᵀ)V as PyTorch's eager attention runs it: scores are stored.
ValueId eager_core(BlockBuilder& b, ValueId q, ValueId k, ValueId v, const Heads& h, int64_t keys,
                   bool causal) {
  const Setting& s = b.setting();
  int64_t pairs = s.batch * h.heads, rows = pairs * s.query;
  if (h.kv_heads != h.heads) {
    k = b.vector("attention.repeat_key", OperatorKind::Copy,
                 {.rows = s.batch * keys, .columns = h.heads * h.key_dim}, {k});
    v = b.vector("attention.repeat_value", OperatorKind::Copy,
                 {.rows = s.batch * keys, .columns = h.heads * h.value_dim}, {v});
  }
  if (s.dialect.scale == ScoreScale::MultiplyQuery) {
    q = b.vector("attention.scale", OperatorKind::Multiply,
                 {.rows = s.rows(), .columns = h.heads * h.key_dim}, {q});
  }
  bool written = s.dialect.head_copies == HeadCopies::Written;
  bool by_matmul = s.dialect.head_copies == HeadCopies::ByMatmul && s.batch > 1 && s.query > 1;
  if (written || (by_matmul && !s.work.eager.copies_as_written)) {
    auto apart = [&](std::string_view name, ValueId v, int64_t rows, int64_t columns) {
      return b.vector(name, OperatorKind::Copy, {.rows = rows, .columns = columns}, {v});
    };
    q = apart("attention.contiguous_query", q, s.rows(), h.heads * h.key_dim);
    k = apart("attention.contiguous_key", k, s.batch * keys, h.heads * h.key_dim);
    v = apart("attention.contiguous_value", v, s.batch * keys, h.heads * h.value_dim);
  }
  ValueId scores = b.product("attention.scores", GemmSize{pairs, s.query, keys, h.key_dim}, q, k);
  if (s.dialect.scale == ScoreScale::DivideByTensor) {
    ValueId by = b.block().add_value(1, s.type, TensorKind::Input);
    scores = b.vector("attention.scale", OperatorKind::Divide,
                      {.rows = rows, .columns = keys, .broadcast = 1}, {scores, by});
  } else if (s.dialect.scale == ScoreScale::Divide || s.dialect.scale == ScoreScale::Multiply) {
    OperatorKind kind = s.dialect.scale == ScoreScale::Divide ? OperatorKind::Divide : OperatorKind::Multiply;
    scores = b.vector("attention.scale", kind, {.rows = rows, .columns = keys}, {scores});
  }
  bool biased =
      s.tower.positions == PositionEncoding::RelativeBias || s.tower.positions == PositionEncoding::Alibi;
  if (s.dialect.mask == ScoreMask::Where && causal) {
    int64_t where = s.query * keys + 1;  // what is allowed, and the one value that replaces the rest
    scores = b.vector("attention.mask", OperatorKind::Mask,
                      {.rows = rows, .columns = keys, .broadcast = where}, {scores});
  } else if (s.dialect.mask == ScoreMask::Add || s.dialect.mask == ScoreMask::AddKeys || biased) {
    int64_t masks = biased ? h.heads * s.query : s.batch * s.query;
    if (s.dialect.mask == ScoreMask::AddKeys && !biased) masks = s.batch;
    ValueId mask = b.block().add_value(count(masks, keys), s.type, TensorKind::Input);
    scores = b.vector("attention.mask", OperatorKind::Add,
                      {.rows = rows, .columns = keys, .broadcast = masks * keys}, {scores, mask});
  }
  std::vector<ValueId> logits = {scores};
  if (s.tower.attention_sinks) logits.push_back(b.weight(static_cast<double>(h.heads)));
  ValueId weights = b.vector("attention.softmax", OperatorKind::Softmax, {.rows = rows, .columns = keys},
                             std::move(logits));
  if (s.dialect.wide_softmax && bytes_per_element(s.type) == 2) {
    weights = b.vector("attention.cast", OperatorKind::Copy, {.rows = rows, .columns = keys}, {weights});
  }
  if (s.dialect.attention_dropout || s.work.eager.idle_dropout)
    weights = b.dropout("attention.dropout", weights, rows, keys);
  GemmSize values{pairs, s.query, h.value_dim, keys};
  if (s.work.eager.repeated_score_shapes && s.share.tensor > 1) values = {pairs, s.query, keys, h.key_dim};
  ValueId mixed = b.activation(count(s.rows(), h.heads * h.value_dim));
  b.step("attention.values", make(values, s.type, s.type), {weights, v}, {mixed});
  if (written && s.work.eager.copies_as_written) return mixed;
  return b.vector("attention.contiguous", OperatorKind::Copy,
                  {.rows = s.rows(), .columns = h.heads * h.value_dim}, {mixed});
}

// `written`: kNone, or what orders the core behind the write to `cache`.
ValueId core(BlockBuilder& b, ValueId q, ValueId k, ValueId v, const Heads& h, int64_t keys, bool causal,
             bool shared, ValueId cache, ValueId written) {
  const Setting& s = b.setting();
  b.begin_core();
  ValueId out;
  if (s.work.attention == AttentionKernel::Eager) {
    bool from_cache = cache != kNone && keys > s.query;
    if (from_cache) {  // new keys and values are appended to the cached ones by a copy of both
      auto join = [&](std::string_view name, ValueId fresh, int64_t width) {
        return b.vector(name, OperatorKind::Copy, {.rows = s.batch * keys, .columns = width},
                        {fresh, cache, written});
      };
      k = join("attention.append_key", k, h.kv_heads * h.key_dim);
      v = shared ? k : join("attention.append_value", v, h.kv_heads * h.value_dim);
    }
    out = eager_core(b, q, k, v, h, keys, causal);
  } else {
    std::vector<ValueId> inputs = {q, k, v};
    if (written != kNone) inputs.insert(inputs.end(), {cache, written});
    if (s.tower.attention_sinks) inputs.push_back(b.weight(static_cast<double>(h.heads)));
    AttentionSize size{.batch = s.batch,
                       .query = s.query,
                       .cached = keys - s.query,
                       .heads = h.heads,
                       .kv_heads = h.kv_heads,
                       .head_dim = h.key_dim,
                       .value_dim = h.value_dim,
                       .causal = causal ? 1 : 0,
                       .window = s.windowed ? s.tower.window : 0,
                       .shared = shared ? 1 : 0};
    out = b.activation(count(s.rows(), h.heads * h.value_dim));
    b.step("attention", make(size, s.type, s.cache ? s.cache_type() : s.type), std::move(inputs), {out});
  }
  b.end_core();
  return out;
}

// Rotates Q and K: one kernel for both when fused, one each in eager code.
void rotate(BlockBuilder& b, ValueId& q, ValueId& k, int64_t query_columns, int64_t key_columns,
            int64_t rotary) {
  const Setting& s = b.setting();
  ValueId rotated_q = b.activation(b.block().values[q].elements),
          rotated_k = b.activation(b.block().values[k].elements);
  int64_t tables = s.query * rotary;  // cosines and sines of half the width each
  auto shape = [&](int64_t columns) {
    return make(OperatorKind::Rope, VectorSize{.rows = s.rows(), .columns = columns, .broadcast = tables},
                s.type);
  };
  if (s.work.fuse) {
    b.step("attention.rope", shape(query_columns + key_columns), {q, k}, {rotated_q, rotated_k});
  } else {
    b.step("attention.rope_query", shape(query_columns), {q}, {rotated_q});
    b.step("attention.rope_key", shape(key_columns), {k}, {rotated_k});
  }
  q = rotated_q;
  k = rotated_k;
}

}  // namespace

double cache_elements_per_token(const Tower& tower, const Share& share) {
  if (tower.latent) return tower.latent->kv_rank + tower.latent->rope_dim;
  return count(share.kv_heads, 2 * tower.head_dim);
}

ValueId self_attention(BlockBuilder& b, ValueId x) {
  const Setting& s = b.setting();
  const Tower& t = s.tower;
  int64_t dim = t.head_dim, query_width = s.share.heads * dim, key_width = s.share.kv_heads * dim;
  x = b.enter_group(x);
  auto projection = [&](std::string_view name, int64_t n, Module module) {
    return b.product(name, x,
                     {.n = n,
                      .k = t.hidden,
                      .role = ProductRole::Column,
                      .module = module,
                      .bias = t.qkv_bias,
                      .merge = 1,
                      .merged_name = "attention.qkv"});
  };
  ValueId q = projection("attention.query", query_width, Module::Query);
  ValueId k = projection("attention.key", key_width, Module::Key);
  ValueId v = projection("attention.value", key_width, Module::Value);
  if (t.qk_norm) {
    q = b.normalize("attention.query_norm", q, s.rows() * s.share.heads, dim);
    k = b.normalize("attention.key_norm", k, s.rows() * s.share.kv_heads, dim);
  }
  if (t.positions == PositionEncoding::Rotary) {
    int64_t rotary = t.rotary_dim ? t.rotary_dim : dim;
    rotate(b, q, k, s.share.heads * rotary, s.share.kv_heads * rotary, rotary);
  }
  ValueId cache = kNone, written = kNone;
  if (s.cache) {
    cache = cache_tensor(b);
    written = write_cache(b, {k, v}, cache, 2 * key_width);
  }
  int64_t keys = s.cached + s.query;
  if (s.windowed && s.work.attention == AttentionKernel::Eager && s.cached > 0) {
    keys = std::min<int64_t>(keys, t.window + s.query - 1);
  }
  ValueId mixed =
      core(b, q, k, v, {s.share.heads, s.share.kv_heads, dim, dim}, keys, s.causal, false, cache, written);
  return b.product("attention.output", mixed,
                   {.n = t.hidden,
                    .k = query_width,
                    .role = ProductRole::Row,
                    .module = Module::Output,
                    .bias = t.output_bias});
}

ValueId latent_attention(BlockBuilder& b, ValueId x) {
  const Setting& s = b.setting();
  const Tower& t = s.tower;
  const LatentAttention& m = *t.latent;
  int64_t heads = s.share.heads, query_dim = m.nope_dim + m.rope_dim, rows = s.rows();

  // Down-projections live on every device of the group; what leaves them is divided by heads.
  ValueId q;
  if (m.query_rank > 0) {
    ValueId low = b.product("attention.query_down", x,
                            {.n = m.query_rank,
                             .k = t.hidden,
                             .module = Module::QueryDown,
                             .bias = t.qkv_bias,
                             .merge = 2,
                             .merged_name = "attention.qkv_down"});
    low = b.normalize("attention.query_norm", low, rows, m.query_rank);
    q = b.product(
        "attention.query_up", b.enter_group(low),
        {.n = heads * query_dim, .k = m.query_rank, .role = ProductRole::Column, .module = Module::QueryUp});
  } else {
    q = b.product(
        "attention.query", b.enter_group(x),
        {.n = heads * query_dim, .k = t.hidden, .role = ProductRole::Column, .module = Module::Query});
  }
  ValueId joint = b.product("attention.kv_down", x,
                            {.n = m.kv_rank + m.rope_dim,
                             .k = t.hidden,
                             .module = Module::KeyValueDown,
                             .bias = t.qkv_bias,
                             .merge = 2,
                             .merged_name = "attention.qkv_down"});
  ValueId latent =
      b.normalize("attention.kv_norm", b.block().add_view(joint, count(rows, m.kv_rank)), rows, m.kv_rank);
  ValueId rope_key = b.block().add_view(joint, count(rows, m.rope_dim));
  ValueId rotated_q = q;
  rotate(b, rotated_q, rope_key, heads * m.rope_dim, m.rope_dim, m.rope_dim);
  q = rotated_q;
  ValueId cache = kNone, written = kNone;
  if (s.cache) {
    cache = cache_tensor(b);
    written = write_cache(b, {latent, rope_key}, cache, m.kv_rank + m.rope_dim);
  }
  int64_t keys = s.cached + s.query;
  ValueId mixed;
  if (s.cache && s.query == 1) {
    // Absorbed: the up-projection of keys moves to the query and that of values behind the mix, so that all
    // heads share the cached latent as their one key and value.
    ValueId up = b.weight(count(heads * m.kv_rank, m.nope_dim)),
            down = b.weight(count(heads * m.kv_rank, m.value_dim));
    ValueId absorbed =
        b.product("attention.absorb_query", GemmSize{heads, rows, m.kv_rank, m.nope_dim}, q, up);
    ValueId out = core(b, absorbed, rope_key, latent, {heads, 1, m.kv_rank + m.rope_dim, m.kv_rank}, keys,
                       s.causal, true, cache, written);
    mixed = b.product("attention.absorb_value", GemmSize{heads, rows, m.value_dim, m.kv_rank}, out, down);
  } else {
    // Naive: keys and values of all heads are expanded, those of earlier tokens again.
    int64_t expanded = s.batch * keys;
    ValueId source = latent;
    if (s.cached > 0) {
      source = b.vector("attention.gather_latent", OperatorKind::Copy,
                        {.rows = expanded, .columns = m.kv_rank}, {latent, cache, written});
    }
    ValueId kv = b.product("attention.kv_up", b.enter_group(source),
                           {.n = heads * (m.nope_dim + m.value_dim),
                            .k = m.kv_rank,
                            .role = ProductRole::Column,
                            .module = Module::KeyValueUp,
                            .rows = expanded});
    ValueId k = b.activation(count(expanded, heads * query_dim));
    b.step("attention.join_key",
           make(OperatorKind::Copy, VectorSize{.rows = expanded, .columns = heads * query_dim}, s.type),
           {b.block().add_view(kv, count(expanded, heads * m.nope_dim)), rope_key}, {k});
    ValueId v = b.block().add_view(kv, count(expanded, heads * m.value_dim));
    mixed = core(b, q, k, v, {heads, heads, query_dim, m.value_dim}, keys, s.causal, false, kNone, kNone);
  }
  return b.product("attention.output", mixed,
                   {.n = t.hidden,
                    .k = heads * m.value_dim,
                    .role = ProductRole::Row,
                    .module = Module::Output,
                    .bias = t.output_bias});
}

ValueId cross_attention(BlockBuilder& b, ValueId x, ValueId encoded) {
  const Setting& s = b.setting();
  const Tower& t = s.tower;
  int64_t dim = t.head_dim, query_width = s.share.heads * dim, key_width = s.share.kv_heads * dim;
  ValueId q = b.product("cross_attention.query", b.enter_group(x),
                        {.n = query_width,
                         .k = t.hidden,
                         .role = ProductRole::Column,
                         .module = Module::Query,
                         .bias = t.qkv_bias});
  ValueId k = kNone, v = kNone, cache = kNone, written = kNone;
  if (s.cache) {
    double tokens = count(s.batch, s.cross);
    cache = b.block().add_value(tokens * cache_elements_per_token(t, s.share), s.cache_type(),
                                TensorKind::KvCache);
  }
  bool fresh = encoded != kNone;  // decode finds the encoder's keys and values in the cache
  if (fresh) {
    encoded = b.enter_group(encoded);
    auto projection = [&](std::string_view name, Module module) {
      return b.product(name, encoded,
                       {.n = key_width,
                        .k = t.hidden,
                        .role = ProductRole::Column,
                        .module = module,
                        .bias = t.qkv_bias,
                        .merge = 3,
                        .merged_name = "cross_attention.kv",
                        .rows = s.batch * s.cross});
    };
    k = projection("cross_attention.key", Module::Key);
    v = projection("cross_attention.value", Module::Value);
    if (s.cache) {
      OperatorShape shape = make(OperatorKind::KvWrite,
                                 VectorSize{.rows = s.batch * s.cross, .columns = 2 * key_width}, s.type);
      shape.stored = s.cache_type();
      written = b.activation(0);
      b.step("cross_attention.kv_write", shape, {k, v, cache}, {written});
    }
  } else {
    k = v = cache;
  }
  ValueId mixed =
      core(b, q, k, v, {s.share.heads, s.share.kv_heads, dim, dim}, s.cross, false, false, kNone, kNone);
  return b.product("cross_attention.output", mixed,
                   {.n = t.hidden,
                    .k = query_width,
                    .role = ProductRole::Row,
                    .module = Module::Output,
                    .bias = t.output_bias});
}

}  // namespace orrery::graph
