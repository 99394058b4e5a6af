// Training of a perceptron: mini-batches in an order drawn from the seed, AdamW (Loshchilov and Hutter 2019:
// decay decoupled from the gradient), the epoch that scores best on rows held back. The loss is the caller's,
// a row at a time, so that the perceptron may stand inside a formula.
//
// One thread a fit: several perceptrons are fitted side by side, and the bits do not depend on how many.
#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "orrery/learn/perceptron.h"

namespace orrery::learn {

struct PerceptronFitOptions {
  int epochs = 100, batch = 128;
  double learning_rate = 1e-3;
  bool cosine = true;  // the rate falls to zero over the epochs as a half cosine (Loshchilov and Hutter 2017)
  double decay = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  Seed seed{1};
  std::stop_token stop;
};

// The loss of a row, given the net's outputs for it; writes its derivative by them.
using RowLoss = std::function<double(size_t row, std::span<const float> outputs, std::span<float> gradient)>;
// The error of a row that decides which epoch is kept.
using RowError = std::function<double(size_t row, std::span<const float> outputs)>;

struct PerceptronFit {
  Perceptron net;  // of the best epoch
  int best_epoch = 0;
  double error = 0;          // mean over the rows held back, at the best epoch
  std::vector<double> loss;  // mean over the training rows, of each epoch
};

// x: rows × inputs of `start`. training and held_back index rows. Throws Interrupted when asked to stop.
// Precondition: training is not empty; with held_back empty the last epoch is kept.
PerceptronFit fit_perceptron(Perceptron start, std::span<const float> x, std::span<const uint32_t> training,
                             std::span<const uint32_t> held_back, const RowLoss& loss, const RowError& error,
                             const PerceptronFitOptions& options);

// A random order of 0 … n − 1 (Fisher and Yates).
std::vector<uint32_t> shuffled(size_t n, Seed seed);

}  // namespace orrery::learn
