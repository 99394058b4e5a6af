#include <algorithm>
#include <cmath>

#include "orrery/hardware/catalogue.h"
#include "orrery/report/latency_sample.h"

namespace orrery::report {
namespace {

using schedule::DeviceAnswer;
using schedule::OperatorRow;
using schedule::PhaseForecast;

constexpr double kHidden = 4096, kFeedForward = 14336, kKvWidth = 1024, kVocabulary = 128256, kBytes = 2;
constexpr int kLayers = 32;
constexpr double kParameters = 8.03e9;
constexpr double kWeightBytes = kParameters * kBytes;
constexpr double kKvBytesPerToken = 2 * kKvWidth * kBytes * kLayers;

double peak(const hardware::Device& device) {
  const hardware::Gpu& gpu = *device.gpu();
  double bf16 = gpu.peak_rate(DataType::BF16).value();
  return bf16 > 0 ? bf16 : gpu.peak_rate(DataType::FP16).value();
}

template <class Q>
Interval<Q> band(double value, double relative) {
  return {Q(value * (1 - relative)), Q(value), Q(value * (1 + 1.3 * relative)), 0.9};
}

struct Work {
  const char *name, *kind, *operator_class;
  std::string shape;
  double flops, bytes;
  int64_t count;
};

std::vector<Work> works(double rows, double batch, double cached, bool prefill) {
  auto gemm = [&](const char* name, double m, double n, double k, int64_t count) {
    return Work{name,
                "gemm",
                "linear",
                "m=" + std::to_string(int64_t(m)) + " n=" + std::to_string(int64_t(n)) +
                    " k=" + std::to_string(int64_t(k)) + " bf16",
                2 * m * n * k,
                kBytes * (m * n + n * k + m * k),
                count};
  };
  double attention_flops = prefill ? 2 * rows * cached * kHidden : 4 * batch * cached * kHidden;
  double attention_bytes = kBytes * (2 * batch * cached * kKvWidth + 2 * rows * kHidden);
  return {gemm("mlp.gate_up", rows, 2 * kFeedForward, kHidden, kLayers),
          gemm("mlp.down", rows, kHidden, kFeedForward, kLayers),
          gemm("attention.qkv", rows, kHidden + 2 * kKvWidth, kHidden, kLayers),
          gemm("attention.output", rows, kHidden, kHidden, kLayers),
          {"attention.softmax", "attention", "attention",
           "batch=" + std::to_string(int64_t(batch)) + " cached=" + std::to_string(int64_t(cached)) +
               " heads=32/8 bf16",
           attention_flops, attention_bytes, kLayers},
          {"mlp.activation", "gated_activation", "norms and elementwise",
           "rows=" + std::to_string(int64_t(rows)) + " columns=14336 bf16", 4 * rows * kFeedForward,
           3 * kBytes * rows * kFeedForward, kLayers},
          {"input_norm", "rms_norm", "norms and elementwise",
           "rows=" + std::to_string(int64_t(rows)) + " columns=4096 bf16", 6 * rows * kHidden,
           2 * kBytes * rows * kHidden, 2 * kLayers},
          gemm("lm_head", batch, kVocabulary, kHidden, 1)};
}

PhaseForecast forecast(const hardware::Device& device, graph::Mode mode, int64_t batch, int64_t sequence,
                       double relative) {
  constexpr double kRateShare = 0.75, kBandwidthShare = 0.85, kLaunch = 2.5e-6, kEngine = 0.7e-3;
  bool decode = mode == graph::Mode::Decode;
  double rows = double(batch) * (decode ? 1 : double(sequence));
  PhaseForecast out;
  out.mode = mode;
  out.batch = batch;
  out.sequence = sequence;
  double memory_time = 0, bytes = 0, flops = 0, factor = mode == graph::Mode::Train ? 3 : 1;
  out.layer.lanes = {"stream 0"};
  double clock = 0;
  for (const Work& w : works(rows, double(batch), double(sequence), !decode)) {
    double compute = w.flops * factor / (peak(device) * kRateShare);
    double traffic = w.bytes * factor / (device.memory_bandwidth.value() * kBandwidthShare);
    double time = std::max(compute, traffic) + kLaunch;
    auto bound = time < 3 * kLaunch  ? cost::Bound::Launch
                 : compute > traffic ? cost::Bound::Compute
                                     : cost::Bound::Memory;
    out.operators.push_back({w.name, w.kind, w.shape, w.count, Seconds(time), Seconds(time * (1 - relative)),
                             Seconds(time * (1 + relative)), Flops(w.flops * factor), Bytes(w.bytes * factor),
                             bound, true});
    double all = time * double(w.count);
    if (bound == cost::Bound::Memory) memory_time += all;
    bytes += w.bytes * factor * double(w.count);
    flops += w.flops * factor * double(w.count);
    out.device_busy += Seconds(all);
    auto found = std::find_if(out.classes.begin(), out.classes.end(),
                              [&](auto& c) { return c.name == w.operator_class; });
    if (found == out.classes.end()) found = out.classes.insert(found, {w.operator_class, {}, 0});
    found->time += Seconds(all);
    if (w.count > 1) {
      out.layer.events.push_back({0, uint32_t(out.layer.names.size()), 0, Seconds(clock), Seconds(time)});
      out.layer.names.push_back(w.name);
      clock += time;
    }
  }
  out.overhead = Seconds(kEngine);
  double total = out.device_busy.value() + kEngine;
  out.classes.push_back({"engine", out.overhead, 0});
  for (auto& c : out.classes) c.share = c.time.value() / total;
  std::sort(out.operators.begin(), out.operators.end(), [](auto& a, auto& b) {
    return a.time.value() * double(a.count) > b.time.value() * double(b.count);
  });
  out.time = band<Seconds>(total, relative);
  out.matrix_flops = Flops(flops);
  out.flops_utilization = flops / total / peak(device);
  out.bandwidth_utilization = bytes / total / device.memory_bandwidth.value();
  bool memory = memory_time > 0.5 * total;
  out.bound = memory ? cost::Bound::Memory : cost::Bound::Compute;
  out.bound_share = memory ? memory_time / total : (out.device_busy.value() - memory_time) / total;
  return out;
}

schedule::LatencyReport base_report() {
  schedule::LatencyReport report;
  report.model = "Llama-3.1-8B";
  report.config.name = report.model;
  report.config.family = "llama";
  graph::Tower tower;
  tower.layers = kLayers;
  tower.hidden = int(kHidden);
  tower.heads = 32;
  tower.kv_heads = 8;
  tower.head_dim = 128;
  tower.feed_forward = int(kFeedForward);
  tower.tokens = 131072;
  report.config.towers = {tower};
  report.config.vocabulary = int64_t(kVocabulary);
  report.parameters = kParameters;
  report.predictor = "default";
  report.weights = "default.json, fitted on A100, H100, L40S";
  report.assumptions = {"Flash attention, paged KV cache in bf16, CUDA graphs, no speculative decoding.",
                        "90 % of device memory belongs to the engine.",
                        "Steady state: the batch stays full."};
  report.sources = {"NVIDIA H200 data sheet, 2024: peaks, bandwidth", "Llama-3.1-8B config.json"};
  return report;
}

}  // namespace

schedule::LatencyReport sample_serving_report(const std::vector<std::string>& devices) {
  schedule::LatencyReport report = base_report();
  report.prompt = 2048;
  report.output_tokens = 256;
  report.command = "orrery predict latency llama-3.1-8b --prompt 2048 --output-tokens 256";
  for (const std::string& name : devices) {
    DeviceAnswer answer;
    answer.device = hardware::Catalogue::shipped().device(name);
    bool known = name == "h100-sxm5-80gb" || name == "l40s" || name == "rtx-4090";
    answer.checked_on = name == "rtx-4090" ? "models" : known ? "kernels" : "none";
    answer.measured_in_weights = name == "h100-sxm5-80gb" || name == "l40s";
    double relative = known ? 0.08 : 0.16;
    double available = answer.device.memory.value() * 0.9, per_sequence = kKvBytesPerToken * 2304;
    answer.memory.available = Bytes(available);
    answer.batch = std::clamp<int64_t>(int64_t((available - kWeightBytes - 1.2e9) / per_sequence), 1, 118);
    answer.memory.rows = {{"weights", Bytes(kWeightBytes)},
                          {"KV cache", Bytes(double(answer.batch) * per_sequence)},
                          {"activations", Bytes(0.7e9)},
                          {"workspace", Bytes(0.5e9)}};
    for (const auto& row : answer.memory.rows) answer.memory.needed += row.bytes;
    answer.memory.fits = answer.memory.needed <= answer.memory.available;
    if (!answer.memory.fits) {
      answer.memory.smallest_devices = 2;
      answer.memory.smallest_tensor_parallel = 2;
      report.devices.push_back(std::move(answer));
      continue;
    }
    answer.memory.largest_batch = int64_t((available - kWeightBytes - 1.2e9) / per_sequence);
    answer.memory.longest_context = std::min<int64_t>(
        131072, int64_t((available - kWeightBytes - 1.2e9) / (kKvBytesPerToken * double(answer.batch))));
    answer.prefill = forecast(answer.device, graph::Mode::Prefill, 1, report.prompt, relative);
    answer.decode = forecast(answer.device, graph::Mode::Decode, answer.batch, 2176, relative);
    answer.ttft = answer.prefill->time;
    answer.tpot = answer.decode->time;
    double rate = double(answer.batch) /
                  (answer.tpot.value.value() + answer.ttft.value.value() / 256 * double(answer.batch));
    answer.tokens_per_second_per_device = band<double>(rate, relative);
    double rent = answer.device.price.rent.value() > 0 ? answer.device.price.rent.value() : 2.0 / 3600;
    answer.dollars_per_million_tokens = rent / rate * 1e6;
    answer.joules_per_token = band<double>(answer.device.tdp.value() * 0.7 / rate, 0.3);
    for (int64_t b = 1; b <= answer.batch; b *= 2) {
      auto point = forecast(answer.device, graph::Mode::Decode, b, 2176, relative);
      answer.over_batch.push_back({b, point.time, double(b) / point.time.value.value()});
    }
    for (int64_t c = 1024; c <= std::min<int64_t>(answer.memory.longest_context * answer.batch / 8, 131072);
         c *= 2) {
      auto point = forecast(answer.device, graph::Mode::Decode, 8, c, relative);
      answer.over_context.push_back({c, point.time, 8 / point.time.value.value()});
    }
    if (!known) answer.notes.push_back("outside of what was measured: the band is wider.");
    report.devices.push_back(std::move(answer));
  }
  report.warnings = {"no price is known for one device; 2.00 USD/hour is assumed"};
  return report;
}

schedule::LatencyReport sample_training_report() {
  schedule::LatencyReport report = base_report();
  report.serving = false;
  report.workload.mode = graph::Mode::Train;
  report.workload.batch = 1;
  report.workload.sequence = 4096;
  report.command = "orrery predict latency llama-3.1-8b --mode train --batch 1 --sequence 4096";
  for (const char* name : {"b200", "mi300x", "h100-sxm5-80gb"}) {
    DeviceAnswer answer;
    answer.device = hardware::Catalogue::shipped().device(name);
    answer.checked_on = "none";
    answer.batch = 1;
    answer.memory.rows = {{"weights", Bytes(kWeightBytes)},
                          {"gradients", Bytes(kWeightBytes)},
                          {"optimizer", Bytes(kParameters * 12)},
                          {"activations", Bytes(21e9)}};
    for (const auto& row : answer.memory.rows) answer.memory.needed += row.bytes;
    answer.memory.available = answer.device.memory * 0.95;
    answer.memory.fits = answer.memory.needed <= answer.memory.available;
    answer.memory.smallest_devices = 3;
    answer.memory.smallest_tensor_parallel = 4;
    if (answer.memory.fits) {
      answer.memory.longest_context = 8192;
      answer.memory.largest_batch = 2;
      answer.train = forecast(answer.device, graph::Mode::Train, 1, 4096, 0.15);
      schedule::IterationForecast it;
      it.time = answer.train->time;
      it.parallel.pipeline = 2;
      it.link = "2 x NVLink5";
      for (int first : {0, 16}) {
        schedule::StageForecast stage;
        stage.first_layer = first;
        stage.layers = 16;
        stage.forward = Seconds(.1);
        stage.backward = Seconds(.2);
        it.stages.push_back(stage);
      }
      it.bubble_share = .5;
      it.pipeline = {Seconds(1e-3), Seconds(1e-3), Bytes(3e7)};
      it.timeline = {{"stage 0"}, {"forward"}, {{0, 0, 0, Seconds(0), Seconds(.1)}}};
      answer.iteration = it;
      answer.dollars_per_million_tokens = 0.0297;
      answer.joules_per_token = band<double>(0.041, 0.3);
    }
    report.devices.push_back(std::move(answer));
  }
  return report;
}

schedule::LatencyReport hostile_report() {
  schedule::LatencyReport report = sample_serving_report();
  const std::string hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&<!--";
  report.model = hostile + "averyveryverylongnamewithoutanyspaceinitthatwouldwidenapage";
  report.command = hostile;
  report.weights = hostile;
  report.warnings = report.assumptions = report.sources = report.config.notes = {hostile};
  for (DeviceAnswer& answer : report.devices) answer.notes = {hostile};
  DeviceAnswer& first = report.devices[0];
  first.device.title = hostile;
  first.memory.rows[0].component = hostile;
  first.decode->classes[0].name = hostile;
  first.decode->operators[0].name = first.decode->operators[0].shape = hostile;
  first.decode->layer.names[0] = first.decode->layer.lanes[0] = hostile;
  return report;
}

LatencyValidation sample_validation() {
  LatencyValidation out;
  struct Kind {
    const char *device, *architecture, *what, *level, *held_out;
    double error, shortest, longest;
  };
  for (const Kind& kind :
       {Kind{"h100-sxm5-80gb", "Hopper", "GEMM bf16", "kernels", "GPU left out of the fit", 0.08, 3e-6, 2e-2},
        {"h100-sxm5-80gb", "Hopper", "prefill attention", "kernels", "GPU left out of the fit", 0.12, 8e-6,
         5e-3},
        {"l40s", "Ada", "GEMM bf16", "kernels", "GPU left out of the fit", 0.11, 3e-6, 3e-2},
        {"rtx-4090", "Ada", "vLLM time per output token", "models", "not in any fit", 0.07, 8e-3, 4e-2}}) {
    ValidationSeries series{kind.device, kind.architecture, kind.what,        kind.level, kind.held_out, 8800,
                            kind.error,  0.7 * kind.error,  0.9 * kind.error, 0.013,      0.91,          {}};
    constexpr int kPoints = 160;
    for (int i = 0; i < kPoints; ++i) {
      double measured = kind.shortest * std::pow(kind.longest / kind.shortest, double(i) / kPoints);
      double predicted =
          measured * std::exp(1.5 * kind.error * std::sin(12.9898 * i) * std::cos(3.1 * i * i));
      series.points.push_back(
          {Seconds(measured), Seconds(predicted), Seconds(predicted * 0.85), Seconds(predicted * 1.2)});
    }
    out.series.push_back(std::move(series));
  }
  return out;
}

}  // namespace orrery::report
