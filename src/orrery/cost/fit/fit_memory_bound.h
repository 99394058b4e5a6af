// Fits the constants of memory_bound_model.h to measured layer pieces (vidur: norms, activation, rotary
// embedding, residual add, embedding of LLMs on A100, A40, H100; medians rounded to a microsecond) and to
// softmax and layer norm (LLMCompass, A100; host time included, so each operator's floor there is a constant
// of its own that is thrown away).
#pragma once

#include <string>
#include <vector>

#include "orrery/cost/memory_bound_model.h"

namespace orrery::cost {

struct MemoryBoundRow {
  size_t gpu = 0;  // into MemoryBoundData::devices
  MemoryBoundCall call;
  double seconds = 0;
  bool host_floor = false;  // timed from the host
};

struct MemoryBoundData {
  std::vector<hardware::Device> devices;
  std::vector<MemoryBoundRow> rows;
};

// Reads vidur_fp16_mlp.csv(.zst), and llmcompass_vector_fp16.csv where `vector_path` is not empty. Throws
// InputError.
MemoryBoundData read_memory_bound_data(const std::string& mlp_path, const std::string& vector_path);

struct MemoryBoundFitOptions {
  double prior_weight = .3;
  size_t rows_per_cell = 400;  // of a GPU and class
  uint64_t seed = 1;
  int threads = 1;
};

// `leave_out`: index of a device whose rows are not used; data.devices.size() = none.
MemoryBoundConstants fit_memory_bound(const MemoryBoundData& data, size_t leave_out,
                                      const MemoryBoundFitOptions& options);

}  // namespace orrery::cost
