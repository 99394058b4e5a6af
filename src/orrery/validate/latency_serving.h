// Served runs against the world: the schedule that a serving engine logged is replayed with predicted step
// times.
//
// The log has one row a request: when it was first scheduled, when its first and its last token came, and its
// lengths. What it implies about the engine's steps:
//   - Every step ends with a token for each sequence that decodes. First and last tokens thus mark ends of
//   steps.
//   - A scheduler that runs one step ahead decides step n + 1 when step n starts: a request's tokens are
//   processed in the step
//     after the one that starts at its `scheduled` time. Prompts are cut into chunks of what the token budget
//     leaves.
//   - Between two marks without prompts the batch decodes alone; how many steps it makes follows from the
//   requests' token
//     counts: Σ steps over a request's life = output tokens − 1. Solved for all requests at once by
//     multiplicative corrections; requests that show more steps than tokens were preempted in between, and
//     take no part in that.
// With steps and batches fixed by the log, the predictor says only how long each step takes:
//   time per output token  Σ predicted steps from first to last token / (output tokens − 1)
//   prefill time           Σ predicted steps from scheduled to first token
// No row of these GPUs is in any fit.
#pragma once

#include <string>
#include <vector>

#include "orrery/schedule/engine_step.h"
#include "orrery/validate/latency_scores.h"

namespace orrery::validate {

struct ServedRequest {
  double scheduled = 0, first_token = 0, last_token = 0;  // s
  int64_t input = 0, output = 0;                          // tokens
};
// Columns scheduled_s, first_token_s, last_token_s, input_tokens, output_tokens. Throws InputError.
std::vector<ServedRequest> read_serving_log(const std::string& path);

// Equal steps between two marks of the log.
struct LoggedSteps {
  double seconds = 0;  // logged, of the whole stretch; shared by the entries of one stretch
  size_t stretch = 0;  // index of the stretch between two marks
  double count = 1;    // steps
  struct Chunk {
    size_t request = 0;
    int64_t tokens = 0, cached = 0;
  };
  std::vector<Chunk> chunks;     // of prompts
  std::vector<size_t> decoding;  // requests
  double mean_context = 0;       // of those
};
struct LoggedSchedule {
  std::vector<LoggedSteps> steps;  // in order
  std::vector<size_t> first, last,
      scheduled;  // per request: the stretches after its first token, after its last, from its scheduling
  std::vector<bool> preempted;
  std::vector<double> stretch_seconds;
};
LoggedSchedule logged_schedule(const std::vector<ServedRequest>&, int64_t token_budget);

struct ServingScores {
  std::string gpu, predictor;
  size_t requests = 0, preempted = 0;
  double tpot_error = 0, tpot_bias = 0, prefill_error = 0, prefill_bias = 0;  // mean of |p/m − 1|, of p/m − 1
  double run_ratio = 0;                 // predicted over measured time of the whole run
  double tpot_covered = 0;              // share within the 90 % band
  std::vector<TimedRow> tpot, prefill;  // a row a request
};
ServingScores replay(const std::vector<ServedRequest>&, const LoggedSchedule&, const schedule::EngineStep&);

// Both runs, with the default predictor and the roofline. Throws InputError where the files are missing.
std::vector<ServingScores> evaluate_serving(const std::string& data_folder, const std::string& weights = {});
report::Table serving_table(const std::vector<ServingScores>&);

}  // namespace orrery::validate
