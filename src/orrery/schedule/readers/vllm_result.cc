// The result file of vLLM's serving benchmark: one JSON object, times in milliseconds, per-request lists
// where it was run with
// --save-detailed.
#include <cmath>
#include <numeric>

#include "orrery/base/document.h"
#include "orrery/schedule/measurements.h"

namespace orrery::schedule {
namespace {

double number_or(const Node& root, std::string_view key, double absent) {
  const Node* node = root.find(key);
  return node ? node->as_number(0) : absent;
}

std::string text_or(const Node& root, std::string_view key) {
  const Node* node = root.find(key);
  return node && node->is_string() ? node->as_string() : "";
}

}  // namespace

Measurements read_vllm_bench(std::string text, const std::string& file, const std::string& gpu) {
  Node root = parse_json(std::move(text), file);
  MeasuredRun run;
  run.gpu = gpu;
  run.place = root.place();
  run.model = text_or(root, "model_id");
  run.requests = root.at("completed").as_number(1);
  run.prompt = root.at("total_input_tokens").as_number(1) / run.requests;
  run.output = root.at("total_output_tokens").as_number(1) / run.requests;
  run.ttft = milliseconds(root.at("mean_ttft_ms").as_number(0));
  run.tpot = milliseconds(root.at("mean_tpot_ms").as_number(0));
  double duration = root.at("duration").as_number(1e-9);
  // Little's law over the decoding requests: each runs for output × tpot.
  run.running = run.requests * run.output * run.tpot.value() / duration;
  if (double limit = number_or(root, "max_concurrency", 0); limit > 0)
    run.running = std::min(run.running, limit);
  Measurements result;
  if (run.tpot.value() <= 0)
    root.at("mean_tpot_ms").fail("a run without time per output token says nothing; expected more than 0");
  result.runs.push_back(run);
  return result;
}

}  // namespace orrery::schedule
