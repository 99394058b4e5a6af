#include "orrery/schedule/predictor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "orrery/base/document.h"
#include "orrery/base/text.h"
#include "orrery/cost/accelerator/accelerator_model.h"
#include "orrery/cost/calibration.h"
#include "orrery/cost/gpu_model.h"
#include "orrery/cost/neusight/habitat_model.h"
#include "orrery/cost/neusight/linear_model.h"
#include "orrery/cost/neusight/neusight_model.h"
#include "orrery/cost/roofline_model.h"

namespace orrery::schedule {
namespace {

using graph::OperatorKind;

EngineTerms read_terms(const Node& node, bool replay) {
  node.allow_only({"launch_us", "gap_us", "step_us", "per_sequence_us", "low", "high"});
  auto us = [&](std::string_view key) {
    const Node* value = node.find(key);
    return microseconds(value ? value->as_number(0, 1e6) : 0);
  };
  EngineTerms terms;
  terms.replay = replay;
  terms.launch = us("launch_us");
  terms.gap = us("gap_us");
  terms.step = us("step_us");
  terms.per_sequence = us("per_sequence_us");
  if (const Node* low = node.find("low")) terms.low = low->as_number(0.01, 1);
  if (const Node* high = node.find("high")) terms.high = high->as_number(1, 100);
  return terms;
}

const graph::OperatorShape& leading_part(const graph::Kernel& kernel) {
  for (const graph::OperatorShape& part : kernel.parts) {
    if (graph::traits(part.kind).engine == graph::Engine::Matrix) return part;
  }
  return kernel.parts.front();
}

FlopsPerSecond peak(const hardware::Device& device, DataType type) {
  if (const hardware::Gpu* gpu = device.gpu()) return cost::matrix_rate(*gpu, type);
  const hardware::Accelerator& chip = *device.accelerator();
  return FlopsPerSecond(2.0 * chip.matrix_cores * chip.columns * chip.rows * chip.clock.value());
}

// Predictors of FP32 kernels that other people published; null for another name.
std::shared_ptr<const cost::OperatorModel> published_model(const std::string& name,
                                                           std::shared_ptr<const cost::Weights> weights) {
  if (name == "neusight") return std::make_shared<cost::NeuSightModel>(std::move(weights));
  if (name == "linear") return std::make_shared<cost::LinearModel>(std::move(weights));
  if (name == "habitat") return std::make_shared<cost::HabitatModel>(std::move(weights));
  return nullptr;
}
bool is_published(const std::string& name) {
  return name == "neusight" || name == "linear" || name == "habitat";
}

}  // namespace

std::vector<std::string> predictor_names() {
  return {"default", "roofline", "neusight", "linear", "habitat"};
}

std::string_view operator_class(const graph::Kernel& kernel) {
  const graph::OperatorShape& part = leading_part(kernel);
  switch (part.kind) {
    case OperatorKind::Gemm:
      return "linear";
    case OperatorKind::GroupedGemm:
      return "experts";
    case OperatorKind::Convolution:
      return "convolution";
    case OperatorKind::Attention:
      return "attention";
    case OperatorKind::OptimizerStep:
      return "optimizer";
    default:
      break;
  }
  return graph::traits(part.kind).engine == graph::Engine::Link ? "collectives" : "norms and elementwise";
}

std::string describe(const graph::Kernel& kernel) {
  const graph::OperatorShape& part = leading_part(kernel);
  const graph::OperatorTraits& traits = graph::traits(part.kind);
  std::string text;
  for (size_t i = 0; i < graph::kDims && !traits.dims[i].empty(); ++i) {
    bool plain = (traits.dims[i] == "batch" && part.dims[i] == 1) || part.dims[i] == 0;
    if (!plain) text += fmt::format("{}={} ", traits.dims[i], part.dims[i]);
  }
  text += name(part.type);
  if (part.stored != part.type) text += fmt::format("/{}", name(part.stored));
  return text;
}

void run_as(graph::ModelConfig& model, DataType type) {
  model.exact_weight_bytes.reset();
  if (bytes_per_element(type) >= 2) {
    model.type = type;
    model.quantization.reset();
    return;
  }
  if (bytes_per_element(model.type) < 2) model.type = DataType::BF16;
  graph::Quantization quantization;
  quantization.method = name(type);
  quantization.weights = type;
  quantization.activations = type == DataType::INT4 || type == DataType::MXFP4 ? model.type : type;
  quantization.ignored = {"lm_head"};
  model.quantization = quantization;
}

Predictor::Predictor(const std::string& predictor, const std::string& weights,
                     const cost::AcceleratorOptions& accelerators)
    : Predictor(nullptr,
                weights.empty() || is_published(predictor) || cost::is_calibration_file(weights)
                    ? cost::Weights::shipped()
                    : cost::Weights::read(weights),
                accelerators) {
  std::vector<std::string> names = predictor_names();
  if (predictor == "default") {
    auto gpu = std::make_shared<cost::GpuModel>(weights_);
    model_ = gpu;
    from_graph_ = std::make_shared<cost::GpuModel>(*gpu, cost::Measured::FromGraph);
    from_host_ = std::make_shared<cost::GpuModel>(*gpu, cost::Measured::FromHost);
    if (!weights.empty() && cost::is_calibration_file(weights)) correct(weights);
  } else if (predictor == "roofline") {
    model_ = std::make_shared<cost::RooflineModel>();
  } else if (is_published(predictor)) {
    weights_ = cost::Weights::read(weights.empty() ? cost::shipped_neusight_weights() : weights);
    weights_title_ = weights_->title();
    model_ = published_model(predictor, weights_);
  } else {
    throw InputError("there is no predictor '" + printable(predictor, 40) + "'" +
                     did_you_mean(predictor, std::span<const std::string>(names)));
  }
  name_ = predictor;
}

Predictor::Predictor(std::shared_ptr<const cost::OperatorModel> model,
                     std::shared_ptr<const cost::Weights> weights,
                     const cost::AcceleratorOptions& accelerators)
    : weights_(std::move(weights)),
      model_(std::move(model)),
      fold_(std::make_shared<cost::AcceleratorModel>(accelerators)),
      memo_(std::make_shared<cost::PriceMemo>()) {
  if (model_) name_ = model_->title();
  weights_title_ = weights_->title();
  Node engine = parse_json(std::string(weights_->parameters("engine")), weights_->file());
  eager_ = read_terms(engine.at("framework"), false);
  serving_prefill_ = read_terms(engine.at("serving_prefill"), false);
  serving_decode_ = read_terms(engine.at("serving_decode"), true);
  Node bands = parse_json(std::string(weights_->parameters("bands")), weights_->file());
  within_law_ = bands.at("within_law").as_number(0, 1);
  across_laws_ = bands.at("across_laws").as_number(0, 1);
}

void Predictor::correct(const std::string& file) {
  cost::Calibrations calibrations = cost::read_calibrations(file);
  std::vector<std::string> devices;
  for (const auto& [device, calibration] : calibrations) devices.push_back(device);
  weights_title_ = fmt::format("{}, correcting {} for {}", file.substr(file.find_last_of('/') + 1),
                               weights_title_, join(devices, ", "));
  for (std::shared_ptr<const cost::OperatorModel>* model : {&model_, &from_graph_, &from_host_}) {
    *model = std::make_shared<cost::CalibratedModel>(*model, calibrations);
  }
}

const cost::OperatorModel& Predictor::model(const hardware::Device& device) const {
  return device.gpu() || name_ == "roofline" ? *model_ : *fold_;
}

const cost::OperatorModel& Predictor::kernel_model(const hardware::Device& device,
                                                   cost::Measured measured) const {
  const std::shared_ptr<const cost::OperatorModel>& alone =
      measured == cost::Measured::FromHost ? from_host_ : from_graph_;
  return device.gpu() && alone && measured != cost::Measured::InModel ? *alone : model(device);
}

EngineTerms Predictor::engine(Driver driver, graph::Mode mode) const {
  if (name_ == "roofline" || is_published(name_)) {  // sums of kernels: they know no software
    EngineTerms none;
    none.replay = true;
    return none;
  }
  if (driver == Driver::Framework) return eager_;
  return mode == graph::Mode::Decode ? serving_decode_ : serving_prefill_;
}

std::vector<cost::OperatorCost> Predictor::price(const graph::Graph& graph,
                                                 const hardware::Device& device) const {
  std::vector<cost::OperatorCost> costs(graph.kernels.size());
  memo_->price(model(device), graph.kernels, device, {}, costs);
  return costs;
}

Forecast Predictor::forecast(const graph::Graph& graph, const hardware::Device& device, Driver driver,
                             graph::Mode mode, int64_t sequences) const {
  return forecast(graph, price(graph, device), device, driver, mode, sequences);
}

Forecast Predictor::forecast(const graph::Graph& graph, std::span<const cost::OperatorCost> costs,
                             const hardware::Device& device, Driver driver, graph::Mode mode,
                             int64_t sequences) const {
  ForecastOptions options;
  options.engine = engine(driver, mode);
  options.sequences = sequences;
  options.within_law = within_law_;
  options.across_laws = across_laws_;
  return schedule::forecast(graph, costs, device, options);
}

PhaseForecast Predictor::phase(const graph::ModelConfig& model, const graph::Workload& workload,
                               const hardware::Device& device, Driver driver, bool timeline,
                               Forecast* raw) const {
  PhaseOf what{workload.mode, workload.batch, workload.sequence, model.type};
  return phase(graph::build_graph(model, workload), what, device, driver, timeline, raw);
}

PhaseForecast Predictor::phase(const graph::Graph& graph, const PhaseOf& what, const hardware::Device& device,
                               Driver driver, bool timeline, Forecast* raw) const {
  std::vector<cost::OperatorCost> costs = price(graph, device);
  ForecastOptions options;
  options.engine = engine(driver, what.mode);
  options.sequences = what.batch;
  options.within_law = within_law_;
  options.across_laws = across_laws_;
  options.timeline_layer = timeline && graph.layers > 0 ? graph.layers / 2 : -1;
  Forecast time = schedule::forecast(graph, costs, device, options);

  PhaseForecast phase;
  phase.mode = what.mode;
  phase.batch = what.batch;
  phase.sequence = what.sequence;
  phase.time = time.time;
  phase.device_busy = time.busy;
  phase.overhead = time.waiting + time.engine;
  phase.matrix_flops = graph::matrix_flops(graph);
  double total = time.time.value.value();
  phase.flops_utilization = phase.matrix_flops.value() / (total * peak(device, what.type).value());
  phase.bandwidth_utilization = time.traffic.value() / (total * device.memory_bandwidth.value());
  phase.layer = std::move(time.layer);

  std::vector<graph::NameId> name_of(graph.kernels.size(), graph::kNone);
  for (const graph::Operator& op : graph.operators) {
    if (name_of[op.kernel] == graph::kNone) name_of[op.kernel] = op.name;
  }
  std::map<std::string_view, double> classes;
  std::array<double, 6> bounds{};
  for (size_t k = 0; k < graph.kernels.size(); ++k) {
    const cost::OperatorCost& cost = costs[k];
    if (time.executions[k] <= 0 || cost.time.value() <= 0) continue;
    bool compute = cost.bound_by == cost::Bound::Compute || cost.bound_by == cost::Bound::Power;
    double one = cost.time.value() * (compute ? time.derating : 1), all = one * time.executions[k];
    classes[operator_class(graph.kernels[k])] += all;
    bounds[static_cast<size_t>(cost.bound_by)] += all;
    OperatorRow row;
    row.name = graph.names[name_of[k]];
    row.kind = graph::traits(leading_part(graph.kernels[k]).kind).name;
    row.shape = describe(graph.kernels[k]);
    row.count = static_cast<int64_t>(time.executions[k]);
    row.time = Seconds(one);
    row.low = Seconds(one * cost.low);
    row.high = Seconds(one * cost.high);
    row.flops = cost.flops;
    row.bytes = cost.traffic[cost::kDram];
    row.bound = cost.bound_by;
    row.priced = cost.priced;
    phase.operators.push_back(std::move(row));
  }
  std::stable_sort(
      phase.operators.begin(), phase.operators.end(), [](const OperatorRow& a, const OperatorRow& b) {
        return a.time.value() * static_cast<double>(a.count) > b.time.value() * static_cast<double>(b.count);
      });
  for (const auto& [name, seconds] : classes)
    phase.classes.push_back({std::string(name), Seconds(seconds), seconds / total});
  std::stable_sort(phase.classes.begin(), phase.classes.end(),
                   [](const ClassTime& a, const ClassTime& b) { return a.time > b.time; });
  if (phase.overhead.value() > 0)
    phase.classes.push_back({"engine", phase.overhead, phase.overhead.value() / total});
  bounds[static_cast<size_t>(cost::Bound::Launch)] += phase.overhead.value();
  auto largest = std::max_element(bounds.begin(), bounds.end());
  phase.bound = static_cast<cost::Bound>(largest - bounds.begin());
  phase.bound_share = *largest / total;
  if (raw) *raw = std::move(time);
  return phase;
}

}  // namespace orrery::schedule
