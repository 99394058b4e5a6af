// The labels and sentences of a latency report that its terminal, JSON and HTML forms share, so that they
// never disagree.
#pragma once

#include <string>

#include "orrery/schedule/latency_report.h"

namespace orrery::report {

// "H100-SXM5-80GB", or "4 x H100-SXM5-80GB" where the model is split over several.
std::string device_label(const schedule::LatencyReport& report, const schedule::DeviceAnswer& answer);
// Devices that hold one copy of the model: tensor x pipeline.
int devices_of_a_copy(const schedule::LatencyReport& report);

const char* mode_name(graph::Mode mode);                       // "prefill"
const char* attention_name(graph::AttentionKernel attention);  // "flash"
const char* recompute_name(graph::Recompute recompute);        // "selective"
const char* optimizer_name(graph::Optimizer optimizer);        // "mixed_adam"

// The phase that decides: decode for serving, else the one that was asked for; null where nothing was
// forecast.
const schedule::PhaseForecast* deciding_phase(const schedule::LatencyReport& report,
                                              const schedule::DeviceAnswer& answer);
// "HBM 71 %", "compute 88 %": what bounds a phase and the share of its time under that bound.
std::string bound_label(const schedule::DeviceAnswer& answer, const schedule::PhaseForecast& phase);
// Tokens that one iteration processes, over its time; all sequences and all data-parallel copies together.
double tokens_per_second(const schedule::PhaseForecast& phase);
// "8k", "131k", "2,304": a context length.
std::string tokens_label(int64_t tokens);
// What lies between the needed and the available bytes; 0 where it fits.
Bytes bytes_short(const schedule::MemoryReport& memory);
// "353 GB of weights, 282 GB short; needs 5 x H200: --tensor-parallel 8".
std::string why_not(const schedule::LatencyReport& report, const schedule::DeviceAnswer& answer);

// "8.03 B parameters, bf16, prompt 2,048, output 256": what was asked, in a line.
std::string subject(const schedule::LatencyReport& report);
// The answer in one to three sentences: what fits, which is the fastest, which the cheapest.
std::string answer_in_words(const schedule::LatencyReport& report);
// On which of the devices measurements stand behind the figures, and on which none do.
std::string trust_in_words(const schedule::LatencyReport& report);
// Both.
std::string verdict(const schedule::LatencyReport& report);

// The larger distance from the value to an end of its band: what stands behind "±".
template <class Q>
double margin(const Interval<Q>& band) {
  auto number = [](auto q) {
    if constexpr (requires { q.value(); }) {
      return q.value();
    } else {
      return static_cast<double>(q);
    }
  };
  double below = number(band.value) - number(band.low), above = number(band.high) - number(band.value);
  return below > above ? below : above;
}

}  // namespace orrery::report
