#include "orrery/learn/perceptron.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "orrery/base/base64.h"
#include "orrery/learn/test_values.h"

namespace orrery::learn {
namespace {

// The perceptron as its equation reads, in double precision.
std::vector<double> reference(const Perceptron& net, std::span<const double> values,
                              std::span<const float> x) {
  std::vector<double> h(x.begin(), x.end());
  for (size_t layer = 0; layer < net.layers(); ++layer) {
    const size_t out = static_cast<size_t>(net.widths()[layer + 1]);
    std::vector<double> next(out);
    for (size_t j = 0; j < out; ++j) {
      next[j] = values[net.biases_at(layer) + j];
      for (size_t i = 0; i < h.size(); ++i) next[j] += h[i] * values[net.weights_at(layer) + i * out + j];
      if (layer + 1 < net.layers()) next[j] = std::max(0., next[j]);
    }
    h = next;
  }
  return h;
}

TEST(Perceptron, gradients_agree_with_finite_differences) {
  const Perceptron net({4, 9, 6, 3}, Seed{3});
  constexpr size_t kRows = 5;
  const std::vector<float> x = random_values(kRows * 4, Seed{4});
  const std::vector<double> toward = {.3, -1.2, .7};  // the loss is toward · y, summed over rows
  PerceptronTape tape;
  forward(net, kRows, x, tape);
  std::vector<float> output_gradient, gradient(net.values().size(), 0.f);
  for (size_t row = 0; row < kRows; ++row)
    for (double t : toward) output_gradient.push_back(static_cast<float>(t));
  backward(net, kRows, tape, output_gradient, gradient);

  std::vector<double> values(net.values().begin(), net.values().end());
  auto loss = [&] {
    double sum = 0;
    for (size_t row = 0; row < kRows; ++row) {
      std::vector<double> y = reference(net, values, std::span(x).subspan(row * 4, 4));
      for (size_t j = 0; j < 3; ++j) sum += toward[j] * y[j];
    }
    return sum;
  };
  for (size_t i = 0; i < values.size(); ++i) {
    const double kept = values[i], step = 1e-6;
    values[i] = kept + step;
    const double above = loss();
    values[i] = kept - step;
    const double below = loss();
    values[i] = kept;
    ASSERT_NEAR(static_cast<double>(gradient[i]), (above - below) / (2 * step), 1e-4) << i;
  }
}

TEST(Perceptron, evaluates_as_its_equation_for_any_number_of_rows) {
  const Perceptron net({3, 40, 40, 2}, Seed{5});
  const std::vector<double> values(net.values().begin(), net.values().end());
  const std::vector<float> x = random_values(17 * 3, Seed{6});
  std::vector<float> y(17 * 2), one(2);
  net.evaluate(17, x, y);
  for (size_t row = 0; row < 17; ++row) {
    std::vector<double> expected = reference(net, values, std::span(x).subspan(row * 3, 3));
    net.evaluate(1, std::span(x).subspan(row * 3, 3), one);
    for (size_t j = 0; j < 2; ++j) {
      EXPECT_NEAR(static_cast<double>(y[row * 2 + j]), expected[j], 1e-4);
      EXPECT_EQ(y[row * 2 + j], one[j]);
    }
  }
}

TEST(Perceptron, survives_being_written_once_rounded) {
  Perceptron net({4, 16, 3}, Seed{7});
  net.round_to_half();
  const Perceptron again = Perceptron::from_base64(net.widths(), net.to_base64());
  EXPECT_TRUE(std::equal(net.values().begin(), net.values().end(), again.values().begin()));
}

TEST(Perceptron, keeps_every_finite_half_and_rounds_between_two_to_the_even_one) {
  std::vector<uint8_t> bytes;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    if ((bits >> 10 & 31) == 31) continue;  // infinities and not-a-numbers
    bytes.push_back(static_cast<uint8_t>(bits & 255));
    bytes.push_back(static_cast<uint8_t>(bits >> 8));
  }
  ASSERT_EQ(bytes.size() / 2, 62u * 1024);
  const std::string text = encode_base64(bytes);
  EXPECT_EQ(Perceptron::from_base64({61, 1024}, text).to_base64(), text);

  Perceptron net({1, 3}, Seed{1});
  const float between[] = {1 + 0x1p-11f, 1 + 0x3p-11f, 0x3p-25f, -65519.f, 0.1f, 0x1p-26f};
  const float rounded[] = {1, 1 + 0x1p-9f, 0x1p-23f, -65504.f, 0.0999755859375f, 0};
  std::copy(std::begin(between), std::end(between), net.values().begin());
  net.round_to_half();
  for (size_t i = 0; i < std::size(rounded); ++i) EXPECT_EQ(net.values()[i], rounded[i]) << between[i];
}

TEST(Perceptron, refuses_text_that_is_no_list_of_its_weights) {
  Perceptron net({2, 3, 1}, Seed{1});
  const std::string text = net.to_base64();
  EXPECT_THROW(Perceptron::from_base64({2, 4, 1}, text), std::invalid_argument);
  EXPECT_THROW(Perceptron::from_base64({2, 3, 1}, text.substr(1)), std::invalid_argument);
  EXPECT_THROW(Perceptron::from_base64({2, 3, 1}, "!" + text.substr(1)), std::invalid_argument);
  EXPECT_THROW(Perceptron::from_base64({0, 3, 1}, text), std::invalid_argument);
  std::string infinite = encode_base64(std::vector<uint8_t>(26, 0x7c));
  EXPECT_THROW(Perceptron::from_base64({2, 3, 1}, infinite), std::invalid_argument);
}

}  // namespace
}  // namespace orrery::learn
