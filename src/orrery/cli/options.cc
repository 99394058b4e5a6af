#include "orrery/cli/options.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/cost/accelerator/accelerator_model.h"
#include "orrery/graph/model_catalogue.h"
#include "orrery/graph/readers/graph_file.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/hardware/cluster_reader.h"
#include "orrery/schedule/predictor.h"

namespace orrery::cli {
namespace {

constexpr const char* kDefaultDevices = "h100-sxm,h200-sxm,b200-sxm,mi300x,l40s,rtx-4090";

template <class T>
struct Choice {
  const char* name;
  T value;
};
constexpr Choice<graph::Mode> kModes[] = {
    {"prefill", graph::Mode::Prefill}, {"decode", graph::Mode::Decode}, {"train", graph::Mode::Train}};
constexpr Choice<graph::AttentionKernel> kAttention[] = {{"flash", graph::AttentionKernel::Flash},
                                                         {"eager", graph::AttentionKernel::Eager}};
constexpr Choice<graph::Recompute> kRecompute[] = {{"none", graph::Recompute::None},
                                                   {"selective", graph::Recompute::Selective},
                                                   {"full", graph::Recompute::Full}};
constexpr Choice<graph::Optimizer> kOptimizers[] = {{"none", graph::Optimizer::None},
                                                    {"sgd", graph::Optimizer::Sgd},
                                                    {"momentum", graph::Optimizer::Momentum},
                                                    {"adam", graph::Optimizer::Adam},
                                                    {"mixed-adam", graph::Optimizer::MixedAdam}};

template <class T, size_t N>
std::vector<std::string> names(const Choice<T> (&choices)[N]) {
  std::vector<std::string> result;
  for (const auto& choice : choices) result.emplace_back(choice.name);
  return result;
}

template <class T, size_t N>
T pick(const Choice<T> (&choices)[N], const std::string& name) {
  for (const auto& choice : choices) {
    if (name == choice.name) return choice.value;
  }
  throw InputError("'" + printable(name) + "' is not one of " + join(names(choices), ", "));
}

}  // namespace

std::pair<std::string, int64_t> parse_dim(const std::string& text) {
  size_t equals = text.find('=');
  int64_t value = 0;
  const char* end = text.data() + text.size();
  if (equals != std::string::npos && equals > 0) {
    auto [stop, failure] = std::from_chars(text.data() + equals + 1, end, value);
    if (failure == std::errc() && stop == end && value > 0) return {text.substr(0, equals), value};
  }
  throw InputError("--dim '" + printable(text) +
                   "': expected NAME=SIZE with a positive size, such as batch=8");
}

void add_json(CLI::App& app, Common& common) {
  app.add_flag("--json", common.json, "Print the answer as JSON (docs/formats.md)");
}
void add_threads(CLI::App& app, Common& common) {
  app.add_option("--threads", common.threads, "Threads; 0 = all cores. The answer does not depend on it")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
}
void add_seed(CLI::App& app, Common& common) {
  app.add_option("--seed", common.seed, "Seed of everything random")->capture_default_str();
}

void add_model_and_devices(CLI::App& app, ModelOnDevices& o, bool model_required) {
  constexpr int64_t kMost = int64_t{1} << 40;
  CLI::Option* model =
      app.add_option("MODEL,--model", o.model,
                     "A known name, a config.json or the folder that holds it, an .onnx file, "
                     "a YAML list of layers, a CSV of operators, a SCALE-Sim topology or a "
                     ".txt of WHAM's operators");
  if (model_required) model->required();
  app.add_option("--device,--gpu", o.devices,
                 std::string("Devices, by name or file, separated by commas [") + kDefaultDevices + "]");
  app.add_option("--mode", o.mode, "One phase alone: prefill, decode or train; without it the serving table")
      ->check(CLI::IsMember(names(kModes)));
  app.add_option("--prompt", o.prompt, "Prompt tokens of a request")
      ->check(CLI::Range(int64_t{1}, kMost))
      ->capture_default_str();
  app.add_option("--output-tokens", o.output_tokens, "Tokens generated for a request")
      ->check(CLI::Range(int64_t{1}, kMost))
      ->capture_default_str();
  app.add_option("--batch", o.batch, "Sequences at once [serving: as many as fit; else 1]")
      ->check(CLI::Range(int64_t{1}, kMost));
  app.add_option("--max-batch", o.max_batch, "The engine's limit of running sequences")
      ->check(CLI::Range(int64_t{1}, kMost))
      ->capture_default_str();
  app.add_option("--sequence", o.sequence,
                 "Tokens of a sequence (prefill, train) or in the cache (decode) [as --prompt]")
      ->check(CLI::Range(int64_t{1}, kMost));
  app.add_option("--tensor-parallel", o.tensor_parallel, "Devices that share every layer")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--expert-parallel", o.expert_parallel, "Devices over which experts are spread")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--dtype", o.type, "Numeric type in place of the model's own: bf16, fp16, fp32, fp8, ...");
  app.add_option("--attention", o.attention, "flash or eager")
      ->check(CLI::IsMember(names(kAttention)))
      ->capture_default_str();
  app.add_option("--recompute", o.recompute,
                 "Activations computed again in the backward pass: none, selective, full")
      ->check(CLI::IsMember(names(kRecompute)))
      ->capture_default_str();
  app.add_option("--optimizer", o.optimizer, "none, sgd, momentum, adam, mixed-adam")
      ->check(CLI::IsMember(names(kOptimizers)))
      ->capture_default_str();
  app.add_option("--frozen-layers", o.frozen_layers, "First layers that take no gradient")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  app.add_flag("--no-fuse", o.no_fuse, "Every operator a kernel of its own, as in eager PyTorch");
  app.add_option("--memory-utilization", o.memory_utilization,
                 "Share of the device's memory that the engine may use")
      ->check(CLI::Range(0.01, 1.0))
      ->capture_default_str();
  app.add_option("--dollars-per-hour", o.dollars_per_hour,
                 "Price of one device [list price, where one is known]")
      ->check(CLI::PositiveNumber);
  app.add_option(
         "--predictor", o.predictor,
         "default or roofline; for FP32 also what others published: neusight, linear (Li et al.), habitat")
      ->check(CLI::IsMember(schedule::predictor_names()))
      ->capture_default_str();
  app.add_option("--array", o.array,
                 "Accelerators: how folds of an array follow each other: pipelined, or scalesim (one after "
                 "another, no "
                 "memory: SCALE-Sim's compute cycles)")
      ->check(CLI::IsMember({"pipelined", "scalesim"}))
      ->capture_default_str();
  app.add_option("--dataflow", o.dataflow,
                 "Accelerators: ws, os, is or best [best; with --array scalesim ws]")
      ->check(CLI::IsMember({"ws", "os", "is", "best"}));
  app.add_option("--vector-costs", o.vector_costs,
                 "Accelerators: cycles an element, revised or released (docs/wham.md)")
      ->check(CLI::IsMember({"revised", "released"}))
      ->capture_default_str();
  app.add_flag("--pack-groups", o.pack_groups,
               "Accelerators: groups of a convolution side by side on one array");
  app.add_option("--weights", o.weights, "Constants from 'orrery fit latency' in place of the shipped ones");
  app.add_option("--unknown", o.unknown,
                 "WHAM's text: vc:1 takes operators that are not known as vector ones, a cycle an element")
      ->check(CLI::IsMember({"vc:1"}));
  app.add_option("--dim", o.dims, "ONNX: the value of a symbolic dimension, such as batch=8");
}

void add_distribution(CLI::App& app, ModelOnDevices& o) {
  constexpr int kMost = 1 << 16;
  app.add_option("--data-parallel", o.data_parallel, "Training: replicas that share the batch")
      ->check(CLI::Range(1, kMost))
      ->capture_default_str();
  app.add_option("--pipeline-parallel", o.pipeline_parallel,
                 "Training, prefill: stages that share the layers")
      ->check(CLI::Range(1, kMost))
      ->capture_default_str();
  app.add_option("--micro-batches", o.micro_batches, "Training, prefill: parts of each replica's batch")
      ->check(CLI::Range(1, kMost))
      ->capture_default_str();
  app.add_option("--pipeline-schedule", o.pipeline_schedule, "1f1b or gpipe")
      ->check(CLI::IsMember({"1f1b", "gpipe"}))
      ->capture_default_str();
  app.add_option(
      "--cluster", o.cluster,
      "Training, prefill: a known cluster or its file, in place of --device: its devices and links "
      "[one node of the device]");
}

std::vector<hardware::Device> find_devices(const std::string& list) {
  std::vector<hardware::Device> devices;
  for (const std::string& name : split(list.empty() ? kDefaultDevices : list, ',')) {
    if (name.empty())
      throw InputError(
          "--device holds an empty name; expected names separated by commas, such as h200-sxm,l40s");
    devices.push_back(hardware::Catalogue::shipped().device(name));
  }
  return devices;
}

namespace {

DataType type_named(const std::string& name) {
  std::optional<DataType> type = parse_data_type(name);
  if (!type)
    throw InputError("--dtype '" + printable(name) + "' is not known; expected bf16, fp16, fp32, fp8, ...");
  return *type;
}

}  // namespace

cost::AcceleratorOptions accelerator_options(const ModelOnDevices& o) {
  cost::AcceleratorOptions options;
  if (*cost::parse_array_mode(o.array) == cost::ArrayMode::ScaleSim)
    options = cost::scalesim_options(cost::Dataflow::WeightStationary);
  if (!o.dataflow.empty()) options.dataflow = *cost::parse_dataflow(o.dataflow);
  options.vector = *cost::parse_vector_costs(o.vector_costs);
  options.pack_groups = o.pack_groups;
  return options;
}

schedule::GraphRequest to_graph_request(const ModelOnDevices& o) {
  if (o.mode == "decode")
    throw InputError("--mode decode needs a model configuration: a graph has no KV cache");
  if (graph::is_operator_list(o.model) && !o.mode.empty())
    throw InputError("--mode does not apply to a list of operators: it is run as it stands");
  graph::GraphFileOptions options;
  for (const std::string& dim : o.dims) options.dims.insert(parse_dim(dim));
  options.batch = o.batch;
  options.train = o.mode == "train";
  options.optimizer = pick(kOptimizers, o.optimizer);
  if (!o.type.empty()) options.type = type_named(o.type);
  options.fuse = !o.no_fuse;
  options.unknown_as_vector = !o.unknown.empty();
  graph::GraphFile file = graph::read_graph_file(o.model, options);
  schedule::GraphRequest request;
  request.name = std::move(file.name);
  request.graph = std::move(file.graph);
  request.parameters = file.parameters;
  request.notes = std::move(file.notes);
  request.type = file.type;
  request.train = options.train;
  request.batch = file.batch;
  request.devices = find_devices(o.devices);
  request.predictor = o.predictor;
  request.weights = o.weights;
  request.accelerators = accelerator_options(o);
  return request;
}

schedule::LatencyRequest to_request(const ModelOnDevices& o) {
  schedule::LatencyRequest request;
  request.model = graph::find_model(o.model);
  request.devices = find_devices(o.devices);
  if (!o.dims.empty()) throw InputError("--dim names a dimension of an .onnx file; this model has none");
  if (!o.mode.empty()) request.mode = pick(kModes, o.mode);
  request.prompt = o.prompt;
  request.output_tokens = o.output_tokens;
  request.batch = o.batch;
  request.max_batch = o.max_batch;
  request.sequence = o.sequence;
  request.parallel.tensor = o.tensor_parallel;
  request.parallel.expert = o.expert_parallel;
  request.parallel.data = o.data_parallel;
  request.parallel.pipeline = o.pipeline_parallel;
  request.parallel.microbatch = o.micro_batches;
  request.pipeline_schedule = *schedule::parse_pipeline_schedule(o.pipeline_schedule);
  if (!o.cluster.empty()) {
    if (!o.devices.empty()) throw InputError("--cluster names the devices already; leave --device out");
    request.cluster = hardware::find_cluster(o.cluster);
    request.devices = {request.cluster->device(0)};
  }
  request.attention = pick(kAttention, o.attention);
  request.recompute = pick(kRecompute, o.recompute);
  request.optimizer = pick(kOptimizers, o.optimizer);
  request.frozen_layers = o.frozen_layers;
  request.fuse = !o.no_fuse;
  if (!o.type.empty()) request.type = type_named(o.type);
  request.memory_utilization = o.memory_utilization;
  if (o.dollars_per_hour > 0) request.dollars_per_hour = o.dollars_per_hour;
  request.predictor = o.predictor;
  request.weights = o.weights;
  request.accelerators = accelerator_options(o);
  return request;
}

}  // namespace orrery::cli
