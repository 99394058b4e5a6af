#include "orrery/cost/neusight/options.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/cost/roofline_model.h"

namespace orrery::cost {
namespace {

using Options = NeuSightOptions;

template <class T>
struct Choice {
  std::string_view name;
  T value;
};
constexpr Choice<Options::TileSearch> kTileSearch[] = {{"unscaled", Options::TileSearch::Unscaled},
                                                       {"scaled", Options::TileSearch::Scaled}};
constexpr Choice<Options::Gigabyte> kGigabyte[] = {{"binary", Options::Gigabyte::Binary},
                                                   {"decimal", Options::Gigabyte::Decimal}};
constexpr Choice<Options::Utilization> kUtilization[] = {{"difference", Options::Utilization::Difference},
                                                         {"product", Options::Utilization::Product}};
constexpr Choice<Options::Waves> kWaves[] = {{"whole", Options::Waves::Whole},
                                             {"partial", Options::Waves::Partial}};
constexpr Choice<Options::AllReduce> kAllReduce[] = {{"four", Options::AllReduce::Four},
                                                     {"ring", Options::AllReduce::Ring}};
constexpr Choice<Options::HeldBack> kHeldBack[] = {{"rows", Options::HeldBack::Rows},
                                                   {"shapes", Options::HeldBack::Shapes}};
constexpr std::string_view kClassNames[] = {"bmm", "linear", "vec", "softmax", "ln"};

template <class T, size_t N>
void pick(const Node& map, std::string_view key, const Choice<T> (&choices)[N], T& value) {
  const Node* node = map.find(key);
  if (!node) return;
  std::vector<std::string_view> names;
  for (const Choice<T>& choice : choices) {
    if (node->as_string() == choice.name) {
      value = choice.value;
      return;
    }
    names.push_back(choice.name);
  }
  node->fail("'" + printable(node->as_string(), 40) + "' is no " + std::string(key) +
             did_you_mean(node->as_string(), std::span<const std::string_view>(names)));
}
template <class T, size_t N>
std::string spelled(const Choice<T> (&choices)[N], T value) {
  for (const Choice<T>& choice : choices) {
    if (choice.value == value) return std::string(choice.name);
  }
  return {};
}

void number(const Node& map, std::string_view key, double low, double high, double& value) {
  if (const Node* node = map.find(key)) value = node->as_number(low, high);
}
void integer(const Node& map, std::string_view key, int64_t low, int64_t high, int& value) {
  if (const Node* node = map.find(key)) value = static_cast<int>(node->as_integer(low, high));
}

void read_schedules(const Node* map, std::array<Options::Schedule, kNeuSightClasses>& schedules) {
  if (!map) return;
  map->allow_only({"bmm", "linear", "vec", "softmax", "ln"});
  for (size_t c = 0; c < kNeuSightClasses; ++c) {
    const Node* node = map->find(kClassNames[c]);
    if (!node) continue;
    node->allow_only({"learning_rate", "batch"});
    number(*node, "learning_rate", 1e-9, 1, schedules[c].learning_rate);
    integer(*node, "batch", 1, 1 << 20, schedules[c].batch);
  }
}

NeuSightDevice read_device(const std::string& name, const Node& node) {
  node.allow_only({"memory_gb", "bandwidth_gb_s", "multiprocessors", "fp32_gflops", "fp32_vector_gflops",
                   "l2_mb", "vendor"});
  NeuSightDevice device;
  device.name = name;
  device.memory_gb = node.at("memory_gb").as_number(0.1, 1e5);
  device.bandwidth_gb_s = node.at("bandwidth_gb_s").as_number(1, 20000);
  device.multiprocessors = node.at("multiprocessors").as_number(1, 1e4);
  device.matrix_gflops = device.vector_gflops = node.at("fp32_gflops").as_number(1, 1e7);
  number(node, "fp32_vector_gflops", 1, 1e7, device.vector_gflops);
  device.l2_mb = node.at("l2_mb").as_number(0.1, 1024);
  if (const Node* vendor = node.find("vendor")) device.amd = vendor->as_string() == "AMD";
  return device;
}

using nlohmann::ordered_json;

ordered_json schedules_json(const std::array<Options::Schedule, kNeuSightClasses>& schedules) {
  ordered_json json = ordered_json::object();
  for (size_t c = 0; c < kNeuSightClasses; ++c)
    json[std::string(kClassNames[c])] = {{"learning_rate", schedules[c].learning_rate},
                                         {"batch", schedules[c].batch}};
  return json;
}

}  // namespace

std::string_view name(NeuSightClass c) {
  return kClassNames[static_cast<size_t>(c)];
}

NeuSightOptions read_neusight_options(const Node& node) {
  node.allow_only({"tile_search", "gigabyte", "utilization", "waves", "memory_share", "all_reduce",
                   "link_share", "held_back", "leave_out", "training", "devices", "sources"});
  NeuSightOptions o;
  pick(node, "tile_search", kTileSearch, o.tile_search);
  pick(node, "gigabyte", kGigabyte, o.gigabyte);
  pick(node, "utilization", kUtilization, o.utilization);
  pick(node, "waves", kWaves, o.waves);
  pick(node, "all_reduce", kAllReduce, o.all_reduce);
  pick(node, "held_back", kHeldBack, o.held_back);
  number(node, "memory_share", 0.01, 1, o.memory_share);
  number(node, "link_share", 0.01, 1, o.link_share);
  if (const Node* list = node.find("leave_out")) {
    for (const Node& item : list->items()) o.leave_out.push_back(item.as_string());
  }
  if (const Node* training = node.find("training")) {
    training->allow_only({"hidden_layers", "width", "epochs", "cosine", "nvidia", "amd"});
    integer(*training, "hidden_layers", 1, 32, o.hidden_layers);
    integer(*training, "width", 1, 4096, o.width);
    integer(*training, "epochs", 1, 100000, o.epochs);
    if (const Node* cosine = training->find("cosine")) o.cosine = cosine->as_bool();
    read_schedules(training->find("nvidia"), o.nvidia);
    o.amd = o.nvidia;
    read_schedules(training->find("amd"), o.amd);
  }
  if (const Node* devices = node.find("devices")) {
    for (const auto& [title, figures] : devices->entries()) o.devices.push_back(read_device(title, figures));
  }
  return o;
}

std::string to_json(const NeuSightOptions& o) {
  ordered_json json;
  json["tile_search"] = spelled(kTileSearch, o.tile_search);
  json["gigabyte"] = spelled(kGigabyte, o.gigabyte);
  json["utilization"] = spelled(kUtilization, o.utilization);
  json["waves"] = spelled(kWaves, o.waves);
  json["memory_share"] = o.memory_share;
  json["all_reduce"] = spelled(kAllReduce, o.all_reduce);
  json["link_share"] = o.link_share;
  json["held_back"] = spelled(kHeldBack, o.held_back);
  json["leave_out"] = o.leave_out;
  json["training"] = {{"hidden_layers", o.hidden_layers},
                      {"width", o.width},
                      {"epochs", o.epochs},
                      {"cosine", o.cosine},
                      {"nvidia", schedules_json(o.nvidia)},
                      {"amd", schedules_json(o.amd)}};
  json["devices"] = ordered_json::object();
  for (const NeuSightDevice& d : o.devices) {
    ordered_json& device = json["devices"][d.name];
    device = {{"memory_gb", d.memory_gb},
              {"bandwidth_gb_s", d.bandwidth_gb_s},
              {"multiprocessors", d.multiprocessors},
              {"fp32_gflops", d.matrix_gflops},
              {"fp32_vector_gflops", d.vector_gflops},
              {"l2_mb", d.l2_mb}};
    if (d.amd) device["vendor"] = "AMD";
  }
  return json.dump();
}

NeuSightOptions neusight_preset(const std::string& name_or_path) {
  const bool path = name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".yaml");
  std::string file = path ? name_or_path : data_folder() + "/presets/" + name_or_path + ".yaml";
  return read_neusight_options(read_document(file));
}

NeuSightDevice neusight_device(const hardware::Device& device, const NeuSightOptions& options) {
  const hardware::Gpu* gpu = device.gpu();
  if (!gpu)
    throw InputError("the neusight predictor prices GPUs; '" + device.name +
                     "' is an accelerator, which the fold model prices");
  for (const NeuSightDevice& known : options.devices) {
    if (lower_case(known.name) != lower_case(device.title)) continue;
    NeuSightDevice stated = known;
    stated.architecture = gpu->architecture;
    return stated;
  }
  NeuSightDevice d;
  d.architecture = gpu->architecture;
  d.name = device.title;
  d.memory_gb = device.memory.value() / 1e9;
  d.bandwidth_gb_s = device.memory_bandwidth.value() / 1e9;
  d.multiprocessors = gpu->multiprocessors;
  d.vector_gflops = vector_rate(*gpu).value() / 1e9;
  d.matrix_gflops = std::max(gpu->matrix_fp32.value(), gpu->peak_rate(DataType::FP32).value()) / 1e9;
  if (d.matrix_gflops <= 0) d.matrix_gflops = d.vector_gflops;
  d.l2_mb = gpu->l2.value() / 1e6;
  d.amd = device.vendor == "AMD";
  return d;
}

}  // namespace orrery::cost
