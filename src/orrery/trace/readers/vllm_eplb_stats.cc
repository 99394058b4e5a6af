#include "orrery/trace/readers/vllm_eplb_stats.h"

#include <fmt/format.h>

#include <algorithm>

#include "orrery/base/document.h"
#include "orrery/base/storage.h"

namespace orrery::trace {
namespace {

constexpr int64_t kLargest = int64_t{1} << 53;
constexpr size_t kMostExperts = 65'536;

// One line: a step, as [layer][slot] with the map that then ran.
struct Line {
  int64_t step = 0;
  std::vector<std::vector<uint64_t>> load;
  std::vector<std::vector<int>> slot_to_expert;
};

Line read_line(const Node& root) {
  Line line;
  line.step = root.at("step").as_integer(0, kLargest);
  const Node& load = root.at("expert_load");
  const Node& map = root.at("p2l_map");
  if (load.items().empty()) load.fail("expert_load: expected a list of slots for each layer, found none");
  if (map.items().size() != load.items().size())
    map.fail(fmt::format("p2l_map has {} layers, expert_load {}", map.items().size(), load.items().size()));
  for (size_t layer = 0; layer < load.items().size(); ++layer) {
    const Node &counts = load.items()[layer], &experts = map.items()[layer];
    if (counts.items().empty() || counts.items().size() > kMostExperts)
      counts.fail(fmt::format("expected 1 to {} slots, found {}", kMostExperts, counts.items().size()));
    if (experts.items().size() != counts.items().size())
      experts.fail(fmt::format("p2l_map has {} slots here, expert_load {}", experts.items().size(),
                               counts.items().size()));
    auto& load_row = line.load.emplace_back();
    auto& map_row = line.slot_to_expert.emplace_back();
    for (const Node& count : counts.items())
      load_row.push_back(static_cast<uint64_t>(count.as_integer(0, kLargest)));
    for (const Node& expert : experts.items())
      map_row.push_back(
          static_cast<int>(expert.as_integer(0, static_cast<int64_t>(counts.items().size()) - 1)));
  }
  return line;
}

int experts_in(const Line& line) {
  int most = 0;
  for (const auto& layer : line.slot_to_expert)
    most = std::max(most, *std::max_element(layer.begin(), layer.end()));
  return most + 1;
}

void add_line(const Node& root, const Line& line, ExpertRecording& recording) {
  if (recording.layers == 0) {
    recording.layers = static_cast<int>(line.load.size());
    recording.experts = experts_in(line);
    for (int layer = 0; layer < recording.layers; ++layer) recording.model_layer.push_back(layer);
  }
  if (static_cast<int>(line.load.size()) != recording.layers || experts_in(line) != recording.experts)
    root.fail(fmt::format("{} layers and {} experts here, {} and {} in the lines before: not one model",
                          line.load.size(), experts_in(line), recording.layers, recording.experts));
  size_t experts = static_cast<size_t>(recording.experts);
  if (recording.steps.empty() || recording.steps.back().id != line.step) {
    if (!recording.steps.empty() && line.step < recording.steps.back().id)
      root.fail(fmt::format("step {} follows step {}; expected steps in order: is this more than one run?",
                            line.step, recording.steps.back().id));
    recording.steps.push_back({line.step, std::vector<uint64_t>(line.load.size() * experts)});
  }
  std::vector<uint64_t>& tokens = recording.steps.back().tokens;
  for (size_t layer = 0; layer < line.load.size(); ++layer) {
    for (size_t slot = 0; slot < line.load[layer].size(); ++slot)
      tokens[layer * experts + static_cast<size_t>(line.slot_to_expert[layer][slot])] +=
          line.load[layer][slot];
  }
  recording.slot_to_expert = line.slot_to_expert;  // the last one is what runs now
}

}  // namespace

ExpertRecording parse_vllm_eplb_stats(const std::string& text, const std::string& file) {
  ExpertRecording recording;
  size_t begin = 0;
  int number = 1;
  for (; begin < text.size(); ++number) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string content = text.substr(begin, end - begin);
    begin = end + 1;
    if (content.find_first_not_of(" \t\r") == std::string::npos) continue;
    Node root = parse_json(std::move(content), file, number);
    const Node* type = root.find("record_type");
    if (!type)
      root.fail(
          "record_type is missing; expected a line of vLLM's expert_load_stats_path, \"eplb_load_stats\"");
    if (type->as_string() != "eplb_load_stats") continue;
    if (const Node* version = root.find("version"); version && version->as_integer(0, kLargest) != 1)
      version->fail("only version 1 of eplb_load_stats is known");
    add_line(root, read_line(root), recording);
  }
  auto idle = [](const ExpertRecording::Step& step) {
    return std::all_of(step.tokens.begin(), step.tokens.end(), [](uint64_t n) { return n == 0; });
  };
  recording.empty_steps = static_cast<uint64_t>(std::erase_if(recording.steps, idle));
  if (recording.steps.empty())
    throw InputError(Place{file}, "no eplb_load_stats line in which a token reached an expert");
  recording.format = "vLLM eplb_load_stats";
  return recording;
}

ExpertRecording read_vllm_eplb_stats(const std::string& path) {
  return parse_vllm_eplb_stats(read_file(path), path);
}

}  // namespace orrery::trace
