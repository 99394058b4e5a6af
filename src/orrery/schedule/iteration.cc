#include "orrery/schedule/iteration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "orrery/base/error.h"

namespace orrery::schedule {
namespace {

using graph::OperatorKind;
using graph::Pass;

constexpr int64_t kMostTasks = int64_t{1} << 22;

// Gradients of one block, ready `offset` after the backward of the last micro-batch begins on its stage.
struct Reduction {
  double offset = 0, seconds = 0, bytes = 0;
};

struct StageWork {
  double forward = 0, backward = 0, optimizer = 0, copies = 0;
  double tensor = 0, tensor_bytes = 0;  // collectives within one micro-batch
  std::vector<Reduction> reductions;
};

bool is_gradient_reduction(const graph::OperatorShape& shape) {
  return shape.kind == OperatorKind::AllReduce && shape.pass == Pass::Accumulate;
}

bool is_link(const graph::Kernel& kernel) {
  return graph::traits(kernel.parts.front().kind).engine == graph::Engine::Link;
}

std::string describe_links(const hardware::Cluster& cluster) {
  std::string text;
  for (const hardware::LinkLevel& level : cluster.levels)
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", level.fanout, level.name);
  return text;
}

void check(const graph::ModelConfig& model, const graph::Workload& work, const IterationOptions& options,
           const hardware::Cluster& cluster) {
  const graph::Parallelism& p = work.parallel;
  int64_t devices = int64_t{p.data} * p.tensor * p.pipeline;
  if (p.data < 1 || p.tensor < 1 || p.pipeline < 1 || options.micro_batches < 1)
    throw InputError("widths of parallelism and the number of micro-batches are 1 at least");
  if (devices > cluster.ranks()) {
    throw InputError(fmt::format("{}: {} data x {} tensor x {} pipeline parallel are {} devices; {} has {}",
                                 model.name, p.data, p.tensor, p.pipeline, devices, cluster.name,
                                 cluster.ranks()));
  }
  int64_t parts = int64_t{p.data} * options.micro_batches;
  if (work.batch % parts != 0) {
    throw InputError(fmt::format(
        "{}: a batch of {} does not divide into {} replicas of {} micro-batches; use a multiple of {}",
        model.name, work.batch, p.data, options.micro_batches, parts));
  }
  if (p.pipeline > 1 && model.towers.size() > 1)
    throw InputError(fmt::format("{}: a pipeline runs through one tower; this model has {}", model.name,
                                 model.towers.size()));
  if (p.pipeline > 1 && !model.towers.empty() && p.pipeline > model.towers[0].layers) {
    throw InputError(fmt::format("{}: {} layers do not fill {} stages; use --pipeline-parallel {} at most",
                                 model.name, model.towers[0].layers, p.pipeline, model.towers[0].layers));
  }
  if (work.mode == graph::Mode::Decode && (p.pipeline > 1 || options.micro_batches > 1))
    throw InputError(
        fmt::format("{}: a pipeline is forecast for training and prefill, not for decoding", model.name));
  if (int64_t{p.pipeline} * options.micro_batches > kMostTasks) {
    throw InputError(fmt::format("{} stages of {} micro-batches are more than {} tasks", p.pipeline,
                                 options.micro_batches, kMostTasks));
  }
}

class Iteration {
 public:
  Iteration(const graph::ModelConfig& model, const graph::Workload& work, const IterationOptions& options,
            const hardware::Cluster& cluster, const Predictor& predictor, Driver driver,
            const cost::CollectiveModel& collectives)
      : model_(model),
        work_(work),
        options_(options),
        cluster_(cluster),
        predictor_(predictor),
        driver_(driver),
        collectives_(collectives),
        device_(cluster.device(0)),
        micro_(micro_batch_of(work, options)),
        graph_(graph::build_graph(model, micro_)),
        first_(divide_layers(graph_.layers, work.parallel.pipeline)),
        stages_(static_cast<size_t>(work.parallel.pipeline)) {}

  IterationForecast forecast() {
    price();
    walk();
    IterationForecast result;
    result.parallel = work_.parallel;
    result.micro_batches = options_.micro_batches;
    result.micro_batch = micro_.batch;
    result.schedule = options_.schedule;
    result.link = describe_links(cluster_);
    result.engine = plain_.engine;
    fill(result);
    return result;
  }

 private:
  // What costs nothing in a run that asks what links cost.
  struct Free {
    bool tensor = false, pipeline = false, data = false;
  };

  double collective(cost::Collective kind, double bytes, int ranks, int stride,
                    cost::CollectiveCost* whole) const {
    if (ranks <= 1 || bytes <= 0) return 0;
    cost::CollectiveCost cost =
        collectives_.price(kind, bytes, ranks, hardware::group_of(cluster_, ranks, stride), false);
    if (whole != nullptr) *whole = cost;
    return cost.time.value();
  }

  // Collectives of the graph go over the cluster's links; gradients' are taken out of the stream.
  void price() {
    costs_ = predictor_.price(graph_, device_);
    for (size_t k = 0; k < costs_.size(); ++k) {
      const graph::OperatorShape& shape = graph_.kernels[k].parts.front();
      if (!is_link(graph_.kernels[k])) continue;
      const graph::CollectiveSize size = graph::collective_size(shape);
      auto ranks = static_cast<int>(size.participants);
      bool gradients = is_gradient_reduction(shape);
      if (!gradients && ranks > cluster_.ranks())
        continue;  // experts spread beyond: as the operator model has it
      cost::CollectiveCost cost;
      collective(cost::collective_of(shape.kind), static_cast<double>(size.bytes), ranks,
                 gradients ? work_.parallel.tensor : 1, &cost);
      costs_[k].time = gradients ? Seconds(0) : cost.time;
      costs_[k].low = static_cast<float>(cost.low);
      costs_[k].high = static_cast<float>(cost.high);
      link_band_ = {std::min(link_band_.low, cost.low), std::max(link_band_.high, cost.high)};
    }
    plain_ = predictor_.forecast(graph_, costs_, device_, driver_, micro_.mode, micro_.batch);
    double kernels = 0;
    for (size_t k = 0; k < costs_.size(); ++k) kernels += plain_.executions[k] * costs_[k].time.value();
    scale_ = kernels > 0 ? (plain_.busy + plain_.waiting).value() / kernels : 1;
  }

  size_t stage_of(int layer) const {
    auto it = std::upper_bound(first_.begin(), first_.end() - 1, std::max(layer, 0));
    return static_cast<size_t>(std::max<ptrdiff_t>(0, it - first_.begin() - 1));
  }

  // A copy of the gradients, in and out alike.
  double copy_time(double bytes) const {
    auto elements = static_cast<int64_t>(bytes / bytes_per_element(model_.type));
    graph::Kernel kernel{
        {graph::make(OperatorKind::Copy, graph::VectorSize{.rows = 1, .columns = elements}, model_.type)}};
    cost::OperatorCost cost;
    predictor_.model(device_).price(std::span(&kernel, 1), device_, {}, std::span(&cost, 1));
    return cost.time.value();
  }

  void walk() {
    for (const graph::Operator& op : graph_.operators) {
      const graph::OperatorShape& shape = graph_.kernels[op.kernel].parts.front();
      StageWork& stage = stages_[stage_of(op.layer)];
      double seconds = costs_[op.kernel].time.value() * scale_;
      if (is_gradient_reduction(shape)) {
        auto bytes = static_cast<double>(graph::collective_size(shape).bytes);
        if (options_.bucket_copies) {
          double copy = copy_time(bytes);
          stage.copies += copy;
          stage.reductions.push_back({stage.backward + stage.copies, 0, bytes});
        } else {
          stage.reductions.push_back({stage.backward, 0, bytes});
        }
        stage.reductions.back().seconds = collective(cost::Collective::AllReduce, bytes, work_.parallel.data,
                                                     work_.parallel.tensor, nullptr);
        continue;
      }
      if (is_link(graph_.kernels[op.kernel])) {
        stage.tensor += seconds;
        stage.tensor_bytes += static_cast<double>(graph::collective_size(shape).bytes);
      }
      if (shape.pass == Pass::Optimizer) {
        stage.optimizer += seconds;
      } else if (shape.pass == Pass::Forward) {
        stage.forward += seconds;
      } else {
        stage.backward += seconds;
      }
    }
  }

  std::vector<StageCost> stage_costs(const Free& free) const {
    double bytes = static_cast<double>(micro_.batch) * static_cast<double>(micro_.sequence) *
                   model_.towers.front().hidden * bytes_per_element(model_.type);
    std::vector<StageCost> costs;
    for (size_t s = 0; s < stages_.size(); ++s) {
      const StageWork& work = stages_[s];
      double keep = free.tensor && work.forward + work.backward > 0
                        ? 1 - work.tensor / (work.forward + work.backward)
                        : 1;
      double send = free.pipeline ? 0 : send_time(bytes, s);
      bool train = micro_.mode == graph::Mode::Train;
      costs.push_back({Seconds(work.forward * keep), Seconds(train ? work.backward * keep : 0), Seconds(send),
                       Seconds(s == 0 || free.pipeline ? 0 : send_time(bytes, s - 1))});
    }
    return costs;
  }

  // From stage s to the next.
  double send_time(double bytes, size_t s) const {
    int group = work_.parallel.tensor * work_.parallel.data;
    int from = static_cast<int>(s) * group, to = from + group;
    if (to >= cluster_.ranks()) return 0;
    auto level = std::min(static_cast<size_t>(cluster_.level_between(from, to)), cluster_.levels.size() - 1);
    return collectives_.price(cost::Collective::SendReceive, bytes, 2, cluster_.levels[level], false)
        .time.value();
  }

  PipelineOptions pipeline_options() const {
    return {.micro_batches = options_.micro_batches,
            .schedule = options_.schedule,
            .train = micro_.mode == graph::Mode::Train,
            .blocking_sends = options_.blocking_sends};
  }

  // When a stage's gradients have arrived everywhere; fills the lane of its link.
  double reduce(size_t s, const PipelineRun& run, const Free& free, Timeline* timeline) const {
    const StageWork& work = stages_[s];
    double last = run.end[s].value() + work.copies;
    if (work.reductions.empty()) return last;
    double begin = 0;
    for (const PipelineTask& task : run.tasks) {
      if (task.stage == static_cast<int>(s) && task.backward) begin = task.start.value();
    }
    double link = 0;
    for (const Reduction& reduction : work.reductions) {
      double ready = options_.overlap_gradients ? begin + reduction.offset : last;
      double start = std::max(link, ready);
      link = start + (free.data ? 0 : reduction.seconds);
      if (timeline != nullptr && link > start)
        timeline->events.push_back({static_cast<uint32_t>(2 * s + 1), kReduceName, static_cast<uint32_t>(s),
                                    Seconds(start), Seconds(link - start)});
    }
    return std::max(last, link) + (free.data ? 0 : work.copies);  // and out of the buckets again
  }

  double run(const Free& free, IterationForecast* result) {
    std::vector<StageCost> costs = stage_costs(free);
    PipelineRun pipeline = run_pipeline(costs, pipeline_options());
    double end = 0;
    Timeline* timeline = result != nullptr && options_.timeline ? &result->timeline : nullptr;
    if (timeline != nullptr) begin_timeline(*timeline, pipeline);
    for (size_t s = 0; s < stages_.size(); ++s) {
      double reduced = reduce(s, pipeline, free, timeline);
      end = std::max(end, reduced + stages_[s].optimizer);
      if (timeline != nullptr && stages_[s].optimizer > 0)
        timeline->events.push_back({static_cast<uint32_t>(2 * s), kOptimizerName, static_cast<uint32_t>(s),
                                    Seconds(reduced), Seconds(stages_[s].optimizer)});
      if (result == nullptr) continue;
      StageForecast stage;
      stage.first_layer = first_[s];
      stage.layers = first_[s + 1] - first_[s];
      stage.forward = costs[s].forward;
      stage.backward = costs[s].backward;
      stage.busy = pipeline.busy[s];
      stage.computed = pipeline.end[s];
      stage.reduced = Seconds(reduced);
      for (const Reduction& r : stages_[s].reductions) stage.reduction += Seconds(r.seconds);
      stage.optimizer = Seconds(stages_[s].optimizer);
      stage.kept = pipeline.kept[s];
      result->stages.push_back(stage);
      result->optimizer = std::max(result->optimizer, stage.optimizer);
    }
    if (result != nullptr) result->bubble_share = pipeline.bubble_share();
    return end;
  }

  static constexpr uint32_t kForwardName = 0, kBackwardName = 1, kReduceName = 2, kOptimizerName = 3;

  void begin_timeline(Timeline& timeline, const PipelineRun& pipeline) const {
    timeline.names = {"forward", "backward", "gradient all-reduce", "optimizer"};
    for (size_t s = 0; s < stages_.size(); ++s) {
      timeline.lanes.push_back(fmt::format("stage {}: layers {} to {}", s, first_[s], first_[s + 1] - 1));
      timeline.lanes.push_back(fmt::format("stage {}: gradients", s));
    }
    // Micro-batches are told apart by their names.
    bool told = options_.micro_batches > 1;
    auto base = static_cast<uint32_t>(timeline.names.size());
    for (int j = 0; told && j < options_.micro_batches; ++j) {
      timeline.names.push_back(fmt::format("forward {}", j));
      timeline.names.push_back(fmt::format("backward {}", j));
    }
    for (const PipelineTask& task : pipeline.tasks) {
      uint32_t name = task.backward ? kBackwardName : kForwardName;
      if (told) name = base + 2 * static_cast<uint32_t>(task.micro_batch) + (task.backward ? 1 : 0);
      timeline.events.push_back({static_cast<uint32_t>(2 * task.stage), name,
                                 static_cast<uint32_t>(task.micro_batch), task.start, task.duration});
    }
  }

  void fill(IterationForecast& result) {
    double whole = run({}, &result), micro_batches = options_.micro_batches;
    auto shorter = [&](const Free& free) { return Seconds(std::max(0.0, whole - run(free, nullptr))); };
    double links_free = run({true, true, true}, nullptr);
    result.tensor.exposed = shorter({.tensor = true});
    result.pipeline.exposed = shorter({.pipeline = true});
    result.data.exposed = shorter({.data = true});
    std::vector<StageCost> costs = stage_costs({});
    bool train = micro_.mode == graph::Mode::Train;
    for (size_t s = 0; s < stages_.size(); ++s) {
      const StageWork& work = stages_[s];
      if (work.tensor * micro_batches > result.tensor.total.value()) {
        result.tensor.total = Seconds(work.tensor * micro_batches);
        result.tensor.bytes = Bytes(work.tensor_bytes * micro_batches);
      }
      double sends = (s + 1 < stages_.size() ? costs[s].send_forward.value() : 0) +
                     (train ? costs[s].send_backward.value() : 0);
      result.pipeline.total = std::max(result.pipeline.total, Seconds(sends * micro_batches));
      Seconds link;
      Bytes bytes;
      for (const Reduction& r : work.reductions) {
        link += Seconds(r.seconds);
        bytes += Bytes(r.bytes);
      }
      if (link > result.data.total) {
        result.data.total = link;
        result.data.bytes = bytes;
      }
    }
    double boundary = static_cast<double>(micro_.batch) * static_cast<double>(micro_.sequence) *
                      model_.towers.front().hidden * bytes_per_element(model_.type);
    if (stages_.size() > 1) result.pipeline.bytes = Bytes(boundary * micro_batches * (train ? 2 : 1));
    result.flops =
        graph::matrix_flops(graph_) * (micro_batches * work_.parallel.data * work_.parallel.tensor);
    // What is computed errs as the plain forecast does, what the links add as their law does.
    double total = whole + plain_.engine.value();
    Interval<Seconds> plain = plain_.time;
    const BandTerm terms[] = {
        {Law::Matrix, links_free + plain_.engine.value(), plain.low / plain.value, plain.high / plain.value},
        {Law::Link, whole - links_free, link_band_.low, link_band_.high}};
    Band band = combine(terms, 1, predictor_.across_laws());
    result.time = {Seconds(total * band.low), Seconds(total), Seconds(total * band.high), plain.confidence};
  }

  const graph::ModelConfig& model_;
  const graph::Workload& work_;
  const IterationOptions& options_;
  const hardware::Cluster& cluster_;
  const Predictor& predictor_;
  Driver driver_;
  const cost::CollectiveModel& collectives_;
  const hardware::Device& device_;
  graph::Workload micro_;
  graph::Graph graph_;
  std::vector<int> first_;
  std::vector<StageWork> stages_;
  std::vector<cost::OperatorCost> costs_;
  Forecast plain_;
  double scale_ = 1;
  Band link_band_{.9, 1.1};
};

}  // namespace

graph::Workload micro_batch_of(const graph::Workload& work, const IterationOptions& options) {
  graph::Workload micro = work;
  micro.batch = work.batch / (int64_t{work.parallel.data} * options.micro_batches);
  micro.parallel.pipeline = 1;
  if (options.micro_batches > 1) micro.accumulate_gradients = true;
  return micro;
}

std::vector<int> divide_layers(int layers, int stages) {
  std::vector<int> first(static_cast<size_t>(stages) + 1);
  int each = layers / stages, rest = layers % stages;
  for (int s = 0; s <= stages; ++s) first[static_cast<size_t>(s)] = s * each + std::min(s, rest);
  return first;
}

IterationForecast forecast_iteration(const graph::ModelConfig& model, const graph::Workload& work,
                                     const IterationOptions& options, const hardware::Cluster& cluster,
                                     const Predictor& predictor, Driver driver,
                                     const cost::CollectiveModel& collectives) {
  check(model, work, options, cluster);
  return Iteration(model, work, options, cluster, predictor, driver, collectives).forecast();
}

IterationForecast forecast_iteration(const graph::ModelConfig& model, const graph::Workload& work,
                                     const IterationOptions& options, const hardware::Cluster& cluster,
                                     const Predictor& predictor, Driver driver) {
  static const cost::CollectiveModel shipped = cost::CollectiveModel::shipped();
  static const cost::CollectiveModel ideal = cost::CollectiveModel::ideal();
  bool bound = predictor.name() == "roofline";
  return forecast_iteration(model, work, options, cluster, predictor, driver, bound ? ideal : shipped);
}

}  // namespace orrery::schedule
