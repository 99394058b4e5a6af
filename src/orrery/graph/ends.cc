#include "orrery/graph/ends.h"

#include <algorithm>

namespace orrery::graph {
namespace {

double count(int64_t a, int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b);
}

// Rows of `table` by index.
ValueId look_up(BlockBuilder& b, std::string_view name, ValueId table, int64_t rows, int64_t table_rows,
                int64_t columns) {
  ValueId out = b.activation(count(rows, columns));
  b.step(name,
         make(OperatorKind::Embedding, VectorSize{.rows = rows, .columns = columns, .broadcast = table_rows},
              b.setting().type),
         {table}, {out});
  return out;
}

// Positions and segments: tables beside that of tokens.
ValueId look_up_beside(BlockBuilder& b, std::string_view name, int64_t rows, int64_t table_rows,
                       int64_t columns) {
  const Setting& s = b.setting();
  ValueId table = b.weight(count(table_rows, columns));
  if (!s.work.eager.free_positions) return look_up(b, name, table, rows, table_rows, columns);
  b.block().values[table].trainable = false;
  ValueId out = b.activation(count(rows, columns));
  b.step(name, OperatorShape{}, {table}, {out});
  return out;
}

// What prepares position ids and masks.
void keep_books(BlockBuilder& b) {
  const Setting& s = b.setting();
  if (!s.work.eager.bookkeeping) return;
  ValueId ids = b.block().add_value(static_cast<double>(s.rows()), s.type, TensorKind::Input);
  VectorSize each{.rows = s.batch, .columns = s.query},
      both{.rows = s.batch, .columns = s.query, .inputs = 2};
  if (s.dialect.key_mask) b.vector("embedding.key_mask", OperatorKind::Multiply, each, {ids});
  if (s.dialect.counted_positions) {
    b.vector("embedding.causal_mask", OperatorKind::Add, {.rows = 1, .columns = s.query}, {ids});
    ValueId sums = b.vector("embedding.position_count", OperatorKind::Copy, each, {ids});
    ValueId masked = b.vector("embedding.position_mask", OperatorKind::Multiply, both, {sums, ids});
    b.vector("embedding.position_offset", OperatorKind::Add, each, {masked});
  }
}

ValueId add_positions(BlockBuilder& b, ValueId x, int64_t positions) {
  const Setting& s = b.setting();
  int64_t hidden = s.tower.hidden;
  ValueId rows = look_up_beside(b, "embedding.position", s.query, positions, hidden);
  return b.vector("embedding.add_position", OperatorKind::Add,
                  {.rows = s.rows(), .columns = hidden, .broadcast = s.query * hidden}, {x, rows});
}

// One token of each sequence: `rows` of them.
ValueId select(BlockBuilder& b, ValueId x, int64_t rows) {
  return b.vector("head.select", OperatorKind::Copy, {.rows = rows, .columns = b.setting().tower.hidden},
                  {x});
}

// An embedding table that an earlier block holds.
ValueId shared_table(BlockBuilder& b, double elements) {
  ValueId table = b.input(elements);
  b.block().values[table].kind = TensorKind::Weight;
  return table;
}

// Cross entropy over a divided vocabulary reduces the maximum, the sum and the target's logit of each row
// over the group.
void cross_entropy(BlockBuilder& b, ValueId logits, int64_t rows, int64_t columns, bool divided) {
  const Setting& s = b.setting();
  ValueId loss = b.activation(static_cast<double>(rows));
  std::vector<ValueId> outputs = {loss};
  b.step("loss", make(OperatorKind::CrossEntropy, VectorSize{.rows = rows, .columns = columns}, s.type),
         {logits}, outputs);
  if (divided && s.share.tensor > 1) {
    ValueId reduced = b.block().add_value(static_cast<double>(3 * rows), DataType::FP32);
    b.step("loss.all_reduce", make(OperatorKind::AllReduce, CollectiveSize{3 * rows * 4, s.share.tensor}),
           {loss}, {reduced});
    loss = reduced;
  }
  b.block().outputs.push_back(loss);
}

void vocabulary(BlockBuilder& b, ValueId x, ValueId table) {
  const Setting& s = b.setting();
  const Tower& t = s.tower;
  int64_t local = vocabulary_share(s.model.vocabulary, s.share.tensor), rows = s.rows();
  int64_t width = t.embedding_width > 0 ? t.embedding_width : t.hidden;
  bool draws = t.role == TowerRole::Decoder;  // one next token a sequence
  if (draws && !s.train() && (s.work.last_token_only || s.query == 1)) {
    rows = s.batch;
    if (s.query > 1) x = select(b, x, rows);
  }
  if (t.embedding_width > 0) x = b.product("head.project_out", x, {.n = width, .k = t.hidden, .rows = rows});
  if (s.model.head_transform) {
    x = b.product("head.transform", x, {.n = t.hidden, .k = t.hidden, .bias = true, .rows = rows});
    x = b.vector("head.activation", kind_of(t.activation), {.rows = rows, .columns = t.hidden}, {x});
    x = b.normalize("head.norm", x, rows, t.hidden);
  }
  if (table == kNone) table = b.weight(count(local, width));
  ValueId logits = b.activation(count(rows, local));
  std::vector<ValueId> inputs = {b.enter_group(x), table};
  if (s.model.head_bias) inputs.push_back(b.weight(static_cast<double>(local)));
  b.step("head", make(GemmSize{.m = rows, .n = local, .k = width}, s.type, s.type), std::move(inputs),
         {logits});
  if (s.dialect.contiguous_logits && s.work.eager.copies_as_written) {
    logits = b.vector("head.contiguous", OperatorKind::Copy, {.rows = rows, .columns = local}, {logits});
  }
  if (s.train() && s.work.loss) {
    cross_entropy(b, logits, rows, local, true);
    return;
  }
  if (s.share.tensor > 1 && !s.train()) {
    ValueId all = b.activation(count(rows, local * s.share.tensor));
    CollectiveSize size{static_cast<int64_t>(b.block().values[all].bytes().value()), s.share.tensor};
    b.step("head.all_gather", make(OperatorKind::AllGather, size), {logits}, {all});
    logits = all;
  }
  if (draws && s.work.fuse && s.cache && s.work.last_token_only) {  // a serving engine draws the next token
    ValueId token = b.block().add_value(static_cast<double>(rows), DataType::INT64);
    b.step("sampling",
           make(OperatorKind::Sampling, VectorSize{.rows = rows, .columns = s.model.vocabulary}, s.type),
           {logits}, {token});
    logits = token;
  }
  b.block().outputs.push_back(logits);
}

// `x`: pooled rows, or all tokens.
void classifier(BlockBuilder& b, ValueId x, int64_t rows) {
  const Setting& s = b.setting();
  ValueId classes = b.product("head.classifier", x,
                              {.n = s.model.classes, .k = s.tower.hidden, .bias = true, .rows = rows});
  if (s.train() && s.work.loss) {
    cross_entropy(b, classes, rows, s.model.classes, false);
  } else {
    b.block().outputs.push_back(classes);
  }
}

}  // namespace

Block token_embedding(const Setting& s, bool offers_table, bool takes_table) {
  BlockBuilder b(s);
  keep_books(b);
  const Tower& t = s.tower;
  int64_t local = vocabulary_share(s.model.vocabulary, s.share.tensor);
  int64_t width = t.embedding_width > 0 ? t.embedding_width : t.hidden;
  ValueId table = takes_table ? shared_table(b, count(local, width)) : b.weight(count(local, width));
  ValueId x =
      b.all_reduce("tensor_parallel.all_reduce", look_up(b, "embedding", table, s.rows(), local, width));
  if (t.embedding_width > 0) x = b.product("embedding.project_in", x, {.n = t.hidden, .k = width});
  if (s.model.token_types > 0) {
    x = b.add("embedding.add_segment", x,
              look_up_beside(b, "embedding.segment", s.rows(), s.model.token_types, t.hidden));
  }
  if (t.positions == PositionEncoding::Learned) x = add_positions(b, x, t.position_rows);
  if (t.embedding_norm) x = b.normalize("embedding.norm", x, s.rows(), t.hidden);
  if (s.dialect.embedding_dropout) x = b.dropout("embedding.dropout", x, s.rows(), t.hidden);
  if (t.positions == PositionEncoding::RelativeBias && t.relative_buckets > 0) {
    // One table a tower: a bias for each pair of positions and head, made at its first layer.
    int64_t pairs = s.query * (s.cached + s.query);
    ValueId buckets = b.weight(count(t.relative_buckets, s.share.heads));
    look_up(b, "embedding.relative_bias", buckets, pairs, t.relative_buckets, s.share.heads);
  }
  b.block().outputs = {x};
  if (offers_table) b.block().outputs.push_back(table);
  return std::move(b.block());
}

Block patch_embedding(const Setting& s) {
  BlockBuilder b(s);
  const Tower& t = s.tower;
  int64_t side = t.image_size / t.patch_size, patches = side * side;
  ValueId image = b.block().add_value(count(s.batch * t.channels, count(t.image_size, t.image_size)), s.type,
                                      TensorKind::Input);
  ConvolutionSize patch{.batch = s.batch,
                        .in_channels = t.channels,
                        .out_channels = t.hidden,
                        .height = t.image_size,
                        .width = t.image_size,
                        .kernel_h = t.patch_size,
                        .kernel_w = t.patch_size,
                        .stride_h = t.patch_size,
                        .stride_w = t.patch_size};
  ValueId x = b.activation(count(s.batch * patches, t.hidden));
  std::vector<ValueId> inputs = {image, b.weight(count(t.hidden, t.channels * t.patch_size * t.patch_size))};
  if (t.patch_bias) inputs.push_back(b.weight(t.hidden));
  b.step("embedding.patches", make(patch, s.type), std::move(inputs), {x});
  if (t.class_token) {
    ValueId joined = b.activation(count(s.rows(), t.hidden));
    b.step("embedding.class_token",
           make(OperatorKind::Copy, VectorSize{.rows = s.rows(), .columns = t.hidden}, s.type),
           {x, b.weight(t.hidden)}, {joined});
    x = joined;
  }
  ValueId positions = b.weight(count(t.position_rows, t.hidden));
  x = b.vector("embedding.add_position", OperatorKind::Add,
               {.rows = s.rows(), .columns = t.hidden, .broadcast = s.query * t.hidden}, {x, positions});
  if (t.embedding_norm) x = b.normalize("embedding.norm", x, s.rows(), t.hidden);
  b.block().outputs = {x};
  return std::move(b.block());
}

bool has_loss(const ModelConfig& model, const Tower& tower) {
  return tower.projection == 0 && &tower == &model.towers.back() && (model.head || model.classes > 0);
}

Block head(const Setting& s, bool tied) {
  BlockBuilder b(s);
  const Tower& t = s.tower;
  ValueId x = b.input(count(s.rows(), t.hidden));
  if (s.adds_before) x = b.add("residual", x, b.input(count(s.rows(), t.hidden)));
  int64_t local = vocabulary_share(s.model.vocabulary, s.share.tensor);
  ValueId table =
      tied ? shared_table(b, count(local, t.embedding_width > 0 ? t.embedding_width : t.hidden)) : kNone;
  bool vision = t.role == TowerRole::Vision, projects = t.projection > 0;
  int64_t rows = s.rows();
  if (vision && projects) {  // CLIP norms the class token alone
    x = select(b, x, s.batch);
    rows = s.batch;
  }
  if (t.final_norm) x = b.normalize("head.final_norm", x, rows, t.hidden);
  if (projects) {
    if (rows != s.batch) x = select(b, x, s.batch);
    b.block().outputs = {
        b.product("head.projection", x, {.n = t.projection, .k = t.hidden, .rows = s.batch})};
    return std::move(b.block());
  }
  if (&t != &s.model.towers.back()) {
    b.block().outputs = {x};
    return std::move(b.block());
  }
  ValueId first = kNone;
  if (s.model.pooler) {
    first = b.product("head.pooler", select(b, x, s.batch),
                      {.n = t.hidden, .k = t.hidden, .bias = true, .rows = s.batch});
    first =
        b.vector("head.pooler_activation", s.work.eager.pooler_relu ? OperatorKind::Relu : OperatorKind::Tanh,
                 {.rows = s.batch, .columns = t.hidden}, {first});
  }
  if (s.model.head) vocabulary(b, x, table);
  if (s.model.classes > 0) {
    if (first == kNone && vision) first = select(b, x, s.batch);
    bool pooled = first != kNone;
    classifier(b, pooled ? first : x, pooled ? s.batch : s.rows());
  }
  if (b.block().outputs.empty()) b.block().outputs = {first == kNone ? x : first};
  return std::move(b.block());
}

Block contrast(const Setting& s) {
  BlockBuilder b(s);
  double width = s.tower.projection;
  ValueId text = b.input(static_cast<double>(s.batch) * width),
          image = b.input(static_cast<double>(s.batch) * width);
  ValueId logits =
      b.product("contrast", GemmSize{.m = s.batch, .n = s.batch, .k = s.tower.projection}, text, image);
  logits = b.vector("contrast.temperature", OperatorKind::Multiply,
                    {.rows = s.batch, .columns = s.batch, .broadcast = 1}, {logits, b.weight(1)});
  if (s.train() && s.work.loss) {
    cross_entropy(b, logits, s.batch, s.batch, false);
  } else {
    b.block().outputs = {logits};
  }
  return std::move(b.block());
}

}  // namespace orrery::graph
