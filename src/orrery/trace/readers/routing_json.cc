#include <fmt/format.h>

#include "orrery/base/document.h"
#include "orrery/base/text.h"
#include "orrery/trace/readers/token_collector.h"

namespace orrery::trace {

RoutingProfile read_routing_jsonl(const std::string& text, const std::string& path,
                                  const RoutingOptions& options) {
  TokenCollector tokens(path, options.experts);
  int line = 0;
  std::vector<int64_t> experts;
  for (size_t from = 0; from < text.size();) {
    ++line;
    const size_t end = std::min(text.find('\n', from), text.size());
    const std::string row = text.substr(from, end - from);
    from = end + 1;
    if (row.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      const Node node = parse_json(row, path);
      experts.clear();
      for (const Node& e : node.at("experts").items()) experts.push_back(e.as_integer(0, 65534));
      const Node* sequence = node.find("sequence");
      TokenMark mark;
      if (const Node* step = node.find("step"))
        mark.step = static_cast<uint64_t>(step->as_integer(0, INT64_MAX));
      if (const Node* phase = node.find("phase")) {
        mark.phase = phase_of(phase->as_string());
        if (mark.phase == Phase::Unknown)
          phase->fail("'" + printable(phase->as_string(), 40) + "' is no phase; expected prefill or decode");
      }
      tokens.add(sequence ? static_cast<uint64_t>(sequence->as_integer(0, INT64_MAX)) : 0,
                 static_cast<uint64_t>(node.at("token_idx").as_integer(0, INT64_MAX)),
                 node.at("layer").as_integer(0, 100000), experts, line, mark);
    } catch (const InputError& wrong) {
      if (wrong.place().line == line) throw;
      const std::string message = wrong.what();  // of a one-line text: set its true line
      const size_t text_at = message.find(": ");
      std::string said = text_at == std::string::npos ? message : message.substr(text_at + 2);
      said = said.substr(0, said.find('\n'));
      throw InputError(Place{path, line, wrong.place().column}, said);
    }
  }
  return tokens.finish(options);
}

RoutingProfile read_routing_json(std::string text, const std::string& path, const RoutingOptions& options) {
  const Node root = parse_json(std::move(text), path);
  const Node& counts = root.at("logical_count");
  const bool stepped = !counts.items().empty() && counts.items()[0].is_list() &&
                       !counts.items()[0].items().empty() && counts.items()[0].items()[0].is_list();
  std::vector<const Node*> steps;
  if (stepped) {
    for (const Node& step : counts.items()) steps.push_back(&step);
  } else {
    steps.push_back(&counts);
  }
  RoutingProfile profile;
  profile.name = options.name.empty() ? profile_name(path) : options.name;
  profile.top_k = 1;  // counts do not tell it
  size_t layers = 0, experts = 0;
  for (const Node* step : steps) {
    if (layers == 0) layers = step->items().size();
    if (step->items().size() != layers || layers == 0)
      step->fail(fmt::format("{} layers; expected {} as in the first step", step->items().size(), layers));
    std::vector<float> flat;
    for (const Node& layer : step->items()) {
      if (experts == 0) experts = layer.items().size();
      if (layer.items().size() != experts || experts == 0)
        layer.fail(fmt::format("{} experts; expected {}", layer.items().size(), experts));
      for (const Node& count : layer.items()) flat.push_back(static_cast<float>(count.as_number(0, 1e15)));
    }
    profile.steps.push_back(std::move(flat));
  }
  if (profile.steps.empty()) counts.fail("is empty; expected [step][layer][expert]");
  if (options.experts > 0 && static_cast<size_t>(options.experts) != experts)
    counts.fail(fmt::format("{} experts a layer; expected {}", experts, options.experts));
  profile.experts = static_cast<int>(experts);
  // Layers without experts are all zero: they are left out, and layer_ids says which remain.
  for (size_t l = 0; l < layers; ++l) {
    std::vector<double> load(experts, 0);
    double total = 0;
    for (const std::vector<float>& step : profile.steps) {
      for (size_t e = 0; e < experts; ++e) {
        load[e] += static_cast<double>(step[l * experts + e]);
        total += static_cast<double>(step[l * experts + e]);
      }
    }
    if (total == 0) continue;
    profile.layer_ids.push_back(static_cast<int>(l));
    profile.load.push_back(std::move(load));
  }
  if (profile.layer_ids.empty()) counts.fail("holds no count above zero");
  for (std::vector<float>& step : profile.steps) {
    std::vector<float> kept;
    for (int l : profile.layer_ids)
      kept.insert(kept.end(), step.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(l) * experts),
                  step.begin() + static_cast<ptrdiff_t>((static_cast<size_t>(l) + 1) * experts));
    step = std::move(kept);
  }
  if (!stepped) profile.steps.clear();
  return profile;
}

}  // namespace orrery::trace
