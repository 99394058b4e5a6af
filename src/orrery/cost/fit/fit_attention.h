// Fits the attention model to measured rows: the law's constants by robust least squares with priors (the
// table's centres and spreads), then a residual per measured GPU by boosted trees, then the band from GPUs
// left out.
//
// Everything is seeded and gives the same bits for any number of threads. Half a minute on one core for
// 70,000 rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orrery/cost/attention_model.h"

namespace orrery::cost {

struct AttentionRow {
  size_t gpu = 0;  // into AttentionData::devices
  AttentionPhase phase = AttentionPhase::Prefill;
  AttentionLayer layer;
  AttentionSpan span;
  double seconds = 0;
};

struct AttentionData {
  std::vector<hardware::Device> devices;  // the GPUs of the rows, by name
  std::vector<AttentionRow> rows;
  size_t set_aside = 0;  // rows of kernels that the law does not describe (head width over 256)
};

// Reads attention.csv (or .csv.zst): gpu, phase (context, generation), batch_size, input_length, step (cached
// tokens), num_heads, num_key_value_heads, head_dim, latency_ms. GPUs are looked up in the shipped catalogue.
// Throws InputError.
AttentionData read_attention_data(const std::string& path);

struct AttentionFitOptions {
  double prior_weight = .3;     // of the centres, against rows that weigh 1000 per GPU and phase
  size_t rows_per_cell = 2500;  // of a GPU and phase, drawn for the law's constants
  int trees = 50, leaves = 24;
  double learning_rate = .16;
  std::array<std::array<double, kNearnesses>, kAttentionPhases> share = {
      {{1, .8, .3, .1, .3}, {1, .8, .5, .4, .1}}};
  uint64_t seed = 1;
  int threads = 1;
};

// `leave_out`: index of a device whose rows are not used at all; data.devices.size() = none. The band is left
// wide.
AttentionModel fit_attention_law(const AttentionData& data, size_t leave_out,
                                 const AttentionFitOptions& options);

// For each device a model that never saw its rows.
std::vector<AttentionModel> left_out_models(const AttentionData& data, const AttentionFitOptions& options);
// Seconds for every row by the model that never saw the row's GPU, in the order of data.rows.
std::vector<double> left_out_predictions(const AttentionData& data,
                                         const std::vector<AttentionModel>& models);

// All GPUs, with a band from the models of GPUs left out.
AttentionModel fit_attention(const AttentionData& data, const AttentionFitOptions& options);

// The 90 % quantile of |log(measured / predicted)| per phase and predicted time class, each GPU with equal
// say; `skip` is left out.
std::array<std::array<std::array<double, 2>, kSizeClasses>, kAttentionPhases> attention_band(
    const AttentionData& data, const std::vector<double>& predicted, size_t skip);

}  // namespace orrery::cost
