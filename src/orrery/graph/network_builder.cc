#include "orrery/graph/network_builder.h"

namespace orrery::graph {
namespace {

using Kind = OperatorKind;

double d(int64_t v) {
  return static_cast<double>(v);
}

}  // namespace

void NetworkBuilder::step(std::string_view name, const OperatorShape& shape, std::vector<ValueId> inputs,
                          ValueId output) {
  Step step;
  step.name = name;
  step.kernel.parts = {shape};
  step.inputs = std::move(inputs);
  step.outputs = {output};
  multiply_adds_ += matrix_flops(shape).value() / 2;
  block_.forward.push_back(std::move(step));
}

ValueId NetworkBuilder::vector(std::string_view name, Kind kind, VectorSize size,
                               std::vector<ValueId> inputs) {
  ValueId out = activation(d(size.rows) * d(size.columns));
  step(name, make(kind, size, type_), std::move(inputs), out);
  return out;
}

ValueId NetworkBuilder::weight(double elements) {
  ValueId id = block_.add_value(elements, type_, TensorKind::Weight);
  block_.values[id].trainable = train_;
  parameters_ += elements;
  return id;
}

ImageValue NetworkBuilder::image(int64_t channels, int64_t height, int64_t width) {
  return {block_.add_value(d(batch_) * d(channels) * d(height) * d(width), type_, TensorKind::Input),
          channels, height, width};
}

ImageValue NetworkBuilder::convolution(ImageValue x, const ConvolutionLayer& layer) {
  ConvolutionSize c;
  c.batch = batch_;
  c.in_channels = x.channels;
  c.out_channels = layer.channels;
  c.height = x.height;
  c.width = x.width;
  c.kernel_h = c.kernel_w = layer.kernel;
  c.stride_h = c.stride_w = layer.stride;
  c.pad_h = c.pad_w = layer.pad < 0 ? (layer.kernel - 1) / 2 : layer.pad;
  c.groups = layer.groups;
  std::vector<ValueId> inputs = {
      x.value, weight(d(layer.channels) * d(x.channels / layer.groups) * d(layer.kernel * layer.kernel))};
  if (layer.bias) inputs.push_back(weight(d(layer.channels)));
  ImageValue y{kNone, layer.channels, c.out_height(), c.out_width()};
  y.value = activation(d(elements(y)));
  step("convolution", make(c, type_), std::move(inputs), y.value);
  if (layer.norm) {
    VectorSize size{.rows = elements(y) / y.channels, .columns = y.channels, .broadcast = 4 * y.channels};
    y.value =
        vector("batch_norm", Kind::BatchNorm, size, {y.value, weight(d(y.channels)), weight(d(y.channels))});
  }
  return activate(y, layer.activation);
}

ImageValue NetworkBuilder::activate(ImageValue x, Kind kind) {
  if (kind == Kind::View) return x;
  x.value = vector("activation", kind, {.rows = elements(x) / x.width, .columns = x.width}, {x.value});
  return x;
}

ImageValue NetworkBuilder::add(ImageValue a, ImageValue b) {
  a.value = vector("residual", Kind::Add, {.rows = elements(a) / a.width, .columns = a.width, .inputs = 2},
                   {a.value, b.value});
  return a;
}

ImageValue NetworkBuilder::pool(ImageValue x, int64_t kernel, int64_t stride, int64_t pad) {
  ImageValue y{kNone, x.channels, (x.height + 2 * pad - kernel) / stride + 1,
               (x.width + 2 * pad - kernel) / stride + 1};
  OperatorShape shape{Kind::Pooling,
                      type_,
                      type_,
                      Pass::Forward,
                      {batch_, x.channels, y.height, y.width, kernel, kernel, x.height, x.width}};
  y.value = activation(d(elements(y)));
  step("pool", shape, {x.value}, y.value);
  return y;
}

ImageValue NetworkBuilder::average(ImageValue x, int64_t height, int64_t width) {
  if (x.height == height && x.width == width) return x;
  ImageValue y{kNone, x.channels, height, width};
  const int64_t kernel_h = (x.height + height - 1) / height, kernel_w = (x.width + width - 1) / width;
  OperatorShape shape{Kind::Pooling,
                      type_,
                      type_,
                      Pass::Forward,
                      {batch_, x.channels, height, width, kernel_h, kernel_w, x.height, x.width}};
  y.value = activation(d(elements(y)));
  step("average_pool", shape, {x.value}, y.value);
  return y;
}

ImageValue NetworkBuilder::squeeze_and_excite(ImageValue x, int64_t squeezed, Kind gate) {
  ImageValue scale = average(x, 1, 1);
  scale = convolution(scale, {.channels = squeezed, .norm = false, .bias = true, .activation = Kind::Relu});
  scale = convolution(scale, {.channels = x.channels, .norm = false, .bias = true, .activation = gate});
  VectorSize size{.rows = elements(x) / x.width, .columns = x.width, .broadcast = batch_ * x.channels};
  x.value = vector("excite", Kind::Multiply, size, {x.value, scale.value});
  return x;
}

RowsValue NetworkBuilder::flatten(ImageValue x) {
  return {block_.add_view(x.value, d(elements(x))), x.channels * x.height * x.width};
}

RowsValue NetworkBuilder::linear(RowsValue x, int64_t rows, int64_t columns, bool bias, Kind kind) {
  std::vector<ValueId> inputs = {x.value, weight(d(columns) * d(x.columns))};
  if (bias) inputs.push_back(weight(d(columns)));
  RowsValue y{activation(d(rows) * d(columns)), columns};
  step("linear", make(GemmSize{.m = rows, .n = columns, .k = x.columns}, type_, type_), std::move(inputs),
       y.value);
  if (kind != Kind::View) y.value = vector("activation", kind, {.rows = rows, .columns = columns}, {y.value});
  return y;
}

RowsValue NetworkBuilder::embedding(ValueId table, int64_t tokens, int64_t vocabulary, int64_t width) {
  VectorSize size{.rows = batch_ * tokens, .columns = width, .broadcast = vocabulary};
  return {vector("embedding", Kind::Embedding, size, {table}), width};
}

RowsValue NetworkBuilder::lstm(RowsValue x, int64_t tokens, int64_t hidden) {
  const int64_t rows = batch_ * tokens, gates = 4 * hidden;
  RowsValue in = linear(x, rows, gates, true, Kind::View);
  // Every step multiplies the state that the one before it left; the states are what the layer returns.
  ValueId recurrent = activation(d(rows) * d(gates));
  step("lstm.recurrent", make(GemmSize{.batch = tokens, .m = batch_, .n = gates, .k = hidden}, type_, type_),
       {in.value, weight(d(gates) * d(hidden)), weight(d(gates))}, recurrent);
  // Three gates and the candidate, then the new cell and what it shows.
  ValueId gated = vector("lstm.gates", Kind::Sigmoid, {.rows = rows, .columns = gates}, {recurrent});
  VectorSize cell{.rows = rows, .columns = hidden, .inputs = 4};
  return {vector("lstm.cell", Kind::Multiply, cell, {gated}), hidden};
}

RowsValue NetworkBuilder::concatenate(RowsValue a, RowsValue b, int64_t tokens) {
  VectorSize size{.rows = batch_ * tokens, .columns = a.columns + b.columns};
  return {vector("concatenate", Kind::Copy, size, {a.value, b.value}), a.columns + b.columns};
}

RowsValue NetworkBuilder::add(RowsValue a, RowsValue b, int64_t tokens) {
  VectorSize size{.rows = batch_ * tokens, .columns = a.columns, .inputs = 2};
  return {vector("residual", Kind::Add, size, {a.value, b.value}), a.columns};
}

RowsValue NetworkBuilder::additive_attention(RowsValue queries, int64_t query_tokens, RowsValue keys,
                                             int64_t key_tokens) {
  const int64_t width = queries.columns, pairs = batch_ * query_tokens * key_tokens;
  RowsValue q = linear(queries, batch_ * query_tokens, width, false, Kind::View);
  RowsValue k = linear(keys, batch_ * key_tokens, width, false, Kind::View);
  VectorSize sums{.rows = pairs,
                  .columns = width,
                  .inputs = 0,
                  .broadcast = batch_ * (query_tokens + key_tokens) * width};
  ValueId sum = vector("attention.add", Kind::Add, sums, {q.value, k.value, weight(d(width))});
  ValueId bent = vector("attention.tanh", Kind::Tanh, {.rows = pairs, .columns = width}, {sum});
  ValueId scores = activation(d(pairs));
  step("attention.scores", make(GemmSize{.m = pairs, .n = 1, .k = width}, type_, type_),
       {bent, weight(d(width)), weight(1)}, scores);
  ValueId shares = vector("attention.softmax", Kind::Softmax,
                          {.rows = batch_ * query_tokens, .columns = key_tokens}, {scores});
  ValueId context = activation(d(batch_ * query_tokens) * d(width));
  step("attention.context",
       make(GemmSize{.batch = batch_, .m = query_tokens, .n = width, .k = key_tokens}, type_, type_),
       {shares, keys.value}, context);
  return {context, width};
}

}  // namespace orrery::graph
