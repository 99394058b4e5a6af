#include "orrery/trace/readers/token_collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

namespace orrery::trace {
namespace {

constexpr double kMostTransitionBytes = 4e9;
constexpr double kMostIncomplete = .01;

}  // namespace

void TokenCollector::add(uint64_t sequence, uint64_t token, int64_t layer, std::span<const int64_t> experts,
                         int line, const TokenMark& mark) {
  if (layer < 0 || layer > 100000) fail(line, fmt::format("layer {} is not one; expected 0 or more", layer));
  if (experts.empty()) fail(line, "no expert is named; expected the k experts that the token chose");
  if (top_k_ == 0) top_k_ = static_cast<int>(experts.size());
  if (static_cast<int>(experts.size()) != top_k_)
    fail(line, fmt::format("{} experts where earlier rows have {}; every token chooses as many",
                           experts.size(), top_k_));
  const int limit = experts_ > 0 ? experts_ : kMostExpertsUnasked;
  for (size_t a = 0; a < experts.size(); ++a) {
    if (experts[a] < 0 || experts[a] >= limit)
      fail(line,
           fmt::format("expert {} is outside 0..{}; give the model's number of experts with --experts or "
                       "--model if it has more",
                       experts[a], limit - 1));
    for (size_t b = 0; b < a; ++b) {
      if (experts[a] == experts[b])
        fail(line,
             fmt::format("expert {} is chosen twice by one token; expected distinct experts", experts[a]));
    }
    largest_ = std::max(largest_, static_cast<int>(experts[a]));
  }
  const auto [at, is_new] =
      token_index_.try_emplace({sequence, token}, static_cast<uint32_t>(tokens_.size()));
  if (is_new) {
    tokens_.emplace_back(sequence, token);
    marks_.push_back(mark);
  } else if (mark != marks_[at->second]) {
    fail(line, fmt::format("token {} of problem {} has another step or phase than in its earlier rows", token,
                           sequence));
  }
  layer_index_.try_emplace(layer, 0);
  rows_.push_back({at->second, static_cast<uint32_t>(layer)});
  for (int64_t e : experts) chosen_.push_back(static_cast<uint16_t>(e));
}

void check_profile_size(const std::string& file, size_t layers, int experts) {
  const double bytes = static_cast<double>(layers) * experts * experts * sizeof(float);
  if (bytes > kMostTransitionBytes)
    throw InputError(
        Place{file},
        fmt::format("{} layers of {} experts: their transitions need {:.1f} GB, more than {:.0f} GB; "
                    "record fewer layers, or counts without transitions",
                    layers, experts, bytes / 1e9, kMostTransitionBytes / 1e9));
}

RoutingProfile TokenCollector::finish(const RoutingOptions& options) {
  if (rows_.empty()) throw InputError(Place{file_, 0, 0}, "holds no token; expected rows of tokens");
  TokenTrace all;
  all.top_k = top_k_;
  all.experts = experts_ > 0 ? experts_ : largest_ + 1;
  for (auto& [id, index] : layer_index_) {
    index = static_cast<uint32_t>(all.layer_ids.size());
    all.layer_ids.push_back(static_cast<int>(id));
  }
  const size_t layers = all.layer_ids.size(), k = static_cast<size_t>(top_k_);
  check_profile_size(file_, layers, all.experts);
  std::vector<uint16_t> grid(tokens_.size() * layers * k);
  std::vector<uint16_t> seen(tokens_.size() * layers, 0);
  std::vector<uint32_t> have(tokens_.size(), 0);
  for (size_t r = 0; r < rows_.size(); ++r) {
    const size_t cell = rows_[r].token * layers + layer_index_.at(rows_[r].layer);
    if (seen[cell]++)
      throw InputError(
          Place{file_, 0, 0},
          fmt::format("token {} of problem {} is recorded twice at layer {}; expected one row",
                      tokens_[rows_[r].token].second, tokens_[rows_[r].token].first, rows_[r].layer));
    ++have[rows_[r].token];
    std::copy_n(chosen_.begin() + static_cast<ptrdiff_t>(r * k), k,
                grid.begin() + static_cast<ptrdiff_t>(cell * k));
  }
  size_t incomplete = 0;
  const bool steps = std::all_of(marks_.begin(), marks_.end(), [](const TokenMark& m) { return m.step; });
  const bool phases =
      std::any_of(marks_.begin(), marks_.end(), [](const TokenMark& m) { return m.phase != Phase::Unknown; });
  std::vector<size_t> order(tokens_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (steps)
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return *marks_[a].step < *marks_[b].step; });
  for (const size_t t : order) {
    if (have[t] < layers) {
      ++incomplete;
      continue;
    }
    all.sequence.push_back(static_cast<uint32_t>(tokens_[t].first));
    if (steps) all.step.push_back(*marks_[t].step);
    if (phases) all.phase.push_back(marks_[t].phase);
    all.choice.insert(all.choice.end(), grid.begin() + static_cast<ptrdiff_t>(t * layers * k),
                      grid.begin() + static_cast<ptrdiff_t>((t + 1) * layers * k));
  }
  if (static_cast<double>(incomplete) > kMostIncomplete * static_cast<double>(tokens_.size()))
    throw InputError(
        Place{file_, 0, 0},
        fmt::format("{} of {} tokens lack a layer; at most 1 % may: record all sparse layers of a "
                    "token, or cut the file to the layers that were",
                    incomplete, tokens_.size()));
  RoutingProfile profile =
      profile_tokens(std::make_shared<TokenTrace>(std::move(all)), options.rule,
                     options.name.empty() ? profile_name(file_) : options.name, options.step_tokens);
  if (incomplete > 0)
    profile.notes.push_back(fmt::format("{}: {} of {} tokens lack a layer and were left out", profile.name,
                                        incomplete, tokens_.size()));
  return profile;
}

RoutingProfile profile_array(std::vector<uint16_t> choice, size_t tokens, int layers, int top_k,
                             const std::string& file, const RoutingOptions& options) {
  int largest = -1;
  const auto width = static_cast<size_t>(layers) * static_cast<size_t>(top_k), k = static_cast<size_t>(top_k);
  for (size_t at = 0; at < choice.size(); ++at) {
    const int e = choice[at];
    const int limit = options.experts > 0 ? options.experts : kMostExpertsUnasked;
    if (e >= limit)
      throw InputError(Place{file, 0, 0},
                       fmt::format("token {}: expert {} is outside 0..{}; give the model's number of experts "
                                   "with --experts or --model if it has more",
                                   at / width, e, limit - 1));
    for (size_t b = at / k * k; b < at; ++b) {
      if (choice[b] == e)
        throw InputError(Place{file, 0, 0},
                         fmt::format("token {}: expert {} is chosen twice at one layer", at / width, e));
    }
    largest = std::max(largest, e);
  }
  TokenTrace trace;
  trace.experts = options.experts > 0 ? options.experts : largest + 1;
  trace.top_k = top_k;
  check_profile_size(file, static_cast<size_t>(layers), trace.experts);
  for (int l = 0; l < layers; ++l) trace.layer_ids.push_back(l);
  trace.choice = std::move(choice);
  trace.sequence.resize(tokens);
  for (size_t t = 0; t < tokens; ++t) trace.sequence[t] = static_cast<uint32_t>(t);
  return profile_tokens(std::make_shared<TokenTrace>(std::move(trace)), options.rule,
                        options.name.empty() ? profile_name(file) : options.name, options.step_tokens);
}

Phase phase_of(std::string_view text) {
  for (const Phase phase : {Phase::Prefill, Phase::Decode}) {
    if (text == name(phase)) return phase;
  }
  return Phase::Unknown;
}

std::string profile_name(const std::string& path) {
  std::string name = std::filesystem::path(path).filename().string();
  for (const char* ending : {".gz", ".zst", ".tsv", ".jsonl", ".json", ".npy"}) {
    if (name.ends_with(ending)) name.resize(name.size() - std::string_view(ending).size());
  }
  return name.empty() ? "routing" : name;
}

}  // namespace orrery::trace
