#include "orrery/schedule/latency.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "orrery/base/threads.h"
#include "orrery/graph/parameters.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/schedule/iteration.h"
#include "orrery/schedule/latency_memory.h"
#include "orrery/schedule/predictor.h"

namespace orrery::schedule {
namespace {

using graph::Mode;

constexpr int64_t kMostTokens = int64_t{1} << 24, kMostBatch = int64_t{1} << 20;
constexpr double kSecondsPerHour = 3600;

constexpr int kMostDevices = 1 << 16;

// Whether an iteration runs over replicas, stages or micro-batches.
bool spreads(const LatencyRequest& r) {
  return r.parallel.data > 1 || r.parallel.pipeline > 1 || r.parallel.microbatch > 1 || r.cluster;
}

void check(const LatencyRequest& r) {
  auto within = [](const char* what, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high) {
      throw InputError(fmt::format("{} is {}; expected {} to {}", what, value, low, high));
    }
  };
  within("--prompt", r.prompt, 1, kMostTokens);
  within("--output-tokens", r.output_tokens, 1, kMostTokens);
  within("--batch", r.batch, 0, kMostBatch);
  within("--max-batch", r.max_batch, 1, kMostBatch);
  within("--sequence", r.sequence, 0, kMostTokens);
  within("--tensor-parallel", r.parallel.tensor, 1, 1024);
  within("--data-parallel", r.parallel.data, 1, kMostDevices);
  within("--pipeline-parallel", r.parallel.pipeline, 1, kMostDevices);
  within("--micro-batches", r.parallel.microbatch, 1, kMostDevices);
  if (spreads(r) && !(r.mode == Mode::Train || (r.mode == Mode::Prefill && r.parallel.data == 1))) {
    throw InputError(
        "--data-parallel goes with --mode train, --pipeline-parallel and --micro-batches with --mode train "
        "or prefill");
  }
  if (r.devices.empty())
    throw InputError("no device is named; give one with --device (orrery show gpus lists them)");
  if (!(r.memory_utilization > 0 && r.memory_utilization <= 1)) {
    throw InputError(fmt::format("--memory-utilization is {}; expected a share above 0 and at most 1",
                                 r.memory_utilization));
  }
  if (r.dollars_per_hour && !(*r.dollars_per_hour >= 0 && std::isfinite(*r.dollars_per_hour))) {
    throw InputError(fmt::format("--price is {}; expected US dollars per GPU and hour", *r.dollars_per_hour));
  }
}

graph::Workload workload_of(const LatencyRequest& r, Mode mode, int64_t batch, int64_t sequence) {
  graph::Workload w;
  w.mode = mode;
  w.batch = batch;
  w.sequence = sequence;
  w.parallel = r.parallel;
  w.attention = r.attention;
  w.fuse = r.fuse;
  w.recompute = r.recompute;
  w.optimizer = r.optimizer;
  w.frozen_layers = r.frozen_layers;
  return w;
}

// Models without a decoder of their own text answer with one pass: no decode phase, no cache.
bool generates(const graph::ModelConfig& model) {
  return std::any_of(model.towers.begin(), model.towers.end(),
                     [](const graph::Tower& tower) { return tower.role == graph::TowerRole::Decoder; });
}

// Tokens of a single phase. A model without a decoder takes at most what it was made for: an image has its
// number of patches.
int64_t sequence_of(const LatencyRequest& r) {
  if (r.sequence > 0) return r.sequence;
  int64_t limit = 0;
  for (const graph::Tower& tower : r.model.towers) limit = std::max<int64_t>(limit, tower.tokens);
  return generates(r.model) || limit == 0 ? r.prompt : std::min(r.prompt, limit);
}

// Output tokens per second and device, each request's prefill included: a batch of B requests of O tokens
// holds the device for B prefills and O steps. The two phases are priced by the same laws, so their ends go
// together.
Interval<double> throughput(const Interval<Seconds>& prefill, const Interval<Seconds>& step, double batch,
                            double output, int devices) {
  auto rate = [&](Seconds p, Seconds s) {
    return batch * output / (batch * p.value() + output * s.value()) / devices;
  };
  return {rate(prefill.high, step.high), rate(prefill.value, step.value), rate(prefill.low, step.low),
          step.confidence};
}

// From one micro-batch through the whole model on one device to the mean device's share of the iteration:
// what a stage does for each micro-batch grows with their number, the optimizer and what surrounds an
// iteration do not.
void share_out(PhaseForecast& phase, const IterationForecast& it, int64_t batch) {
  double stages = it.parallel.pipeline, repeats = it.micro_batches;
  double before = phase.time.value.value(), total = it.time.value.value(), accounted = 0;
  phase.batch = batch;
  double collectives = it.tensor.total.value();
  for (OperatorRow& row : phase.operators) {
    if (row.kind != "optimizer_step") row.count *= it.micro_batches;
  }
  std::erase_if(phase.classes,
                [](const ClassTime& c) { return c.name == "collectives" || c.name == "engine"; });
  for (ClassTime& c : phase.classes) {
    c.time = c.time * ((c.name == "optimizer" ? 1 : repeats) / stages);
    accounted += c.time.value();
  }
  if (collectives > 0) phase.classes.push_back({"collectives", Seconds(collectives), 0});
  accounted += collectives;
  double waiting = total - accounted;
  if (waiting > 0) phase.classes.push_back({"stages, links, launches", Seconds(waiting), 0});
  for (ClassTime& c : phase.classes) c.share = c.time.value() / total;
  double share = before * repeats / stages / total;
  phase.bandwidth_utilization *= share;
  phase.flops_utilization *= share;
  phase.bound_share *= std::min(1.0, share);
  phase.matrix_flops = it.flops * (1.0 / it.devices());
  phase.device_busy = Seconds(std::min(accounted, total));
  phase.overhead = Seconds(std::max(0.0, waiting));
  phase.time = it.time;
}

class Answerer {
 public:
  Answerer(const LatencyRequest& request, const Predictor& predictor) : r_(request), predictor_(predictor) {}

  DeviceAnswer answer(const hardware::Device& device) const {
    DeviceAnswer a;
    a.device = device;
    a.checked_on = hardware::Catalogue::shipped().checked_on(device.name).text();
    a.measured_in_weights = saw(device);
    a.notes = device.notes;
    if (r_.mode) {
      single(a, *r_.mode);
    } else if (!generates(r_.model)) {
      single(a, Mode::Prefill);
    } else {
      serving(a);
    }
    say_what_is_not_priced(a);
    return a;
  }

 private:
  bool saw(const hardware::Device& device) const {
    std::vector<std::string> names = device.aliases;
    names.push_back(device.name);
    names.push_back(device.title);
    return predictor_.weights().saw(names);
  }

  Driver driver_of(Mode mode) const {
    return mode == Mode::Train || !generates(r_.model) ? Driver::Framework : Driver::Serving;
  }

  void spread(DeviceAnswer& a, Mode mode) const {
    const graph::Parallelism& p = r_.parallel;
    a.batch = r_.batch > 0 ? r_.batch : int64_t{p.data} * p.microbatch;
    graph::Workload work = workload_of(r_, mode, a.batch, sequence_of(r_));
    IterationOptions options;
    options.micro_batches = p.microbatch;
    options.schedule = r_.pipeline_schedule;
    options.timeline = r_.timeline;
    hardware::Cluster cluster =
        r_.cluster ? *r_.cluster : hardware::flat_cluster(a.device, p.data * p.tensor * p.pipeline);
    const hardware::Gpu* gpu = a.device.gpu();
    if (!r_.cluster && gpu && gpu->link && gpu->link->peers < cluster.ranks()) {
      a.notes.push_back(fmt::format(
          "{} devices are taken as one node on {}, whose nodes hold {}; --cluster names other links",
          cluster.ranks(), gpu->link->name, gpu->link->peers));
    }
    a.iteration = forecast_iteration(r_.model, work, options, cluster, predictor_, driver_of(mode));
    graph::Workload micro = micro_batch_of(work, options);
    a.memory = memory_report(r_, a.device, micro, *a.iteration);
    micro.parallel.data = 1;  // gradients travel beside what a device computes
    PhaseForecast phase = predictor_.phase(r_.model, micro, a.device, driver_of(mode), r_.timeline);
    share_out(phase, *a.iteration, a.batch);
    rates(a, static_cast<double>(a.batch) * static_cast<double>(work.sequence), phase.time, std::nullopt);
    (mode == Mode::Train ? a.train : a.prefill) = std::move(phase);
    if (mode == Mode::Prefill) a.ttft = a.prefill->time;
  }

  void single(DeviceAnswer& a, Mode mode) const {
    if (spreads(r_)) return spread(a, mode);
    a.batch = r_.batch > 0 ? r_.batch : 1;
    int64_t sequence = sequence_of(r_);
    Driver driver = driver_of(mode);
    a.memory = memory_report(r_, a.device, workload_of(r_, mode, a.batch, sequence));
    Forecast raw;
    PhaseForecast phase = predictor_.phase(r_.model, workload_of(r_, mode, a.batch, sequence), a.device,
                                           driver, r_.timeline, &raw);
    double tokens = static_cast<double>(a.batch) * static_cast<double>(mode == Mode::Decode ? 1 : sequence);
    rates(a, tokens, phase.time, raw.energy);
    say_what_power_costs(a, raw);
    if (mode == Mode::Prefill) a.ttft = phase.time;
    if (mode == Mode::Decode) a.tpot = phase.time;
    (mode == Mode::Train ? a.train : mode == Mode::Decode ? a.decode : a.prefill) = std::move(phase);
    if (r_.curves) curves(a, mode, driver, sequence, a.memory.longest_context);
  }

  void serving(DeviceAnswer& a) const {
    int64_t context = r_.prompt + r_.output_tokens;
    int64_t asked = r_.batch > 0 ? r_.batch : r_.max_batch;
    a.memory =
        memory_report(r_, a.device, workload_of(r_, Mode::Decode, r_.batch > 0 ? r_.batch : 1, context));
    a.batch = std::clamp<int64_t>(a.memory.largest_batch, 1, asked);
    if (r_.batch > 0) a.batch = r_.batch;
    // The curve over context is of one sequence; what the report shows is the memory of the batch that is
    // served.
    int64_t longest_alone = a.memory.longest_context, largest = a.memory.largest_batch;
    if (a.memory.fits && r_.batch <= 0) {
      a.memory = memory_report(r_, a.device, workload_of(r_, Mode::Decode, a.batch, context));
      a.memory.largest_batch = largest;
    }
    Forecast first, step;
    a.prefill = predictor_.phase(r_.model, workload_of(r_, Mode::Prefill, 1, r_.prompt), a.device,
                                 Driver::Serving, r_.timeline, &first);
    // Half of the answer is out at the time of the mean step.
    int64_t middle = r_.prompt + r_.output_tokens / 2;
    a.decode = predictor_.phase(r_.model, workload_of(r_, Mode::Decode, a.batch, middle), a.device,
                                Driver::Serving, r_.timeline, &step);
    say_what_power_costs(a, first);
    a.ttft = a.prefill->time;
    a.tpot = a.decode->time;
    double batch = static_cast<double>(a.batch), output = static_cast<double>(r_.output_tokens);
    a.tokens_per_second_per_device = throughput(a.ttft, a.tpot, batch, output, r_.parallel.tensor);
    double devices = r_.parallel.tensor;
    auto joules = [&](Joules prefill, Joules decode) {
      return devices * (prefill.value() / output + decode.value() / batch);
    };
    if (a.device.tdp.value() > 0) {
      a.joules_per_token = Interval<double>{joules(first.energy.low, step.energy.low),
                                            joules(first.energy.value, step.energy.value),
                                            joules(first.energy.high, step.energy.high), 0.9};
    }
    price(a);
    if (r_.curves) curves(a, Mode::Decode, Driver::Serving, middle, longest_alone);
  }

  void rates(DeviceAnswer& a, double tokens, const Interval<Seconds>& time,
             const std::optional<Interval<Joules>>& energy) const {
    double devices = static_cast<double>(r_.parallel.tensor) * r_.parallel.data * r_.parallel.pipeline;
    auto rate = [&](Seconds t) { return tokens / t.value() / devices; };
    a.tokens_per_second_per_device = {rate(time.high), rate(time.value), rate(time.low), time.confidence};
    if (a.device.tdp.value() > 0 && energy) {
      auto joules = [&](Joules e) { return e.value() * devices / tokens; };
      a.joules_per_token = Interval<double>{joules(energy->low), joules(energy->value), joules(energy->high),
                                            energy->confidence};
    }
    price(a);
  }

  void price(DeviceAnswer& a) const {
    double per_second =
        r_.dollars_per_hour ? *r_.dollars_per_hour / kSecondsPerHour : a.device.price.rent.value();
    if (per_second > 0)
      a.dollars_per_million_tokens = 1e6 * per_second / a.tokens_per_second_per_device.value;
  }

  Interval<Seconds> step_time(const hardware::Device& device, Mode mode, Driver driver, int64_t batch,
                              int64_t sequence) const {
    graph::Graph graph = graph::build_graph(r_.model, workload_of(r_, mode, batch, sequence));
    return predictor_.forecast(graph, device, driver, mode, batch).time;
  }

  // Powers of two up to what fits, the chosen point among them.
  static std::vector<int64_t> ladder(int64_t low, int64_t high, int64_t chosen) {
    std::vector<int64_t> points;
    for (int64_t x = low; x <= high; x *= 2) points.push_back(x);
    points.push_back(high);
    points.push_back(chosen);
    std::sort(points.begin(), points.end());
    points.erase(std::unique(points.begin(), points.end()), points.end());
    std::erase_if(points, [&](int64_t x) { return x > std::max(high, chosen); });
    return points;
  }

  void curves(DeviceAnswer& a, Mode mode, Driver driver, int64_t sequence, int64_t longest_context) const {
    auto point = [&](int64_t x, int64_t batch, int64_t length) {
      Interval<Seconds> time = step_time(a.device, mode, driver, batch, length);
      double tokens = static_cast<double>(batch) * static_cast<double>(mode == Mode::Decode ? 1 : length);
      return CurvePoint{x, time, tokens / time.value.value()};
    };
    int64_t most_batch = std::clamp<int64_t>(a.memory.largest_batch, 1,
                                             mode == Mode::Decode ? std::max(r_.max_batch, a.batch) : 64);
    for (int64_t batch : ladder(1, most_batch, a.batch))
      a.over_batch.push_back(point(batch, batch, sequence));
    int64_t limit = 0;
    for (const graph::Tower& tower : r_.model.towers) limit = std::max<int64_t>(limit, tower.tokens);
    int64_t most = longest_context > 0 ? longest_context : sequence;
    most = std::max(sequence, std::min<int64_t>(most, limit > 0 ? limit : most));
    if (r_.model.towers.size() == 1 && r_.model.towers[0].role == graph::TowerRole::Vision)
      return;  // the image fixes the length
    int64_t batch = mode == Mode::Decode && !r_.mode ? 1 : a.batch;
    for (int64_t length : ladder(std::min<int64_t>(512, sequence), most, sequence))
      a.over_context.push_back(point(length, batch, length));
  }

  static void say_what_power_costs(DeviceAnswer& a, const Forecast& forecast) {
    if (forecast.derating < 1.005) return;
    a.notes.push_back(fmt::format("sustained load: staying within {} slows arithmetic by {:.0f} %",
                                  format(a.device.tdp), 100 * (forecast.derating - 1)));
  }

  void say_what_is_not_priced(DeviceAnswer& a) const {
    for (const std::optional<PhaseForecast>* phase : {&a.prefill, &a.decode, &a.train}) {
      if (!*phase) continue;
      for (const OperatorRow& row : (*phase)->operators) {
        if (!row.priced)
          a.notes.push_back(
              fmt::format("{} ({}) is not modelled; its time is the traffic bound", row.name, row.kind));
      }
    }
    if (a.device.tdp.value() <= 0)
      a.notes.push_back("the power limit is not known: no sustained-load derating, no energy");
    if (r_.parallel.tensor > 1 && a.device.gpu() && !a.device.gpu()->link) {
      a.notes.push_back("no peer link is known: collectives go over PCIe");
    }
  }

  const LatencyRequest& r_;
  const Predictor& predictor_;
};

void warn(const LatencyRequest& r, LatencyReport& report) {
  int64_t limit = 0;
  for (const graph::Tower& tower : r.model.towers) {
    if (tower.role == graph::TowerRole::Decoder || r.model.towers.size() == 1)
      limit = std::max<int64_t>(limit, tower.tokens);
  }
  int64_t asked = r.mode || !generates(r.model) ? sequence_of(r) : r.prompt + r.output_tokens;
  if (limit > 0 && asked > limit) {
    report.warnings.push_back(fmt::format(
        "{} tokens are asked for; {} was made for {}: the figures hold for the arithmetic, not for the "
        "quality of what it says",
        asked, r.model.name, limit));
  }
  report.warnings.insert(report.warnings.end(), r.model.notes.begin(), r.model.notes.end());
}

void explain(const LatencyRequest& r, LatencyReport& report) {
  std::vector<std::string>& say = report.assumptions;
  if (report.serving) {
    say.push_back(
        fmt::format("TTFT: prefill of {} tokens at batch 1 on an idle engine, without queueing.", r.prompt));
    say.push_back(fmt::format(
        "TPOT: one decode step of the whole batch, at a context of {} tokens (half of the answer is out).",
        r.prompt + r.output_tokens / 2));
    say.push_back(
        "tok/s: output tokens per GPU with each request's prefill included; the engine is kept full.");
    say.push_back(fmt::format(
        "The batch is the largest whose KV cache fits at {} tokens, at most {}; the engine may use {:.0f} % "
        "of the memory.",
        r.prompt + r.output_tokens, r.batch > 0 ? r.batch : r.max_batch, 100 * r.memory_utilization));
  }
  if (!report.serving && r.sequence == 0 && sequence_of(r) < r.prompt)
    say.push_back(fmt::format("One pass over {} tokens, the most that the model takes.", sequence_of(r)));
  if (r.parallel.tensor > 1)
    say.push_back(
        fmt::format("Tensor parallel over {} devices of one node, collectives over the device's own link.",
                    r.parallel.tensor));
  if (spreads(r)) {
    say.push_back(
        "Stages hold equal numbers of layers; gradients of a block are reduced as soon as they are whole, "
        "beside the "
        "backward pass of the last micro-batch, and copied into and out of the buckets that travel.");
  }
  say.push_back(
      "Bands cover 90 %; a sum's band comes from the correlation of its parts' errors, its ends are not sums "
      "of ends.");
  say.push_back(
      "Energy is the board's: idle power and estimates per FLOP and byte, a wide interval, since no source "
      "here measures it.");
}

LatencyRequest checked(const LatencyRequest& request) {
  check(request);
  LatencyRequest r = request;
  if (r.type) run_as(r.model, *r.type);
  return r;
}

LatencyReport begin_report(const LatencyRequest& r) {
  LatencyReport report;
  report.model = r.model.name;
  report.config = r.model;
  report.serving = !r.mode && generates(r.model);
  report.prompt = r.prompt;
  report.output_tokens = r.output_tokens;
  Mode mode = r.mode.value_or(report.serving ? Mode::Decode : Mode::Prefill);
  report.workload = workload_of(r, mode, std::max<int64_t>(1, r.batch), sequence_of(r));
  report.parameters = graph::parameter_count(r.model).total();
  return report;
}

}  // namespace

LatencyReport predict_latency(const LatencyRequest& request, const RunContext& context) {
  LatencyRequest r = checked(request);
  Predictor predictor(r.predictor, r.weights, r.accelerators);
  LatencyReport report = begin_report(r);
  report.predictor = predictor.name();
  report.weights = predictor.weights_title();
  warn(r, report);
  explain(r, report);
  Answerer answerer(r, predictor);
  report.devices.resize(r.devices.size());
  parallel_for(r.devices.size(), 1, context.threads, [&](size_t begin, size_t end, size_t) {
    for (size_t i = begin; i < end; ++i) {
      if (context.stop.stop_requested()) throw Interrupted();
      report.devices[i] = answerer.answer(r.devices[i]);
    }
  });
  return report;
}

LatencyReport predict_memory(const LatencyRequest& request) {
  LatencyRequest r = checked(request);
  LatencyReport report = begin_report(r);
  warn(r, report);
  int64_t sequence = report.serving ? r.prompt + r.output_tokens : report.workload.sequence;
  for (const hardware::Device& device : r.devices) {
    DeviceAnswer answer;
    answer.device = device;
    answer.batch = std::max<int64_t>(1, r.batch);
    answer.memory = memory_report(r, device, workload_of(r, report.workload.mode, answer.batch, sequence));
    answer.notes = device.notes;
    report.devices.push_back(std::move(answer));
  }
  return report;
}

}  // namespace orrery::schedule
