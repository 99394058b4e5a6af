#include "orrery/report/latency_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "orrery/base/storage.h"
#include "orrery/report/latency_words.h"

namespace orrery::report {
namespace {

using json = nlohmann::ordered_json;
using schedule::DeviceAnswer;
using schedule::LatencyReport;
using schedule::PhaseForecast;

json real(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}

template <class D>
json real(Quantity<D> value) {
  return real(value.value());
}

// 0 stands for "not known" or "none" in the report's facts; null says so.
json known(double value) {
  return value > 0 ? real(value) : json(nullptr);
}

template <class Q>
json interval(const Interval<Q>& band, const std::string& unit) {
  return {{"low" + unit, real(band.low)},
          {"value" + unit, real(band.value)},
          {"high" + unit, real(band.high)},
          {"margin" + unit, real(margin(band))},
          {"confidence", real(band.confidence)}};
}

json timeline_of(const Timeline& timeline) {
  json events = json::array();
  for (const Event& event : timeline.events) {
    events.push_back({{"lane", event.lane},
                      {"name", event.name},
                      {"start_s", real(event.start)},
                      {"duration_s", real(event.duration)}});
  }
  return {{"lanes", timeline.lanes}, {"names", timeline.names}, {"events", events}};
}

json operator_of(const schedule::OperatorRow& row) {
  double time = row.time.value(), bytes = row.bytes.value(), flops = row.flops.value();
  return {{"name", row.name},
          {"kind", row.kind},
          {"shape", row.shape},
          {"count", row.count},
          {"time_s", real(time)},
          {"low_s", real(row.low)},
          {"high_s", real(row.high)},
          {"total_s", real(time * static_cast<double>(row.count))},
          {"flops", real(flops)},
          {"bytes", real(bytes)},
          {"intensity_flops_per_byte", bytes > 0 ? real(flops / bytes) : json(nullptr)},
          {"rate_flops_per_second", time > 0 ? real(flops / time) : json(nullptr)},
          {"bound", cost::name(row.bound)},
          {"priced", row.priced}};
}

json phase_of(const std::optional<PhaseForecast>& forecast, size_t most_operators) {
  if (!forecast) return nullptr;
  const PhaseForecast& phase = *forecast;
  json classes = json::array(), operators = json::array();
  for (const schedule::ClassTime& c : phase.classes) {
    classes.push_back({{"name", c.name}, {"time_s", real(c.time)}, {"share", real(c.share)}});
  }
  for (size_t i = 0; i < std::min(most_operators, phase.operators.size()); ++i)
    operators.push_back(operator_of(phase.operators[i]));
  return {{"mode", mode_name(phase.mode)},
          {"batch", phase.batch},
          {"sequence_tokens", phase.sequence},
          {"time", interval(phase.time, "_s")},
          {"device_busy_s", real(phase.device_busy)},
          {"overhead_s", real(phase.overhead)},
          {"tokens_per_second", real(tokens_per_second(phase))},
          {"matrix_flops", real(phase.matrix_flops)},
          {"flops_utilization", real(phase.flops_utilization)},
          {"bandwidth_utilization", real(phase.bandwidth_utilization)},
          {"bound", cost::name(phase.bound)},
          {"bound_share", real(phase.bound_share)},
          {"classes", classes},
          {"distinct_operators", phase.operators.size()},
          {"operators", operators},
          {"layer_timeline", timeline_of(phase.layer)}};
}

json memory_of(const schedule::MemoryReport& memory) {
  json rows = json::array();
  for (const schedule::MemoryRow& row : memory.rows)
    rows.push_back({{"component", row.component}, {"bytes", real(row.bytes)}});
  return {{"components", rows},
          {"needed_bytes", real(memory.needed)},
          {"available_bytes", real(memory.available)},
          {"short_bytes", real(bytes_short(memory))},
          {"fits", memory.fits},
          {"longest_context_tokens", memory.longest_context},
          {"largest_batch", memory.largest_batch},
          {"smallest_tensor_parallel", memory.smallest_tensor_parallel},
          {"smallest_devices", memory.smallest_devices}};
}

json device_facts(const hardware::Device& device) {
  constexpr double kHour = 3600;
  json facts = {{"name", device.name},
                {"title", device.title},
                {"vendor", device.vendor},
                {"architecture", nullptr},
                {"memory_bytes", real(device.memory)},
                {"memory_type", device.memory_type},
                {"memory_bandwidth_bytes_per_second", real(device.memory_bandwidth)},
                {"achievable_bandwidth_bytes_per_second", nullptr},
                {"peak_flops_per_second", json::object()},
                {"achievable_flops_per_second", json::object()},
                {"tdp_watts", known(device.tdp.value())},
                {"rent_dollars_per_hour", known(device.price.rent.value() * kHour)},
                {"price_source", device.price.source},
                {"notes", device.notes}};
  if (const hardware::Gpu* gpu = device.gpu()) {
    facts["architecture"] = std::string(hardware::name(gpu->architecture));
    facts["achievable_bandwidth_bytes_per_second"] = known(gpu->achievable.memory_bandwidth.value());
    for (size_t t = 0; t < kDataTypes; ++t) {
      double peak = gpu->peak[t].value();
      double reached = gpu->achievable.rate[t].value();
      if (reached > 0)
        facts["achievable_flops_per_second"][std::string(name(static_cast<DataType>(t)))] = real(reached);
      if (peak > 0) facts["peak_flops_per_second"][std::string(name(static_cast<DataType>(t)))] = real(peak);
    }
  }
  return facts;
}

json curve(const std::vector<schedule::CurvePoint>& points, const char* x) {
  json out = json::array();
  for (const schedule::CurvePoint& point : points) {
    out.push_back({{x, point.x},
                   {"time", interval(point.time, "_s")},
                   {"tokens_per_second", real(point.tokens_per_second)}});
  }
  return out;
}

json links_of(const schedule::IterationForecast::Communication& links) {
  return {{"bytes", real(links.bytes)}, {"total_s", real(links.total)}, {"exposed_s", real(links.exposed)}};
}

json iteration_of(const std::optional<schedule::IterationForecast>& forecast) {
  if (!forecast) return nullptr;
  const schedule::IterationForecast& it = *forecast;
  json stages = json::array();
  for (const schedule::StageForecast& stage : it.stages) {
    stages.push_back({{"first_layer", stage.first_layer},
                      {"layers", stage.layers},
                      {"forward_s", real(stage.forward)},
                      {"backward_s", real(stage.backward)},
                      {"busy_s", real(stage.busy)},
                      {"computed_s", real(stage.computed)},
                      {"reduced_s", real(stage.reduced)},
                      {"optimizer_s", real(stage.optimizer)},
                      {"kept_micro_batches", stage.kept}});
  }
  return {{"time", interval(it.time, "_s")},
          {"devices", it.devices()},
          {"micro_batches", it.micro_batches},
          {"micro_batch", it.micro_batch},
          {"pipeline_schedule", std::string(name(it.schedule))},
          {"link", it.link},
          {"bubble_share", real(it.bubble_share)},
          {"tensor_parallel", links_of(it.tensor)},
          {"pipeline_parallel", links_of(it.pipeline)},
          {"data_parallel", links_of(it.data)},
          {"optimizer_s", real(it.optimizer)},
          {"stages", stages},
          {"timeline", timeline_of(it.timeline)}};
}

json answer_of(const LatencyReport& report, const DeviceAnswer& answer, size_t most_operators) {
  bool serves = report.serving && answer.memory.fits;
  json out = {
      {"label", device_label(report, answer)},
      {"device", device_facts(answer.device)},
      {"checked_on", answer.checked_on},
      {"measured_in_weights", answer.measured_in_weights},
      {"memory", memory_of(answer.memory)},
      {"batch", answer.batch},
      {"ttft", serves && answer.prefill ? interval(answer.ttft, "_s") : json(nullptr)},
      {"tpot", serves && answer.decode ? interval(answer.tpot, "_s") : json(nullptr)},
      {"tokens_per_second_per_device",
       serves && answer.decode ? interval(answer.tokens_per_second_per_device, "") : json(nullptr)},
      {"dollars_per_million_tokens",
       answer.dollars_per_million_tokens ? real(*answer.dollars_per_million_tokens) : json(nullptr)},
      {"joules_per_token", answer.joules_per_token ? interval(*answer.joules_per_token, "") : json(nullptr)}};
  out["prefill"] = phase_of(answer.prefill, most_operators);
  out["decode"] = phase_of(answer.decode, most_operators);
  out["train"] = phase_of(answer.train, most_operators);
  out["iteration"] = iteration_of(answer.iteration);
  out["over_batch"] = curve(answer.over_batch, "batch");
  out["over_context"] = curve(answer.over_context, "context_tokens");
  out["notes"] = answer.notes;
  return out;
}

json model_of(const LatencyReport& report) {
  const graph::ModelConfig& config = report.config;
  json towers = json::array();
  for (const graph::Tower& tower : config.towers) {
    towers.push_back({{"layers", tower.layers},
                      {"hidden", tower.hidden},
                      {"heads", tower.heads},
                      {"kv_heads", tower.kv_heads},
                      {"head_dim", tower.head_dim},
                      {"feed_forward", tower.feed_forward},
                      {"longest_tokens", tower.tokens},
                      {"experts", tower.moe ? tower.moe->experts : 0},
                      {"experts_per_token", tower.moe ? tower.moe->experts_per_token : 0}});
  }
  return {{"name", report.model},
          {"family", config.family},
          {"parameters", real(report.parameters)},
          {"type", std::string(name(config.type))},
          {"quantization", config.quantization ? json(config.quantization->method) : json(nullptr)},
          {"vocabulary", config.vocabulary},
          {"towers", towers},
          {"notes", config.notes}};
}

json workload_of(const LatencyReport& report) {
  const graph::Workload& work = report.workload;
  const graph::Parallelism& parallel = work.parallel;
  return {{"serving", report.serving},
          {"mode", report.serving ? json(nullptr) : json(mode_name(work.mode))},
          {"prompt_tokens", report.prompt},
          {"output_tokens", report.output_tokens},
          {"batch", work.batch},
          {"sequence_tokens", work.sequence},
          {"attention", attention_name(work.attention)},
          {"recompute", recompute_name(work.recompute)},
          {"optimizer", optimizer_name(work.optimizer)},
          {"frozen_layers", work.frozen_layers},
          {"fuse", work.fuse},
          {"parallel",
           {{"data", parallel.data},
            {"tensor", parallel.tensor},
            {"pipeline", parallel.pipeline},
            {"expert", parallel.expert},
            {"sequence", parallel.sequence},
            {"microbatch", parallel.microbatch}}}};
}

}  // namespace

std::string latency_json(const LatencyReport& report, const RunInfo& run, const LatencyJsonOptions& options) {
  json devices = json::array();
  for (const DeviceAnswer& answer : report.devices)
    devices.push_back(answer_of(report, answer, options.most_operators));
  json out = {{"schema", kLatencySchema},
              {"program", {{"name", "orrery"}, {"version", std::string(version())}}},
              {"command", report.command},
              {"run", {{"seconds", real(run.duration)}, {"host", run.host}, {"date", run.date}}},
              {"verdict", verdict(report)},
              {"trust", trust_in_words(report)},
              {"subject", subject(report)},
              {"model", model_of(report)},
              {"workload", workload_of(report)},
              {"predictor", {{"name", report.predictor}, {"weights", report.weights}}},
              {"devices", devices},
              {"warnings", report.warnings},
              {"assumptions", report.assumptions},
              {"sources", report.sources}};
  return out.dump(options.indent, ' ', false, json::error_handler_t::replace);
}

}  // namespace orrery::report
