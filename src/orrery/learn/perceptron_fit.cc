#include "orrery/learn/perceptron_fit.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "orrery/base/error.h"

namespace orrery::learn {
namespace {

class AdamW {
 public:
  AdamW(size_t size, const PerceptronFitOptions& options) : o_(options), mean_(size), square_(size) {}

  void step(std::span<float> values, std::span<const float> gradient, double rate) {
    ++steps_;
    const float b1 = static_cast<float>(o_.beta1), b2 = static_cast<float>(o_.beta2);
    const float keep = static_cast<float>(1 - rate * o_.decay);
    const float scale = static_cast<float>(rate / (1 - std::pow(o_.beta1, steps_)));
    const float root = static_cast<float>(1 / std::sqrt(1 - std::pow(o_.beta2, steps_)));
    const float epsilon = static_cast<float>(o_.epsilon);
    for (size_t i = 0; i < values.size(); ++i) {
      const float g = gradient[i];
      mean_[i] = b1 * mean_[i] + (1 - b1) * g;
      square_[i] = b2 * square_[i] + (1 - b2) * g * g;
      values[i] = keep * values[i] - scale * mean_[i] / (std::sqrt(square_[i]) * root + epsilon);
    }
  }

 private:
  const PerceptronFitOptions& o_;
  std::vector<float> mean_, square_;
  double steps_ = 0;
};

// The chosen rows of x, one after the other.
void gather(std::span<const float> x, size_t inputs, std::span<const uint32_t> rows, std::vector<float>& to) {
  to.clear();
  for (uint32_t row : rows) {
    auto begin = x.begin() + static_cast<ptrdiff_t>(row * inputs);
    to.insert(to.end(), begin, begin + static_cast<ptrdiff_t>(inputs));
  }
}

double mean_error(const Perceptron& net, std::span<const float> x, std::span<const uint32_t> rows,
                  const RowError& error) {
  constexpr size_t kChunk = 1024;
  const size_t outputs = static_cast<size_t>(net.outputs());
  std::vector<float> batch, y;
  double sum = 0;
  for (size_t begin = 0; begin < rows.size(); begin += kChunk) {
    auto chosen = rows.subspan(begin, std::min(kChunk, rows.size() - begin));
    gather(x, static_cast<size_t>(net.inputs()), chosen, batch);
    y.resize(chosen.size() * outputs);
    net.evaluate(chosen.size(), batch, y);
    for (size_t i = 0; i < chosen.size(); ++i)
      sum += error(chosen[i], std::span<const float>(y).subspan(i * outputs, outputs));
  }
  return sum / static_cast<double>(rows.size());
}

}  // namespace

std::vector<uint32_t> shuffled(size_t n, Seed seed) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  Random random(seed);
  for (size_t i = n; i > 1; --i) std::swap(order[i - 1], order[random.index(i)]);
  return order;
}

PerceptronFit fit_perceptron(Perceptron start, std::span<const float> x, std::span<const uint32_t> training,
                             std::span<const uint32_t> held_back, const RowLoss& loss, const RowError& error,
                             const PerceptronFitOptions& options) {
  const size_t inputs = static_cast<size_t>(start.inputs()), outputs = static_cast<size_t>(start.outputs());
  const size_t batch = static_cast<size_t>(options.batch);
  Perceptron net = std::move(start);
  AdamW optimizer(net.values().size(), options);
  PerceptronTape tape;
  std::vector<float> chosen, output_gradient, gradient(net.values().size());
  std::vector<uint32_t> rows;
  const double steps = static_cast<double>(options.epochs) *
                       std::ceil(static_cast<double>(training.size()) / static_cast<double>(batch));
  PerceptronFit fit;
  fit.net = net;
  fit.error = std::numeric_limits<double>::infinity();
  double step = 0;
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    if (options.stop.stop_requested()) throw Interrupted();
    std::vector<uint32_t> order =
        shuffled(training.size(), options.seed.derive(static_cast<uint64_t>(epoch)));
    double total = 0;
    for (size_t begin = 0; begin < order.size(); begin += batch, ++step) {
      const size_t n = std::min(batch, order.size() - begin);
      rows.clear();
      for (size_t i = 0; i < n; ++i) rows.push_back(training[order[begin + i]]);
      gather(x, inputs, rows, chosen);
      std::span<const float> y = forward(net, n, chosen, tape);
      output_gradient.assign(n * outputs, 0.f);
      for (size_t i = 0; i < n; ++i) {
        std::span<float> of_row(&output_gradient[i * outputs], outputs);
        total += loss(rows[i], y.subspan(i * outputs, outputs), of_row);
        for (float& g : of_row) g /= static_cast<float>(n);
      }
      std::fill(gradient.begin(), gradient.end(), 0.f);
      backward(net, n, tape, output_gradient, gradient);
      const double rate = options.cosine
                              ? options.learning_rate * (1 + std::cos(std::numbers::pi * step / steps)) / 2
                              : options.learning_rate;
      optimizer.step(net.values(), gradient, rate);
    }
    fit.loss.push_back(total / static_cast<double>(training.size()));
    const double now = held_back.empty() ? -epoch : mean_error(net, x, held_back, error);
    if (now < fit.error) {
      fit.error = now;
      fit.best_epoch = epoch;
      fit.net = net;
    }
  }
  return fit;
}

}  // namespace orrery::learn
