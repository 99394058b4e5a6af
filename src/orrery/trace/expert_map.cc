#include "orrery/trace/expert_map.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "orrery/base/document.h"
#include "orrery/base/storage.h"

namespace orrery::trace {
namespace {

constexpr int64_t kMostSlots = 65'536, kMostGpus = 65'536;
constexpr std::string_view kNames[] = {"sglang", "vllm", "ascend"};

std::vector<int> read_slots(const Node& layer) {
  if (layer.items().empty()) layer.fail("expected the experts of a layer's slots, found none");
  std::vector<int> slots;
  for (const Node& expert : layer.items())
    slots.push_back(static_cast<int>(expert.as_integer(0, kMostSlots - 1)));
  return slots;
}

std::vector<std::vector<int>> read_layers(const Node& list) {
  if (list.items().empty()) list.fail("expected a list of slots for each layer, found none");
  std::vector<std::vector<int>> layers;
  for (const Node& layer : list.items()) {
    layers.push_back(read_slots(layer));
    if (layers.back().size() != layers.front().size())
      layer.fail(fmt::format("{} slots here, {} in the first layer; every layer needs as many",
                             layers.back().size(), layers.front().size()));
  }
  return layers;
}

ExpertMap read_sglang(const Node& list, std::span<const int> model_layer) {
  ExpertMap map{read_layers(list), 0};
  if (model_layer.empty() || map.slot_to_expert.size() == model_layer.size()) return map;
  ExpertMap kept;
  for (int layer : model_layer) {
    if (layer >= map.layers())
      list.fail(fmt::format("{} layers here; the model's layer {} has experts, so expected at least {}",
                            map.layers(), layer, layer + 1));
    kept.slot_to_expert.push_back(map.slot_to_expert[static_cast<size_t>(layer)]);
  }
  return kept;
}

ExpertMap read_ascend(const Node& root) {
  const Node& list = root.at("layer_list");
  if (list.items().empty()) list.fail("expected a map for each layer, found none");
  int64_t claimed = root.at("moe_layer_count").as_integer(1, kMostSlots);
  if (claimed != static_cast<int64_t>(list.items().size()))
    root.at("moe_layer_count")
        .fail(fmt::format("{} layers claimed, layer_list holds {}", claimed, list.items().size()));
  ExpertMap map;
  for (const Node& layer : list.items()) {
    const Node& devices = layer.at("device_list");
    int64_t gpus = layer.at("device_count").as_integer(1, kMostGpus);
    if (gpus != static_cast<int64_t>(devices.items().size()))
      devices.fail(fmt::format("device_count is {}, device_list holds {}", gpus, devices.items().size()));
    if (map.gpus == 0) map.gpus = static_cast<int>(gpus);
    if (map.gpus != gpus) devices.fail(fmt::format("{} devices here, {} in the first layer", gpus, map.gpus));
    std::vector<int>& slots = map.slot_to_expert.emplace_back();
    size_t on_each = 0;
    for (const Node& device : devices.items()) {
      std::vector<int> experts = read_slots(device.at("device_expert"));
      if (on_each == 0) on_each = experts.size();
      if (experts.size() != on_each)
        device.fail(fmt::format("{} experts on this device, {} on the first; every device needs as many",
                                experts.size(), on_each));
      slots.insert(slots.end(), experts.begin(), experts.end());
    }
    if (slots.size() != map.slot_to_expert.front().size())
      devices.fail(fmt::format("{} slots here, {} in the first layer", slots.size(),
                               map.slot_to_expert.front().size()));
  }
  return map;
}

std::string write_rows(const std::vector<std::vector<int>>& rows) {
  std::string text = "[";
  for (size_t i = 0; i < rows.size(); ++i)
    text += fmt::format("{}\n  [{}]", i ? "," : "", fmt::join(rows[i], ", "));
  return text + "\n]";
}

// The model's layers, those without experts as the identity: SGLang indexes its map by them.
std::vector<std::vector<int>> among_model_layers(const ExpertMap& map, std::span<const int> model_layer,
                                                 int model_layers) {
  if (model_layer.empty()) return map.slot_to_expert;
  int experts = 0;
  for (int expert : map.slot_to_expert[0]) experts = std::max(experts, expert + 1);
  std::vector<int> identity(static_cast<size_t>(map.slots()));
  for (size_t slot = 0; slot < identity.size(); ++slot) identity[slot] = static_cast<int>(slot) % experts;
  int count = std::max(model_layers, *std::max_element(model_layer.begin(), model_layer.end()) + 1);
  std::vector<std::vector<int>> rows(static_cast<size_t>(count), identity);
  for (size_t i = 0; i < model_layer.size(); ++i)
    rows[static_cast<size_t>(model_layer[i])] = map.slot_to_expert[i];
  return rows;
}

std::string write_ascend(const ExpertMap& map) {
  std::string text = fmt::format("{{\"moe_layer_count\": {}, \"layer_list\": [", map.layers());
  size_t on_each = static_cast<size_t>(map.slots() / map.gpus);
  for (size_t layer = 0; layer < map.slot_to_expert.size(); ++layer) {
    text += fmt::format("{}\n  {{\"layer_id\": {}, \"device_count\": {}, \"device_list\": [",
                        layer ? "," : "", layer, map.gpus);
    for (size_t gpu = 0; gpu < static_cast<size_t>(map.gpus); ++gpu) {
      std::span<const int> experts = std::span(map.slot_to_expert[layer]).subspan(gpu * on_each, on_each);
      text += fmt::format("{}\n    {{\"device_id\": {}, \"device_expert\": [{}]}}", gpu ? "," : "", gpu,
                          fmt::join(experts, ", "));
    }
    text += "]}";
  }
  return text + "]}\n";
}

}  // namespace

std::string_view name(ExpertMapForm form) {
  return kNames[static_cast<size_t>(form)];
}

std::optional<ExpertMapForm> find_expert_map_form(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<ExpertMapForm>(i);
  }
  return std::nullopt;
}

void check_expert_map(const ExpertMap& map, int experts, const std::string& file) {
  auto fail = [&](const std::string& message) { throw InputError(Place{file}, message); };
  if (map.slots() == 0) fail("the expert map is empty");
  if (map.gpus > 0 && map.slots() % map.gpus)
    fail(fmt::format("{} slots do not divide over {} GPUs; every GPU needs as many", map.slots(), map.gpus));
  for (size_t layer = 0; layer < map.slot_to_expert.size(); ++layer) {
    if (static_cast<int>(map.slot_to_expert[layer].size()) != map.slots())
      fail(fmt::format("layer {} has {} slots, layer 0 has {}", layer, map.slot_to_expert[layer].size(),
                       map.slots()));
    std::vector<bool> held(static_cast<size_t>(experts));
    for (int expert : map.slot_to_expert[layer]) {
      if (expert < 0 || expert >= experts)
        fail(fmt::format("layer {} places expert {}; the model has {}, numbered from 0", layer, expert,
                         experts));
      held[static_cast<size_t>(expert)] = true;
    }
    auto absent = std::find(held.begin(), held.end(), false);
    if (absent != held.end())
      fail(fmt::format("layer {} places expert {} nowhere; tokens that choose it could not be served", layer,
                       absent - held.begin()));
  }
}

ExpertMap parse_expert_map(std::string text, const std::string& file, std::span<const int> model_layer) {
  Node root = parse_json(std::move(text), file);
  if (root.is_list()) {
    if (root.items().empty()) root.fail("an empty expert map");
    if (root.items()[0].is_list()) return {read_layers(root), 0};
    return {std::vector<std::vector<int>>(std::max<size_t>(1, model_layer.size()), read_slots(root)), 0};
  }
  if (root.is_map() && root.find("physical_to_logical_map"))
    return read_sglang(root.at("physical_to_logical_map"), model_layer);
  if (root.is_map() && root.find("layer_list")) return read_ascend(root);
  root.fail(
      "expected an expert map: {\"physical_to_logical_map\": [[…]]}, [[…]] or {\"moe_layer_count\": …, "
      "\"layer_list\": […]}");
}

ExpertMap read_expert_map(const std::string& path, std::span<const int> model_layer) {
  return parse_expert_map(read_file(path), path, model_layer);
}

std::string write_expert_map(const ExpertMap& map, ExpertMapForm form, std::span<const int> model_layer,
                             int model_layers) {
  switch (form) {
    case ExpertMapForm::Sglang:
      return "{\"physical_to_logical_map\": " +
             write_rows(among_model_layers(map, model_layer, model_layers)) + "}\n";
    case ExpertMapForm::Vllm:
      return write_rows(map.slot_to_expert) + "\n";
    case ExpertMapForm::Ascend:
      return write_ascend(map);
  }
  return "";
}

}  // namespace orrery::trace
