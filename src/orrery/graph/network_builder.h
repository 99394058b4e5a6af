// Emits the layers of convolutional and recurrent networks into a block, with the shapes that they leave.
//
// Images are batch × channels × height × width, sequences batch·tokens rows of width columns. The steps of an
// LSTM are one product whose batch is the steps, as libraries run a layer in one call: its rows are those of
// one step, its weight is shared by all of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "orrery/graph/block.h"

namespace orrery::graph {

struct ImageValue {
  ValueId value = kNone;
  int64_t channels = 1, height = 1, width = 1;
};
struct RowsValue {
  ValueId value = kNone;
  int64_t columns = 1;
};

struct ConvolutionLayer {
  int64_t channels = 1, kernel = 1, stride = 1, groups = 1;
  int64_t pad = -1;  // −1: keeps the size at stride 1, (kernel − 1) / 2
  bool norm = true, bias = false;
  OperatorKind activation = OperatorKind::View;  // View: none
};

class NetworkBuilder {
 public:
  NetworkBuilder(int64_t batch, DataType type, bool train) : batch_(batch), type_(type), train_(train) {}
  Block& block() { return block_; }
  double parameters() const { return parameters_; }
  double multiply_adds() const { return multiply_adds_; }

  ImageValue image(int64_t channels, int64_t height, int64_t width);
  // Callers check that channels divide into groups and that the window fits.
  ImageValue convolution(ImageValue x, const ConvolutionLayer& layer);
  ImageValue activate(ImageValue x, OperatorKind activation);
  ImageValue add(ImageValue a, ImageValue b);
  ImageValue pool(ImageValue x, int64_t kernel, int64_t stride, int64_t pad);
  ImageValue average(ImageValue x, int64_t height, int64_t width);  // to that size
  // x scaled, channel by channel, by what two 1×1 convolutions make of its mean (Hu et al., arXiv
  // 1709.01507).
  ImageValue squeeze_and_excite(ImageValue x, int64_t squeezed, OperatorKind gate);
  RowsValue flatten(ImageValue x);

  RowsValue linear(RowsValue x, int64_t rows, int64_t columns, bool bias, OperatorKind activation);
  RowsValue embedding(ValueId table, int64_t tokens, int64_t vocabulary, int64_t width);
  ValueId weight(double elements);
  RowsValue lstm(RowsValue x, int64_t tokens, int64_t hidden);
  RowsValue concatenate(RowsValue a, RowsValue b, int64_t tokens);
  RowsValue add(RowsValue a, RowsValue b, int64_t tokens);
  // Additive attention of `queries` over `keys` (Bahdanau et al., arXiv 1409.0473), normalized as GNMT has
  // it: query and key products without bias, a vector of scores with a norm and a bias; the weighted sum of
  // keys.
  RowsValue additive_attention(RowsValue queries, int64_t query_tokens, RowsValue keys, int64_t key_tokens);

 private:
  ValueId activation(double elements) { return block_.add_value(elements, type_); }
  ValueId vector(std::string_view name, OperatorKind kind, VectorSize size, std::vector<ValueId> inputs);
  void step(std::string_view name, const OperatorShape& shape, std::vector<ValueId> inputs, ValueId output);
  int64_t elements(const ImageValue& x) const { return batch_ * x.channels * x.height * x.width; }

  int64_t batch_;
  DataType type_;
  bool train_;
  Block block_;
  double parameters_ = 0, multiply_adds_ = 0;
};

}  // namespace orrery::graph
