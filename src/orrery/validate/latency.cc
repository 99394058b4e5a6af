#include "orrery/validate/latency.h"

#include <algorithm>

#include "orrery/base/error.h"
#include "orrery/base/text.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/validate/latency_attention.h"
#include "orrery/validate/latency_collectives.h"
#include "orrery/validate/latency_fp8.h"
#include "orrery/validate/latency_gemm.h"
#include "orrery/validate/latency_memory_bound.h"
#include "orrery/validate/latency_serving.h"
#include "orrery/validate/latency_speed.h"

namespace orrery::validate {
namespace {

struct Gathered {
  std::vector<LatencyScores> scores;
  std::vector<SpeedResult> speeds;
  std::vector<report::Table> details;
};

using Run = void (*)(const LatencyValidationRequest&, const RunContext&, Gathered*);

struct Part {
  std::string_view name;
  bool needs_data;
  Run run;
};

void add(std::vector<LatencyScores> scores, std::vector<report::Table> tables, Gathered* out) {
  out->scores.insert(out->scores.end(), scores.begin(), scores.end());
  out->details.insert(out->details.end(), tables.begin(), tables.end());
}

// The replays with the default predictor as scores, the roofline's error beside each.
std::vector<LatencyScores> serving_scores(const std::vector<ServingScores>& replays) {
  std::vector<LatencyScores> scores;
  for (const ServingScores& replay : replays) {
    if (replay.predictor != "default") continue;
    LatencyScores tpot = score(replay.tpot), prefill = score(replay.prefill);
    tpot.what = "vLLM time per output token";
    prefill.what = "vLLM prefill time";
    for (const ServingScores& other : replays) {
      if (other.gpu != replay.gpu || other.predictor != "roofline") continue;
      tpot.roofline = other.tpot_error;
      prefill.roofline = other.prefill_error;
    }
    for (LatencyScores* s : {&tpot, &prefill}) {
      s->gpu = replay.gpu;
      s->setting = "no row in any fit";
      s->models = true;
      scores.push_back(std::move(*s));
    }
  }
  return scores;
}

constexpr Part kParts[] = {
    {"gemm", true,
     [](const LatencyValidationRequest& request, const RunContext& context, Gathered* out) {
       auto scores = evaluate_gemm(request.data_folder, context.threads);
       add(scores, gemm_tables(scores), out);
     }},
    {"fp8", true,
     [](const LatencyValidationRequest& request, const RunContext& context, Gathered* out) {
       auto scores = evaluate_fp8(request.data_folder, hardware::Catalogue::shipped(), context.threads);
       add(scores, fp8_tables(scores), out);
     }},
    {"attention", true,
     [](const LatencyValidationRequest& request, const RunContext& context, Gathered* out) {
       auto scores = evaluate_attention(request.data_folder, context.threads);
       add(scores, attention_tables(scores), out);
     }},
    {"memory", true,
     [](const LatencyValidationRequest& request, const RunContext& context, Gathered* out) {
       auto scores = evaluate_memory_bound(request.data_folder, context.threads);
       add(scores, {memory_bound_table(scores)}, out);
     }},
    {"collectives", true,
     [](const LatencyValidationRequest& request, const RunContext&, Gathered* out) {
       auto scores = evaluate_collectives(request.data_folder);
       add(scores, {collectives_table(scores)}, out);
     }},
    {"serving", true,
     [](const LatencyValidationRequest& request, const RunContext&, Gathered* out) {
       auto replays = evaluate_serving(request.data_folder);
       add(serving_scores(replays), {serving_table(replays)}, out);
     }},
    {"speed", false,
     [](const LatencyValidationRequest& request, const RunContext& context, Gathered* out) {
       out->speeds = measure_speed(request.program, context);
     }},
};

// What a report may draw: scores over all of a kind's rows, of a GPU that the catalogue knows.
void add_series(const LatencyScores& score, report::LatencyValidation* validation) {
  const hardware::Catalogue& catalogue = hardware::Catalogue::shipped();
  const auto known =
      std::find_if(catalogue.entries().begin(), catalogue.entries().end(), [&](const auto& entry) {
        return lower_case(entry.name) == lower_case(score.gpu) ||
               lower_case(entry.title) == lower_case(score.gpu);
      });
  const bool part = score.setting == "rows shared" || score.setting.ends_with("10 us and more");
  if (known == catalogue.entries().end() || score.points.empty() || part) return;
  const hardware::Device device = catalogue.device(known->name);
  report::ValidationSeries series;
  series.device = known->name;
  series.architecture = device.gpu() ? hardware::name(device.gpu()->architecture) : "";
  series.what = score.what;
  series.level = score.models ? "models" : "kernels";
  series.held_out = score.setting;
  series.rows = static_cast<int64_t>(score.rows);
  series.mean_error = score.mean;
  series.median_error = score.median;
  series.weighted_error = score.weighted;
  series.bias = score.bias;
  series.coverage = score.coverage;
  for (const TimedRow& row : score.points) {
    series.points.push_back(
        {Seconds(row.measured), Seconds(row.predicted), Seconds(row.low), Seconds(row.high)});
  }
  validation->series.push_back(std::move(series));
}

}  // namespace

LatencyValidationResult validate_latency(const LatencyValidationRequest& request, const RunContext& context) {
  for (const std::string& part : request.parts) {
    if (std::find(kLatencyParts.begin(), kLatencyParts.end(), part) == kLatencyParts.end()) {
      const std::vector<std::string> names(kLatencyParts.begin(), kLatencyParts.end());
      throw InputError("there is no part '" + printable(part, 40) + "' of this validation" +
                       did_you_mean(part, std::span<const std::string>(names)));
    }
  }
  auto asked = [&](const Part& part) {
    return request.parts.empty() ||
           std::find(request.parts.begin(), request.parts.end(), part.name) != request.parts.end();
  };
  for (const Part& part : kParts) {
    if (asked(part) && part.needs_data && request.data_folder.empty()) {
      throw NotFound(
          "the measured data is not at hand: set ORRERY_DATA to its folder or give --data FOLDER "
          "(docs/latency.md says where it "
          "comes from); --only speed needs none");
    }
  }
  Gathered gathered;
  for (const Part& part : kParts) {
    if (!asked(part)) continue;
    if (context.stop.stop_requested()) throw Interrupted();
    if (context.progress) context.progress->note(std::string(part.name));
    part.run(request, context, &gathered);
    if (context.progress) context.progress->advance();
  }
  LatencyValidationResult result;
  result.measured = measured_table(gathered.scores, gathered.speeds, &result.all_met);
  result.details = std::move(gathered.details);
  for (const LatencyScores& score : gathered.scores) add_series(score, &result.validation);
  return result;
}

std::string latency_markdown(const LatencyValidationResult& result) {
  std::string text = report::to_markdown(result.measured);
  for (const report::Table& table : result.details) text += "\n" + report::to_markdown(table);
  return text;
}

}  // namespace orrery::validate
