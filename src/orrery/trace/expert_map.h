// Which expert every slot holds: the map that an inference engine loads and a planner writes. Slots are
// numbered through all GPUs, GPU by GPU; each GPU has the same number.
//
// Forms, read and written:
//   sglang  {"physical_to_logical_map": [[…]]}, SGLang's --init-expert-location. It is indexed by the model's
//   layers, also
//           those without experts, which hold the identity.
//   vllm    [[…]], slot to expert for every MoE layer: eplb_config.initial_expert_map_path of the open
//   proposal
//           vllm-project/vllm#49572. A flat list is one map for all layers.
//   ascend  {"moe_layer_count", "layer_list": [{"layer_id", "device_count", "device_list": [{"device_id",
//   "device_expert"}]}]},
//           expert_map_path of vllm-ascend.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::trace {

struct ExpertMap {
  std::vector<std::vector<int>> slot_to_expert;  // [MoE layer][slot]
  int gpus = 0;                                  // 0: the form does not say
  int layers() const { return static_cast<int>(slot_to_expert.size()); }
  int slots() const { return slot_to_expert.empty() ? 0 : static_cast<int>(slot_to_expert[0].size()); }
  bool operator==(const ExpertMap&) const = default;
};

enum class ExpertMapForm { Sglang, Vllm, Ascend };
std::string_view name(ExpertMapForm form);
std::optional<ExpertMapForm> find_expert_map_form(std::string_view name);

// What must hold of a map, whoever made it. Throws InputError that starts with `file`: every layer has as
// many slots, a multiple of `gpus` where that is known, and holds every expert at least once.
void check_expert_map(const ExpertMap& map, int experts, const std::string& file);

// Any of the forms, told apart by their content. `model_layer`: the model's number of each MoE layer where a
// sglang map may hold more layers than have experts; empty: all that stand there. Throws InputError with
// file:line:column.
ExpertMap read_expert_map(const std::string& path, std::span<const int> model_layer = {});
ExpertMap parse_expert_map(std::string text, const std::string& file, std::span<const int> model_layer = {});

// The text of a file in that form. `map.gpus` must be set for ascend. For sglang, `model_layer` and
// `model_layers` place the MoE layers among the model's; empty and 0: they are all of them.
std::string write_expert_map(const ExpertMap& map, ExpertMapForm form, std::span<const int> model_layer = {},
                             int model_layers = 0);

}  // namespace orrery::trace
