// One iteration of a serving engine over a mixed batch: some sequences decode a token each, others have a
// chunk of their prompt processed (chunked prefill, as vLLM and SGLang run it). Products see all tokens of
// the step at once, attention all groups in one call, the vocabulary only the sequences that sample.
//
// A step's graph differs from a decode step's of as many tokens only in its attention and its head, so that
// is what it is made from. Thread-safe; graphs are remembered by their number of tokens.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "orrery/schedule/predictor.h"

namespace orrery::schedule {

// Sequences of equal lengths within a step: each has `cached` earlier tokens and `fresh` new ones (1: it
// decodes).
struct StepGroup {
  int64_t sequences = 1, fresh = 1, cached = 0;
};

class EngineStep {
 public:
  EngineStep(std::shared_ptr<const Predictor> predictor, graph::ModelConfig model, hardware::Device device,
             graph::Parallelism parallel = {});
  // `sampled`: sequences whose next token is chosen at the end of the step; −1 = all that decode and each
  // chunk's own.
  Forecast forecast(std::span<const StepGroup> groups, int64_t sampled = -1) const;

 private:
  std::shared_ptr<const graph::Graph> graph_of(int64_t tokens) const;
  std::shared_ptr<const Predictor> predictor_;
  graph::ModelConfig model_;
  hardware::Device device_;
  graph::Parallelism parallel_;
  mutable std::mutex mutex_;
  mutable std::map<int64_t, std::shared_ptr<const graph::Graph>> graphs_;
};

}  // namespace orrery::schedule
