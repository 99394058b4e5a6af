#include "orrery/learn/perceptron.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "orrery/base/base64.h"
#include "orrery/learn/matrix_product.h"

namespace orrery::learn {
namespace {

size_t width(const Perceptron& net, size_t layer) {
  return static_cast<size_t>(net.widths()[layer]);
}

// y[rows, outputs of the layer] = x W + b, with ReLU on all but the last layer.
void apply_layer(const Perceptron& net, size_t layer, size_t rows, const float* x, float* y) {
  const size_t in = width(net, layer), out = width(net, layer + 1);
  const float* values = net.values().data();
  const float* bias = values + net.biases_at(layer);
  multiply(rows, out, in, x, values + net.weights_at(layer), y);
  const bool rectified = layer + 1 < net.layers();
  for (size_t row = 0; row < rows; ++row) {
    float* of_row = y + row * out;
    for (size_t j = 0; j < out; ++j) of_row[j] += bias[j];
    if (!rectified) continue;
    for (size_t j = 0; j < out; ++j) of_row[j] = of_row[j] > 0 ? of_row[j] : 0;
  }
}

// Half precision (IEEE 754 binary16) by its bits: compilers disagree on a type for it. Nearest, ties to even.
uint16_t to_half(float x) {
  constexpr float kLeastNormal = 0x1p-14f, kOverflow = 65520;
  const uint32_t bits = std::bit_cast<uint32_t>(x), sign = bits >> 16 & 0x8000u;
  const float size = std::abs(x);
  uint32_t half = 0x7c00u;  // infinity; not-a-numbers become it
  if (size < kLeastNormal) {
    half = static_cast<uint32_t>(std::lrint(size * 0x1p24f));
  } else if (size < kOverflow) {
    const uint32_t magnitude = bits & 0x7fffffffu, odd = magnitude >> 13 & 1u;
    half = (magnitude + 0xfffu + odd - (112u << 23)) >> 13;  // 112: the difference of the exponents' biases
  }
  return static_cast<uint16_t>(sign | half);
}
float from_half(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  float size = std::numeric_limits<float>::infinity();
  if (exponent == 0) {
    size = static_cast<float>(fraction) * 0x1p-24f;
  } else if (exponent < 31) {
    size = std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  }
  return half & 0x8000 ? -size : size;
}

}  // namespace

Perceptron::Perceptron(std::vector<int> widths) : widths_(std::move(widths)) {
  if (widths_.size() < 2 || std::ranges::any_of(widths_, [](int w) { return w <= 0; }))
    throw std::invalid_argument("a perceptron needs at least two positive widths");
  size_t size = 0;
  for (size_t layer = 0; layer + 1 < widths_.size(); ++layer) {
    offsets_.push_back(size);
    size += static_cast<size_t>(widths_[layer] + 1) * static_cast<size_t>(widths_[layer + 1]);
  }
  values_.assign(size, 0.f);
}

Perceptron::Perceptron(std::vector<int> widths, Seed seed) : Perceptron(std::move(widths)) {
  for (size_t layer = 0; layer < layers(); ++layer) {
    Random random(seed.derive(layer));
    const double bound = 1 / std::sqrt(static_cast<double>(widths_[layer]));
    const size_t end = layer + 1 < layers() ? offsets_[layer + 1] : values_.size();
    for (size_t i = offsets_[layer]; i < end; ++i)
      values_[i] = static_cast<float>(bound * (2 * random.uniform() - 1));
  }
}

void Perceptron::evaluate(size_t rows, std::span<const float> x, std::span<float> y) const {
  std::vector<float> from(x.begin(), x.end()), to;
  for (size_t layer = 0; layer < layers(); ++layer) {
    to.resize(rows * width(*this, layer + 1));
    apply_layer(*this, layer, rows, from.data(), to.data());
    std::swap(from, to);
  }
  std::copy(from.begin(), from.end(), y.begin());
}

void Perceptron::round_to_half() {
  for (float& value : values_) value = from_half(to_half(value));
}

std::string Perceptron::to_base64() const {
  std::vector<uint8_t> bytes;
  bytes.reserve(2 * values_.size());
  for (float value : values_) {
    const uint16_t bits = to_half(value);
    bytes.push_back(static_cast<uint8_t>(bits & 0xff));
    bytes.push_back(static_cast<uint8_t>(bits >> 8));
  }
  return encode_base64(bytes);
}

Perceptron Perceptron::from_base64(std::vector<int> widths, std::string_view text) {
  Perceptron net(std::move(widths));
  const std::vector<uint8_t> bytes = decode_base64(text);
  if (bytes.size() != 2 * net.values_.size())
    throw std::invalid_argument("the number of weights does not fit the widths");
  for (size_t i = 0; i < net.values_.size(); ++i) {
    net.values_[i] = from_half(static_cast<uint16_t>(bytes[2 * i] | bytes[2 * i + 1] << 8));
    if (!std::isfinite(net.values_[i])) throw std::invalid_argument("a weight is not finite");
  }
  return net;
}

std::span<const float> forward(const Perceptron& net, size_t rows, std::span<const float> x,
                               PerceptronTape& tape) {
  tape.activations.resize(net.layers() + 1);
  tape.activations[0].assign(x.begin(), x.end());
  for (size_t layer = 0; layer < net.layers(); ++layer) {
    tape.activations[layer + 1].resize(rows * width(net, layer + 1));
    apply_layer(net, layer, rows, tape.activations[layer].data(), tape.activations[layer + 1].data());
  }
  return tape.activations.back();
}

void backward(const Perceptron& net, size_t rows, const PerceptronTape& tape,
              std::span<const float> output_gradient, std::span<float> gradient) {
  std::vector<float> delta(output_gradient.begin(), output_gradient.end()), below, turned, product;
  for (size_t layer = net.layers(); layer-- > 0;) {
    const size_t in = width(net, layer), out = width(net, layer + 1);
    const std::vector<float>& input = tape.activations[layer];
    // d/dW = inputᵀ · delta
    turned.resize(input.size());
    transpose(rows, in, input.data(), turned.data());
    product.resize(in * out);
    multiply(in, out, rows, turned.data(), delta.data(), product.data());
    float* to = gradient.data() + net.weights_at(layer);
    for (size_t i = 0; i < in * out; ++i) to[i] += product[i];
    float* to_bias = gradient.data() + net.biases_at(layer);
    for (size_t row = 0; row < rows; ++row) {
      for (size_t j = 0; j < out; ++j) to_bias[j] += delta[row * out + j];
    }
    if (layer == 0) break;
    // d/dinput = delta · Wᵀ, where the unit was on
    turned.resize(in * out);
    transpose(in, out, net.values().data() + net.weights_at(layer), turned.data());
    below.resize(rows * in);
    multiply(rows, in, out, delta.data(), turned.data(), below.data());
    for (size_t i = 0; i < below.size(); ++i) below[i] = input[i] > 0 ? below[i] : 0;
    std::swap(delta, below);
  }
}

}  // namespace orrery::learn
