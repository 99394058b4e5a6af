#include "orrery/validate/latency_serving.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "orrery/base/csv.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::validate {
namespace {

constexpr double kSameMark =
    1.5e-3;  // s: logged times of one step differ by the engine's way through its requests
constexpr int kRounds = 400;
constexpr double kPreempted = 1.03;  // more steps than tokens by this factor: it was away in between

std::vector<double> marks_of(const std::vector<ServedRequest>& requests) {
  std::vector<double> times;
  for (const ServedRequest& r : requests)
    times.insert(times.end(), {r.scheduled, r.first_token, r.last_token});
  std::sort(times.begin(), times.end());
  std::vector<double> marks;
  for (double t : times) {
    if (marks.empty() || t - marks.back() > kSameMark) marks.push_back(t);
  }
  return marks;
}

size_t mark_at(const std::vector<double>& marks, double t) {
  auto after = std::lower_bound(marks.begin(), marks.end(), t);
  if (after == marks.end() || (after != marks.begin() && t - after[-1] < *after - t)) --after;
  return static_cast<size_t>(after - marks.begin());
}

// Steps of the stretches where the batch only decodes, from the requests' token counts.
void count_decode_steps(const std::vector<ServedRequest>& requests, LoggedSchedule& schedule) {
  const size_t n = requests.size();
  std::vector<double> fixed(schedule.stretch_seconds.size()), open(fixed.size());
  std::vector<size_t> open_step(fixed.size(), SIZE_MAX);
  double tokens = 0, seconds = 0;
  for (const ServedRequest& r : requests) {
    tokens += static_cast<double>(r.output - 1);
    seconds += r.last_token - r.first_token;
  }
  for (size_t s = 0; s < schedule.steps.size(); ++s) {
    LoggedSteps& step = schedule.steps[s];
    if (step.count > 0) {
      fixed[step.stretch] += step.count;
    } else {
      open_step[step.stretch] = s;
      open[step.stretch] = step.seconds * tokens / seconds;
    }
  }
  schedule.preempted.assign(n, false);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> correction(open.size()), weight(open.size());
    for (size_t i = 0; i < n; ++i) {
      double sure = 0, guessed = 0;
      for (size_t k = schedule.first[i]; k < schedule.last[i]; ++k) sure += fixed[k], guessed += open[k];
      double wanted = static_cast<double>(requests[i].output - 1);
      if (round % 100 == 99) schedule.preempted[i] = sure + guessed > kPreempted * wanted + 2;
      if (schedule.preempted[i] || guessed <= 0) continue;
      double ratio = std::log(std::clamp((wanted - sure) / guessed, 0.3, 3.0));
      for (size_t k = schedule.first[i]; k < schedule.last[i]; ++k) correction[k] += ratio, weight[k] += 1;
    }
    for (size_t k = 0; k < open.size(); ++k) {
      if (weight[k] > 0) open[k] *= std::exp(correction[k] / weight[k]);
    }
  }
  for (size_t k = 0; k < open.size(); ++k) {
    if (open_step[k] != SIZE_MAX) schedule.steps[open_step[k]].count = open[k];
  }
}

void fill_contexts(const std::vector<ServedRequest>& requests, LoggedSchedule& schedule) {
  std::vector<double> produced(requests.size(), 1);
  for (LoggedSteps& step : schedule.steps) {
    double sum = 0;
    for (size_t i : step.decoding) {
      double limit = static_cast<double>(requests[i].output);
      sum += static_cast<double>(requests[i].input) + std::min(limit, produced[i] + step.count / 2);
      produced[i] = std::min(limit, produced[i] + step.count);
    }
    step.mean_context = step.decoding.empty() ? 0 : sum / static_cast<double>(step.decoding.size());
  }
}

}  // namespace

std::vector<ServedRequest> read_serving_log(const std::string& path) {
  CsvTable table = read_csv(path);
  const int scheduled = table.at("scheduled_s"), first = table.at("first_token_s"),
            last = table.at("last_token_s"), input = table.at("input_tokens"),
            output = table.at("output_tokens");
  std::vector<ServedRequest> requests;
  for (size_t row = 0; row < table.rows(); ++row) {
    ServedRequest r{table.number(row, scheduled), table.number(row, first), table.number(row, last),
                    table.integer(row, input, 1, int64_t{1} << 24),
                    table.integer(row, output, 1, int64_t{1} << 24)};
    if (!(r.scheduled <= r.first_token && r.first_token <= r.last_token)) {
      table.fail(row, first, "expected scheduled_s <= first_token_s <= last_token_s");
    }
    requests.push_back(r);
  }
  return requests;
}

LoggedSchedule logged_schedule(const std::vector<ServedRequest>& requests, int64_t token_budget) {
  LoggedSchedule schedule;
  const std::vector<double> marks = marks_of(requests);
  const size_t n = requests.size();
  std::vector<int64_t> remaining(n);
  for (size_t i = 0; i < n; ++i) {
    schedule.scheduled.push_back(mark_at(marks, requests[i].scheduled));
    schedule.first.push_back(mark_at(marks, requests[i].first_token));
    schedule.last.push_back(mark_at(marks, requests[i].last_token));
    remaining[i] = requests[i].input;
  }
  std::vector<size_t> order(n);  // as the scheduler took them
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return schedule.scheduled[a] < schedule.scheduled[b]; });

  for (size_t k = 0; k + 1 < marks.size(); ++k) {
    const double seconds = marks[k + 1] - marks[k];
    schedule.stretch_seconds.push_back(seconds);
    std::vector<size_t> decoding, ready, waiting;
    for (size_t i : order) {
      if (schedule.first[i] <= k && k < schedule.last[i]) decoding.push_back(i);
      if (schedule.scheduled[i] < k && k < schedule.first[i] && remaining[i] > 0) ready.push_back(i);
      if (schedule.scheduled[i] == k && k < schedule.first[i]) waiting.push_back(i);
    }
    const int64_t budget = std::max<int64_t>(1, token_budget - static_cast<int64_t>(decoding.size()));
    auto add = [&](double count) -> LoggedSteps& {
      LoggedSteps& step = schedule.steps.emplace_back();
      step.seconds = seconds;
      step.stretch = k;
      step.count = count;
      step.decoding = decoding;
      return step;
    };
    // One step over the prompts of `of` in order; returns whether some that must end here are left.
    auto mixed_step = [&](const std::vector<size_t>& of) {
      LoggedSteps& step = add(1);
      int64_t room = budget;
      for (size_t i : of) {
        int64_t tokens = std::min(room, remaining[i]);
        if (tokens <= 0) continue;
        step.chunks.push_back({i, tokens, requests[i].input - remaining[i]});
        remaining[i] -= tokens;
        room -= tokens;
      }
      return std::any_of(of.begin(), of.end(),
                         [&](size_t i) { return schedule.first[i] == k + 1 && remaining[i] > 0; });
    };
    if (!ready.empty()) {
      while (mixed_step(ready)) {
      }
    } else if (!waiting.empty() && !decoding.empty()) {
      add(1);  // the step that runs while the next is scheduled
    } else if (waiting.empty() && !decoding.empty()) {
      add(0);  // as many as the token counts say
    }
    if (std::any_of(waiting.begin(), waiting.end(), [&](size_t i) { return schedule.first[i] == k + 1; })) {
      std::vector<size_t> both = ready;
      both.insert(both.end(), waiting.begin(), waiting.end());
      while (mixed_step(both)) {
      }
    }
  }
  count_decode_steps(requests, schedule);
  fill_contexts(requests, schedule);
  return schedule;
}

ServingScores replay(const std::vector<ServedRequest>& requests, const LoggedSchedule& schedule,
                     const schedule::EngineStep& engine) {
  std::vector<double> value(schedule.stretch_seconds.size()), low(value.size()), high(value.size());
  for (const LoggedSteps& step : schedule.steps) {
    std::vector<schedule::StepGroup> groups;
    if (!step.decoding.empty()) {
      groups.push_back({static_cast<int64_t>(step.decoding.size()), 1, std::llround(step.mean_context)});
    }
    for (const LoggedSteps::Chunk& chunk : step.chunks) groups.push_back({1, chunk.tokens, chunk.cached});
    if (groups.empty()) continue;
    Interval<Seconds> time = engine.forecast(groups).time;
    value[step.stretch] += step.count * time.value.value();
    low[step.stretch] += step.count * time.low.value();
    high[step.stretch] += step.count * time.high.value();
  }
  // The same laws price every step of a run: their errors are one, so ends of bands do go together here.
  auto sum = [](const std::vector<double>& of, size_t begin, size_t end) {
    return std::accumulate(of.begin() + static_cast<ptrdiff_t>(begin),
                           of.begin() + static_cast<ptrdiff_t>(end), 0.0);
  };
  ServingScores scores;
  scores.requests = requests.size();
  double decoders = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const ServedRequest& r = requests[i];
    scores.preempted += schedule.preempted[i];
    if (r.first_token > r.scheduled) {
      double error = sum(value, schedule.scheduled[i], schedule.first[i]) / (r.first_token - r.scheduled) - 1;
      scores.prefill_error += std::abs(error);
      scores.prefill_bias += error;
      scores.prefill.push_back({sum(value, schedule.scheduled[i], schedule.first[i]),
                                r.first_token - r.scheduled,
                                sum(low, schedule.scheduled[i], schedule.first[i]),
                                sum(high, schedule.scheduled[i], schedule.first[i])});
    }
    if (r.output < 2) continue;
    double measured = r.last_token - r.first_token,
           error = sum(value, schedule.first[i], schedule.last[i]) / measured - 1;
    const double tokens = static_cast<double>(r.output - 1);
    scores.tpot.push_back({sum(value, schedule.first[i], schedule.last[i]) / tokens, measured / tokens,
                           sum(low, schedule.first[i], schedule.last[i]) / tokens,
                           sum(high, schedule.first[i], schedule.last[i]) / tokens});
    decoders += 1;
    scores.tpot_error += std::abs(error);
    scores.tpot_bias += error;
    scores.tpot_covered += sum(low, schedule.first[i], schedule.last[i]) <= measured &&
                           measured <= sum(high, schedule.first[i], schedule.last[i]);
  }
  const double n = static_cast<double>(requests.size());
  scores.prefill_error /= n;
  scores.prefill_bias /= n;
  scores.tpot_error /= decoders;
  scores.tpot_bias /= decoders;
  scores.tpot_covered /= decoders;
  scores.run_ratio = sum(value, 0, value.size()) / sum(schedule.stretch_seconds, 0, value.size());
  return scores;
}

std::vector<ServingScores> evaluate_serving(const std::string& data_folder, const std::string& weights) {
  struct Run {
    const char *file, *device;
  };
  constexpr Run kRuns[] = {{"vllm-rtx4090-llama-3.1-8b.csv.gz", "rtx-4090"},
                           {"vllm-rtxpro6000-llama-3.1-8b.csv.gz", "rtx-pro-6000-blackwell-workstation"}};
  constexpr int64_t kTokenBudget = 2048;
  std::vector<ServingScores> all;
  for (const Run& run : kRuns) {
    std::vector<ServedRequest> requests = read_serving_log(data_folder + "/serve/" + run.file);
    LoggedSchedule schedule = logged_schedule(requests, kTokenBudget);
    hardware::Device device = hardware::Catalogue::shipped().device(run.device);
    for (const char* predictor : {"default", "roofline"}) {
      schedule::EngineStep engine(std::make_shared<schedule::Predictor>(predictor, weights),
                                  graph::find_model("llama-3.1-8b"), device);
      ServingScores scores = replay(requests, schedule, engine);
      scores.gpu = device.title;
      scores.predictor = predictor;
      all.push_back(scores);
    }
  }
  return all;
}

report::Table serving_table(const std::vector<ServingScores>& all) {
  auto percent = [](double share) { return report::number(100 * share, 1); };
  report::Table table;
  table.title = "Served runs: vLLM 0.19, Llama-3.1-8B in bf16, 300 requests, the logged schedule replayed";
  table.columns = {{"GPU", ""},           {"predictor", ""},  {"requests", ""}, {"preempted", ""},
                   {"TPOT error", "%"},   {"TPOT bias", "%"}, {"in band", "%"}, {"prefill error", "%"},
                   {"prefill bias", "%"}, {"whole run", "%"}};
  table.notes = {
      "Error: mean over requests of |predicted / measured - 1|, bias: mean of predicted / measured - 1.",
      "No row of these GPUs is in any fit. The log does not say when a preempted request was away."};
  for (const ServingScores& s : all) {
    table.rows.push_back({s.gpu, s.predictor, report::number(static_cast<double>(s.requests), 0),
                          report::number(static_cast<double>(s.preempted), 0), percent(s.tpot_error),
                          percent(s.tpot_bias), percent(s.tpot_covered), percent(s.prefill_error),
                          percent(s.prefill_bias), percent(s.run_ratio - 1)});
  }
  return table;
}

}  // namespace orrery::validate
