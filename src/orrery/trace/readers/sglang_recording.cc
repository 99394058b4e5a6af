#include "orrery/trace/readers/sglang_recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "orrery/base/error.h"
#include "orrery/base/storage.h"

namespace orrery::trace {
namespace {

using Kind = PickleValue::Kind;
constexpr uint64_t kLargestFile = uint64_t{4} << 30;
constexpr int64_t kMostLayers = 1'000, kMostExperts = 65'536;

// Counts of all layers of the model, before those without experts are left out.
struct RawStep {
  int64_t id = 0;
  std::vector<uint64_t> tokens;  // [layer * experts + expert]
  // per_token: one tensor [layer][token][choice] a rank, in order of ranks.
  struct Choices {
    IntegerTensor slots;
    std::vector<Phase> phase;  // [token]; empty: not told
  };
  std::vector<Choices> chosen;
};

struct Raw {
  int64_t layers = 0, experts = 0;
  std::vector<RawStep> steps;
  std::vector<std::vector<int>> slot_to_expert;
};

int64_t integer_field(const TorchFile& file, const PickleValue& record, const char* key,
                      const std::string& what) {
  const PickleValue* value = file.pickle().find(record, key);
  if (!value || value->kind != Kind::Integer)
    file.fail(fmt::format("{}: {} is {}; expected a whole number", what, key,
                          value ? file.pickle().describe(*value) : "missing"));
  return value->integer;
}

uint64_t count_of(const TorchFile& file, int64_t value, const std::string& what) {
  if (value < 0) file.fail(fmt::format("{} holds the negative count {}", what, value));
  return static_cast<uint64_t>(value);
}

void check_extents(const TorchFile& file, int64_t layers, int64_t experts, const std::string& what) {
  if (layers < 1 || layers > kMostLayers || experts < 1 || experts > kMostExperts)
    file.fail(fmt::format("{} is of {} layers and {} experts; expected at least 1, and at most {} and {}",
                          what, layers, experts, kMostLayers, kMostExperts));
}

// --- stat, stat_approx

void add_stat_file(const TorchFile& file, Raw& raw) {
  IntegerTensor count = file.integers(*file.pickle().find(file.root(), "logical_count"), "logical_count");
  if (count.shape.size() == 2) count.shape.insert(count.shape.begin(), 1);
  if (count.shape.size() != 3)
    file.fail(
        fmt::format("logical_count has {} dimensions; expected [step][layer][expert]", count.shape.size()));
  check_extents(file, count.shape[1], count.shape[2], "logical_count");
  if (raw.layers && (raw.layers != count.shape[1] || raw.experts != count.shape[2]))
    file.fail(fmt::format(
        "logical_count is of {} layers and {} experts, the file before it of {} and {}: not one model",
        count.shape[1], count.shape[2], raw.layers, raw.experts));
  raw.layers = count.shape[1];
  raw.experts = count.shape[2];
  size_t size = static_cast<size_t>(raw.layers * raw.experts);
  for (size_t step = 0; step * size < count.values.size(); ++step) {
    RawStep next;
    next.id = static_cast<int64_t>(raw.steps.size());
    next.tokens.resize(size);
    for (size_t i = 0; i < size; ++i)
      next.tokens[i] = count_of(file, count.values[step * size + i], "logical_count");
    raw.steps.push_back(std::move(next));
  }
}

// --- per_pass, per_token

std::vector<std::vector<int>> slot_map(const TorchFile& file) {
  const PickleValue* value = file.pickle().find(file.root(), "last_physical_to_logical_map");
  if (!value)
    file.fail("last_physical_to_logical_map is missing, so the recorded slots cannot be told apart");
  IntegerTensor tensor = file.integers(*value, "last_physical_to_logical_map");
  if (tensor.shape.size() != 2) file.fail("last_physical_to_logical_map: expected [layer][slot]");
  check_extents(file, tensor.shape[0], tensor.shape[1], "last_physical_to_logical_map");
  std::vector<std::vector<int>> map(static_cast<size_t>(tensor.shape[0]));
  for (size_t i = 0; i < tensor.values.size(); ++i) {
    if (tensor.values[i] < 0 || tensor.values[i] >= tensor.shape[1])
      file.fail(fmt::format("last_physical_to_logical_map names expert {}; with {} slots experts are 0 to {}",
                            tensor.values[i], tensor.shape[1], tensor.shape[1] - 1));
    map[i / static_cast<size_t>(tensor.shape[1])].push_back(static_cast<int>(tensor.values[i]));
  }
  return map;
}

int64_t experts_of(const std::vector<std::vector<int>>& map) {
  int most = 0;
  for (const auto& layer : map) most = std::max(most, *std::max_element(layer.begin(), layer.end()));
  return most + 1;
}

// Records of one pass come from several ranks, and each from one or more gatherers.
using PassKey = std::pair<int64_t, std::string>;  // rank, gatherer
struct Passes {
  std::map<int64_t, RawStep> step;
  std::map<int64_t, std::set<PassKey>> seen;
  std::map<int64_t, std::map<PassKey, RawStep::Choices>> chosen;
};

// Numbers of SGLang's ForwardMode; those behind differ from version to version.
enum : int64_t { kExtend = 1, kDecode = 2, kMixed = 3, kTargetVerify = 5 };

// Phases of a record's tokens, as its forward mode tells. A mixed pass extends its prompts first and then
// every answer by one token.
std::vector<Phase> phases_of(const TorchFile& file, const PickleValue& record, size_t tokens,
                             const std::string& what) {
  const PickleValue* mode = file.pickle().find(record, "forward_mode");
  if (!mode || mode->kind != Kind::Integer) return {};
  const auto all = [&](Phase phase) { return std::vector<Phase>(tokens, phase); };
  if (mode->integer == kExtend) return all(Phase::Prefill);
  if (mode->integer == kDecode || mode->integer == kTargetVerify) return all(Phase::Decode);
  const PickleValue* lengths = file.pickle().find(record, "extend_seq_lens");
  if (mode->integer != kMixed || !lengths || lengths->kind != Kind::List) return all(Phase::Unknown);
  std::vector<int64_t> extended;
  for (const PickleValue& length : file.pickle().items(*lengths)) {
    if (length.kind != Kind::Integer || length.integer < 0)
      file.fail(what + ": extend_seq_lens holds " + file.pickle().describe(length) +
                "; expected lengths of the pass's sequences");
    extended.push_back(length.integer);
  }
  size_t answers = 0;
  while (answers < extended.size() && extended[extended.size() - 1 - answers] == 1) ++answers;
  std::vector<Phase> phases = all(Phase::Prefill);
  std::fill(phases.end() - static_cast<std::ptrdiff_t>(std::min(answers, tokens)), phases.end(),
            Phase::Decode);
  return phases;
}

void add_record(const TorchFile& file, const PickleValue& record, size_t number, const Raw& raw,
                Passes& passes) {
  std::string what = fmt::format("record {}", number);
  const Pickle& pickle = file.pickle();
  if (record.kind != Kind::Map)
    file.fail(fmt::format("{}: expected a map, found {}", what, pickle.describe(record)));
  int64_t pass = integer_field(file, record, "forward_pass_id", what);
  int64_t rank = integer_field(file, record, "rank", what);
  const PickleValue* gatherer = pickle.find(record, "gatherer_key");
  PassKey key{rank, gatherer ? pickle.text(*gatherer) : ""};
  if (!passes.seen[pass].insert(key).second)
    file.fail(fmt::format("{}: pass {} of rank {} stands twice; give each file of a recording once", what,
                          pass, rank));

  const PickleValue* value = pickle.find(record, "global_physical_count");
  if (!value) file.fail(what + ": global_physical_count is missing");
  IntegerTensor count = file.integers(*value, what + ": global_physical_count");
  size_t slots = raw.slot_to_expert[0].size();
  if (count.shape != std::vector<int64_t>{raw.layers, static_cast<int64_t>(slots)})
    file.fail(fmt::format("{}: global_physical_count is not of {} layers and {} slots, as the map is", what,
                          raw.layers, slots));
  RawStep& step = passes.step[pass];
  step.id = pass;
  step.tokens.resize(static_cast<size_t>(raw.layers * raw.experts));
  for (size_t i = 0; i < count.values.size(); ++i) {
    size_t layer = i / slots, expert = static_cast<size_t>(raw.slot_to_expert[layer][i % slots]);
    step.tokens[layer * static_cast<size_t>(raw.experts) + expert] +=
        count_of(file, count.values[i], what + ": global_physical_count");
  }

  const PickleValue* chosen = pickle.find(record, "topk_ids_of_layer");
  if (!chosen) return;
  IntegerTensor ids = file.integers(*chosen, what + ": topk_ids_of_layer");
  if (ids.shape.size() != 3 || ids.shape[0] != raw.layers)
    file.fail(
        fmt::format("{}: topk_ids_of_layer: expected [layer][token][choice] of {} layers", what, raw.layers));
  for (int64_t slot : ids.values) {
    if (slot < -1 || slot >= static_cast<int64_t>(slots))
      file.fail(fmt::format("{}: topk_ids_of_layer names slot {}; the map has {}", what, slot, slots));
  }
  std::vector<Phase> phase = phases_of(file, record, static_cast<size_t>(ids.shape[1]), what);
  passes.chosen[pass].emplace(key, RawStep::Choices{std::move(ids), std::move(phase)});
}

void add_detail_files(const std::vector<std::unique_ptr<TorchFile>>& files, Raw& raw) {
  Passes passes;
  for (const auto& file : files) {
    std::vector<std::vector<int>> map = slot_map(*file);
    if (!raw.slot_to_expert.empty() && map != raw.slot_to_expert)
      file->fail(
          "its last_physical_to_logical_map differs from that of the file before it: experts moved while it "
          "was recorded; "
          "record again without rebalancing");
    raw.slot_to_expert = std::move(map);
  }
  raw.layers = static_cast<int64_t>(raw.slot_to_expert.size());
  raw.experts = experts_of(raw.slot_to_expert);
  for (const auto& file : files) {
    const PickleValue& records = *file->pickle().find(file->root(), "records");
    if (records.kind != Kind::List)
      file->fail("records: expected a list, found " + file->pickle().describe(records));
    size_t number = 0;
    for (const PickleValue& record : file->pickle().items(records))
      add_record(*file, record, ++number, raw, passes);
  }
  for (auto& [pass, step] : passes.step) {
    for (auto& [key, choices] : passes.chosen[pass]) step.chosen.push_back(std::move(choices));
    raw.steps.push_back(std::move(step));
  }
}

// --- both

// Leaves out layers without experts and steps without tokens.
ExpertRecording condensed(const Raw& raw) {
  ExpertRecording recording;
  size_t experts = static_cast<size_t>(raw.experts);
  recording.experts = static_cast<int>(raw.experts);
  std::vector<size_t> kept;
  for (size_t layer = 0; layer < static_cast<size_t>(raw.layers); ++layer) {
    auto reached = [&](const RawStep& step) {
      auto begin = step.tokens.begin() + static_cast<std::ptrdiff_t>(layer * experts);
      return std::any_of(begin, begin + static_cast<std::ptrdiff_t>(experts),
                         [](uint64_t n) { return n > 0; });
    };
    if (std::any_of(raw.steps.begin(), raw.steps.end(), reached)) kept.push_back(layer);
  }
  recording.layers = static_cast<int>(kept.size());
  for (size_t layer : kept) {
    recording.model_layer.push_back(static_cast<int>(layer));
    if (!raw.slot_to_expert.empty()) recording.slot_to_expert.push_back(raw.slot_to_expert[layer]);
  }
  for (const RawStep& step : raw.steps) {
    ExpertRecording::Step next{step.id, {}};
    for (size_t layer : kept) {
      auto begin = step.tokens.begin() + static_cast<std::ptrdiff_t>(layer * experts);
      next.tokens.insert(next.tokens.end(), begin, begin + static_cast<std::ptrdiff_t>(experts));
    }
    if (std::all_of(next.tokens.begin(), next.tokens.end(), [](uint64_t n) { return n == 0; }))
      ++recording.empty_steps;
    else
      recording.steps.push_back(std::move(next));
  }
  return recording;
}

// The slots that a token chose at a layer, those that are none left out.
template <class Visit>
size_t visit_choices(const IntegerTensor& ids, size_t layer, size_t token, Visit&& visit) {
  size_t width = static_cast<size_t>(ids.shape[2]),
         begin = (layer * static_cast<size_t>(ids.shape[1]) + token) * width;
  size_t choices = 0;
  for (size_t r = 0; r < width; ++r) {
    if (ids.values[begin + r] < 0) continue;
    visit(ids.values[begin + r]);
    ++choices;
  }
  return choices;
}

void add_choices(const Raw& raw, ExpertRecording& recording) {
  auto count = [](int64_t) {};
  size_t top_k = 0;
  bool phases = false;
  for (const RawStep& step : raw.steps) {
    for (const auto& [ids, phase] : step.chosen) {
      phases = phases || !phase.empty();
      for (int layer : recording.model_layer) {
        for (size_t t = 0; t < static_cast<size_t>(ids.shape[1]); ++t)
          top_k = std::max(top_k, visit_choices(ids, static_cast<size_t>(layer), t, count));
      }
    }
  }
  if (top_k == 0) return;
  recording.top_k = static_cast<int>(top_k);
  uint32_t kept_step = 0;
  for (const RawStep& step : raw.steps) {
    bool kept = kept_step < recording.steps.size() && recording.steps[kept_step].id == step.id;
    for (const auto& [ids, phase] : step.chosen) {
      for (size_t t = 0; t < static_cast<size_t>(ids.shape[1]); ++t) {
        size_t before = recording.chosen.size();
        bool complete = kept;
        for (int layer : recording.model_layer) {
          const std::vector<int>& expert_of = raw.slot_to_expert[static_cast<size_t>(layer)];
          auto add = [&](int64_t slot) { recording.chosen.push_back(expert_of[static_cast<size_t>(slot)]); };
          complete = visit_choices(ids, static_cast<size_t>(layer), t, add) == top_k && complete;
        }
        if (complete) {
          recording.step_of_token.push_back(kept_step);
          if (phases) recording.phase_of_token.push_back(phase.empty() ? Phase::Unknown : phase[t]);
        } else {
          recording.chosen.resize(before);
          ++recording.incomplete_tokens;
        }
      }
    }
    kept_step += kept;
  }
}

}  // namespace

ExpertRecording read_sglang_recording(std::vector<RecordingFile> contents) {
  if (contents.empty()) throw InputError("a recording of no files");
  std::vector<std::unique_ptr<TorchFile>> files;
  int stat_files = 0;
  for (RecordingFile& content : contents) {
    files.push_back(std::make_unique<TorchFile>(std::move(content.bytes), content.name));
    const TorchFile& file = *files.back();
    bool stat = file.pickle().find(file.root(), "logical_count");
    if (!stat && !file.pickle().find(file.root(), "records"))
      file.fail(
          fmt::format("expected a recording of SGLang's expert-distribution recorder, a map with "
                      "logical_count or records; "
                      "found {}",
                      file.pickle().describe(file.root())));
    stat_files += stat;
  }
  if (stat_files != 0 && stat_files != static_cast<int>(files.size()))
    files.back()->fail(
        "one file holds logical_count (stat), another records (per_pass, per_token): give files of one "
        "recording");

  Raw raw;
  if (stat_files) {
    for (const auto& file : files) add_stat_file(*file, raw);
  } else {
    add_detail_files(files, raw);
  }
  ExpertRecording recording = condensed(raw);
  if (recording.steps.empty()) files[0]->fail("no step in which a token reached an expert");
  add_choices(raw, recording);
  recording.format = fmt::format("SGLang recorder, {}, {} file{}",
                                 stat_files        ? "stat"
                                 : recording.top_k ? "per_token"
                                                   : "per_pass",
                                 files.size(), files.size() == 1 ? "" : "s");
  return recording;
}

ExpertRecording read_sglang_recording(std::span<const std::string> paths) {
  std::vector<RecordingFile> files;
  for (const std::string& path : paths) files.push_back({read_file(path, kLargestFile), path});
  return read_sglang_recording(std::move(files));
}

}  // namespace orrery::trace
