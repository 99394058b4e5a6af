#include "orrery/report/latency_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <vector>

#include "orrery/report/table.h"

namespace orrery::report {

using schedule::DeviceAnswer;
using schedule::LatencyReport;
using schedule::PhaseForecast;

namespace {

// "HBM" of "HBM3e": the kind of memory that people name.
std::string memory_word(const hardware::Device& device) {
  std::string word;
  for (char c : device.memory_type) {
    if (!std::isalpha(static_cast<unsigned char>(c)) || std::islower(static_cast<unsigned char>(c))) break;
    word += c;
  }
  return word.empty() ? "memory" : word;
}

std::string plain_title(const DeviceAnswer& answer) {
  return answer.device.title.empty() ? answer.device.name : answer.device.title;
}

std::string list_of(const std::vector<std::string>& words) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    out += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  }
  return out;
}

// A time of one step as a person says it.
std::string said(Seconds time) {
  return time.value() >= 1 ? show(time.value()) + " s" : show(time.value() * 1e3) + " ms";
}

std::string fits_sentence(const LatencyReport& report, size_t fitting) {
  size_t all = report.devices.size();
  const std::string& model = report.model;
  if (all == 1) {
    const DeviceAnswer& only = report.devices[0];
    if (fitting) return fmt::format("{} fits on {}.", model, device_label(report, only));
    return fmt::format("{} does not fit on {}: {}.", model, device_label(report, only),
                       why_not(report, only));
  }
  if (fitting == all)
    return all == 2 ? model + " fits on both GPUs." : fmt::format("{} fits on all {} GPUs.", model, all);
  if (fitting == 0) {
    const DeviceAnswer* easiest = nullptr;
    for (const DeviceAnswer& a : report.devices) {
      int width = a.memory.smallest_tensor_parallel;
      if (width > 0 && (!easiest || width < easiest->memory.smallest_tensor_parallel)) easiest = &a;
    }
    std::string none = fmt::format("{} fits on none of the {} GPUs", model, all);
    if (!easiest) return none + ".";
    return fmt::format("{}; on {} it would with --tensor-parallel {}.", none, plain_title(*easiest),
                       easiest->memory.smallest_tensor_parallel);
  }
  return fmt::format("{} fits on {} of {} GPUs.", model, fitting, all);
}

std::string serving_sentences(const LatencyReport& report, const std::vector<const DeviceAnswer*>& fitting) {
  auto rate = [](const DeviceAnswer* a) { return a->tokens_per_second_per_device.value; };
  const DeviceAnswer* fastest =
      *std::max_element(fitting.begin(), fitting.end(), [&](auto* a, auto* b) { return rate(a) < rate(b); });
  std::string out = fmt::format(
      "{} {}{} tokens/s per GPU with {} sequences at once, the first token after {} and then one every {}.",
      device_label(report, *fastest), fitting.size() > 1 ? "is the fastest: " : "serves ",
      show(rate(fastest)), show(static_cast<double>(fastest->batch), 0), said(fastest->ttft.value),
      said(fastest->tpot.value));
  std::vector<std::string> as_good;  // whose band reaches into the fastest one's
  for (const DeviceAnswer* a : fitting) {
    bool overlaps = a->tokens_per_second_per_device.high > fastest->tokens_per_second_per_device.low;
    if (a != fastest && overlaps) as_good.push_back(device_label(report, *a));
  }
  constexpr size_t kFew = 3;
  if (!as_good.empty() && as_good.size() <= kFew) {
    out += " Its band overlaps with that of " + list_of(as_good) + ", so that their order is not certain.";
  }
  const DeviceAnswer* cheapest = nullptr;
  for (const DeviceAnswer* a : fitting) {
    if (!a->dollars_per_million_tokens || !std::isfinite(*a->dollars_per_million_tokens)) continue;
    if (!cheapest || *a->dollars_per_million_tokens < *cheapest->dollars_per_million_tokens) cheapest = a;
  }
  if (cheapest && fitting.size() > 1) {
    out += fmt::format(" {} the cheapest: ${} per million output tokens.",
                       cheapest == fastest ? device_label(report, *fastest) + " is also"
                                           : device_label(report, *cheapest) + " is",
                       show(*cheapest->dollars_per_million_tokens));
  } else if (cheapest) {
    out += fmt::format(" A million output tokens cost ${}.", show(*cheapest->dollars_per_million_tokens));
  }
  return out;
}

std::string single_mode_sentences(const LatencyReport& report,
                                  const std::vector<const DeviceAnswer*>& fitting) {
  const DeviceAnswer* fastest = nullptr;
  const PhaseForecast* best = nullptr;
  for (const DeviceAnswer* a : fitting) {
    const PhaseForecast* phase = deciding_phase(report, *a);
    if (phase && (!best || phase->time.value < best->time.value)) {
      fastest = a;
      best = phase;
    }
  }
  if (!best) return {};
  if (report.config.towers.empty()) {  // a graph from a file: it has a batch, but no tokens
    return fmt::format("One {} of batch {} takes {} on {}{}: {} % of the matrix peak.",
                       best->mode == graph::Mode::Train ? "training iteration" : "pass",
                       show(static_cast<double>(best->batch), 0), said(best->time.value),
                       device_label(report, *fastest), fitting.size() > 1 ? ", the fastest" : "",
                       show(best->flops_utilization * 100, 0));
  }
  const char* what = best->mode == graph::Mode::Train    ? "One training iteration"
                     : best->mode == graph::Mode::Decode ? "One decode step"
                                                         : "One prefill";
  return fmt::format("{} of {} x {} tokens takes {} on {}{}: {} tokens/s at {} % of the matrix peak.", what,
                     show(static_cast<double>(best->batch), 0), show(static_cast<double>(best->sequence), 0),
                     said(best->time.value), device_label(report, *fastest),
                     fitting.size() > 1 ? ", the fastest" : "", show(tokens_per_second(*best)),
                     show(best->flops_utilization * 100, 0));
}

}  // namespace

std::string device_label(const LatencyReport& report, const DeviceAnswer& answer) {
  int copies = answer.iteration ? answer.iteration->devices() : devices_of_a_copy(report);
  return copies > 1 ? fmt::format("{} x {}", copies, plain_title(answer)) : plain_title(answer);
}

int devices_of_a_copy(const LatencyReport& report) {
  const graph::Parallelism& parallel = report.workload.parallel;
  return std::max(1, parallel.tensor) * std::max(1, parallel.pipeline);
}

const char* mode_name(graph::Mode mode) {
  switch (mode) {
    case graph::Mode::Prefill:
      return "prefill";
    case graph::Mode::Decode:
      return "decode";
    case graph::Mode::Train:
      return "train";
  }
  return "";
}

const char* attention_name(graph::AttentionKernel attention) {
  return attention == graph::AttentionKernel::Flash ? "flash" : "eager";
}

const char* recompute_name(graph::Recompute recompute) {
  switch (recompute) {
    case graph::Recompute::None:
      return "none";
    case graph::Recompute::Selective:
      return "selective";
    case graph::Recompute::Full:
      return "full";
  }
  return "";
}

const char* optimizer_name(graph::Optimizer optimizer) {
  switch (optimizer) {
    case graph::Optimizer::None:
      return "none";
    case graph::Optimizer::Sgd:
      return "sgd";
    case graph::Optimizer::Momentum:
      return "momentum";
    case graph::Optimizer::Adam:
      return "adam";
    case graph::Optimizer::MixedAdam:
      return "mixed_adam";
  }
  return "";
}

const PhaseForecast* deciding_phase(const LatencyReport& report, const DeviceAnswer& answer) {
  auto pointer = [](const std::optional<PhaseForecast>& phase) { return phase ? &*phase : nullptr; };
  if (report.serving) return answer.decode ? pointer(answer.decode) : pointer(answer.prefill);
  switch (report.workload.mode) {
    case graph::Mode::Prefill:
      return pointer(answer.prefill);
    case graph::Mode::Decode:
      return pointer(answer.decode);
    case graph::Mode::Train:
      return pointer(answer.train);
  }
  return nullptr;
}

std::string bound_label(const DeviceAnswer& answer, const PhaseForecast& phase) {
  std::string what =
      phase.bound == cost::Bound::Memory ? memory_word(answer.device) : cost::name(phase.bound);
  return phase.bound_share > 0 ? what + " " + show(phase.bound_share * 100, 0) + " %" : what;
}

double tokens_per_second(const PhaseForecast& phase) {
  double tokens = static_cast<double>(phase.batch);
  if (phase.mode != graph::Mode::Decode) tokens *= static_cast<double>(phase.sequence);
  return phase.time.value.value() > 0 ? tokens / phase.time.value.value() : 0;
}

std::string tokens_label(int64_t tokens) {
  constexpr int64_t kKibi = 1024, kFewTokens = 4 * kKibi, kManyTokens = 10 * kKibi;
  // Rounded down: what is said to fit, fits.
  auto in_kibi = [&](int decimals) {
    double step = decimals ? 10 : 1;
    return show(std::floor(static_cast<double>(tokens) / kKibi * step) / step, decimals) + "k";
  };
  if (tokens % kKibi == 0 && tokens > 0) return in_kibi(0);
  if (tokens < kFewTokens) return show(static_cast<double>(tokens), 0);
  return in_kibi(tokens < kManyTokens ? 1 : 0);
}

Bytes bytes_short(const schedule::MemoryReport& memory) {
  return memory.fits || memory.needed < memory.available ? Bytes{} : memory.needed - memory.available;
}

std::string why_not(const LatencyReport& report, const DeviceAnswer& answer) {
  const schedule::MemoryReport& memory = answer.memory;
  std::string out;
  auto largest = std::max_element(memory.rows.begin(), memory.rows.end(),
                                  [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
  if (largest != memory.rows.end()) out += format(largest->bytes) + " of " + largest->component + ", ";
  out += format(bytes_short(memory)) + " short";
  int needed = memory.smallest_devices;
  if (needed > devices_of_a_copy(report)) out += fmt::format("; needs {} x {}", needed, plain_title(answer));
  if (memory.smallest_tensor_parallel > 0) {
    out += fmt::format("{}--tensor-parallel {}", needed > devices_of_a_copy(report) ? ": " : "; fits with ",
                       memory.smallest_tensor_parallel);
  } else {
    out += "; no --tensor-parallel width of one node is enough";
  }
  return out;
}

std::string subject(const LatencyReport& report) {
  std::vector<std::string> parts;
  if (report.parameters > 0) {
    constexpr double kBillion = 1e9, kMillion = 1e6;
    bool billions = report.parameters >= kBillion;
    parts.push_back(show(report.parameters / (billions ? kBillion : kMillion)) + (billions ? " B" : " M") +
                    " parameters");
  }
  std::string type(name(report.config.type));
  if (report.config.quantization && !report.config.quantization->method.empty()) {
    type += ", " + report.config.quantization->method + " weights";
  }
  parts.push_back(type);
  if (report.serving) {
    parts.push_back("prompt of " + show(static_cast<double>(report.prompt), 0) + " tokens");
    parts.push_back("output of " + show(static_cast<double>(report.output_tokens), 0));
  } else if (report.config.towers.empty()) {
    parts.push_back("batch " + show(static_cast<double>(report.workload.batch), 0));
  } else {
    parts.push_back(fmt::format("{}, batch {} x {} tokens", mode_name(report.workload.mode),
                                show(static_cast<double>(report.workload.batch), 0),
                                show(static_cast<double>(report.workload.sequence), 0)));
  }
  if (report.workload.parallel.tensor > 1)
    parts.push_back(fmt::format("tensor parallel {}", report.workload.parallel.tensor));
  if (report.workload.parallel.data > 1)
    parts.push_back(fmt::format("data parallel {}", report.workload.parallel.data));
  if (report.workload.parallel.microbatch > 1)
    parts.push_back(fmt::format("{} micro-batches", report.workload.parallel.microbatch));
  if (report.workload.parallel.pipeline > 1)
    parts.push_back(fmt::format("pipeline parallel {}", report.workload.parallel.pipeline));
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

std::string answer_in_words(const LatencyReport& report) {
  if (report.devices.empty()) return report.model + ": no GPU was asked for.";
  std::vector<const DeviceAnswer*> fitting;
  for (const DeviceAnswer& answer : report.devices) {
    if (answer.memory.fits) fitting.push_back(&answer);
  }
  std::string out = fits_sentence(report, fitting.size());
  if (!fitting.empty()) {
    // An encoder has no decode phase: its answer is one pass.
    bool decodes = std::all_of(fitting.begin(), fitting.end(), [](auto* a) { return a->decode.has_value(); });
    std::string figures = report.serving && decodes ? serving_sentences(report, fitting)
                                                    : single_mode_sentences(report, fitting);
    if (!figures.empty()) out += " " + figures;
  }
  return out;
}

std::string trust_in_words(const LatencyReport& report) {
  if (report.devices.empty()) return {};
  std::vector<std::string> models, kernels, fitted, none;
  for (const DeviceAnswer& answer : report.devices) {
    auto& list = answer.checked_on == "models"    ? models
                 : answer.checked_on == "kernels" ? kernels
                 : answer.measured_in_weights     ? fitted
                                                  : none;
    list.push_back(plain_title(answer));
  }
  std::string out;
  if (!models.empty()) out += "whole models were measured and compared on " + list_of(models) + "; ";
  if (!kernels.empty()) out += "single kernels were measured and compared on " + list_of(kernels) + "; ";
  if (!fitted.empty()) out += "kernels measured on " + list_of(fitted) + " are in the fit; ";
  if (out.empty()) {
    const bool gpus = std::all_of(report.devices.begin(), report.devices.end(),
                                  [](const DeviceAnswer& a) { return a.device.gpu() != nullptr; });
    const std::string_view noun = gpus ? "GPU" : "accelerator",
                           source = gpus ? "carry over from others" : "are those of its model";
    return report.devices.size() > 1
               ? fmt::format("None of these {}s was measured: all figures {}.", noun, source)
               : fmt::format("This {} was not measured: all figures {}.", noun, source);
  }
  if (!none.empty()) out += "nothing was measured on " + list_of(none) + "; ";
  out.resize(out.size() - 2);
  out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
  return out + ".";
}

std::string verdict(const LatencyReport& report) {
  std::string trust = trust_in_words(report);
  return answer_in_words(report) + (trust.empty() ? "" : " " + trust);
}

}  // namespace orrery::report
