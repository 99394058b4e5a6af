// A small multilayer perceptron: dense layers with ReLU between them and none after the last.
//
//   h_0 = x,  h_i = max(0, W_i h_{i−1} + b_i),  y = W_L h_{L−1} + b_L
//
// Evaluation is thread-safe and allocates only scratch; training is perceptron_fit.h. Values are single
// precision; a perceptron that is written down has been rounded to half precision first (`round_to_half`), so
// that what is read again is what was judged.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/random.h"

namespace orrery::learn {

class Perceptron {
 public:
  Perceptron() = default;
  // widths: inputs, hidden…, outputs; at least two, all positive. Weights and biases uniform in ±1/√inputs of
  // their layer, as PyTorch's dense layer starts (He et al. 2015 with a = √5).
  Perceptron(std::vector<int> widths, Seed seed);

  const std::vector<int>& widths() const { return widths_; }
  int inputs() const { return widths_.front(); }
  int outputs() const { return widths_.back(); }
  size_t layers() const { return widths_.size() - 1; }

  // x: rows × inputs, y: rows × outputs, row-major.
  void evaluate(size_t rows, std::span<const float> x, std::span<float> y) const;

  // All values, layer by layer: weights[inputs of the layer × outputs of the layer], then biases[outputs].
  std::span<float> values() { return values_; }
  std::span<const float> values() const { return values_; }
  size_t weights_at(size_t layer) const { return offsets_[layer]; }
  size_t biases_at(size_t layer) const {
    return offsets_[layer] + static_cast<size_t>(widths_[layer]) * static_cast<size_t>(widths_[layer + 1]);
  }

  void round_to_half();
  // The values as half-precision numbers in little-endian order, in base64.
  std::string to_base64() const;
  // Throws std::invalid_argument where the text is no such list of the right length.
  static Perceptron from_base64(std::vector<int> widths, std::string_view text);

 private:
  explicit Perceptron(std::vector<int> widths);
  std::vector<int> widths_;
  std::vector<size_t> offsets_;  // of each layer's weights in values_
  std::vector<float> values_;
};

// What one batch leaves behind for its backward pass.
struct PerceptronTape {
  std::vector<std::vector<float>> activations;  // of each layer, rows × width; [0] = the inputs
};

// As evaluate, keeping the activations; returns the outputs, rows × outputs.
std::span<const float> forward(const Perceptron&, size_t rows, std::span<const float> x, PerceptronTape&);
// gradient += d loss / d values, given d loss / d outputs (rows × outputs) of the batch on the tape.
void backward(const Perceptron&, size_t rows, const PerceptronTape&, std::span<const float> output_gradient,
              std::span<float> gradient);

}  // namespace orrery::learn
