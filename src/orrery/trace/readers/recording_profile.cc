#include "orrery/trace/readers/recording_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "orrery/base/error.h"
#include "orrery/trace/readers/token_collector.h"

namespace orrery::trace {
namespace {

RoutingProfile profile_of_counts(const ExpertRecording& recording, const std::string& name) {
  RoutingProfile profile;
  profile.name = name;
  profile.experts = recording.experts;
  profile.top_k = 1;  // counts do not tell it
  profile.layer_ids = recording.model_layer;
  auto experts = static_cast<size_t>(recording.experts);
  profile.load.assign(profile.layer_ids.size(), std::vector<double>(experts, 0));
  for (const ExpertRecording::Step& step : recording.steps) {
    for (size_t i = 0; i < step.tokens.size(); ++i)
      profile.load[i / experts][i % experts] += static_cast<double>(step.tokens[i]);
  }
  return profile;
}

RoutingProfile profile_of_tokens(const ExpertRecording& recording, const std::string& path,
                                 const std::string& name, WeightRule rule) {
  check_profile_size(path, recording.model_layer.size(), recording.experts);
  auto trace = std::make_shared<TokenTrace>();
  trace->experts = recording.experts;
  trace->top_k = recording.top_k;
  trace->layer_ids = recording.model_layer;
  trace->choice.assign(recording.chosen.begin(), recording.chosen.end());
  trace->sequence.resize(recording.tokens());
  std::iota(trace->sequence.begin(), trace->sequence.end(), 0u);
  for (uint32_t step : recording.step_of_token)
    trace->step.push_back(static_cast<uint64_t>(recording.steps[step].id));
  trace->phase = recording.phase_of_token;
  return profile_tokens(std::move(trace), rule, name);
}

}  // namespace

RoutingProfile profile_of(const ExpertRecording& recording, const std::string& path,
                          const RoutingOptions& options) {
  if (options.experts > 0 && options.experts != recording.experts)
    throw InputError(Place{path},
                     fmt::format("{} experts a layer; expected {}", recording.experts, options.experts));
  std::string name = options.name.empty() ? profile_name(path) : options.name;
  RoutingProfile profile = recording.tokens() > 0 ? profile_of_tokens(recording, path, name, options.rule)
                                                  : profile_of_counts(recording, name);
  // Counts hold tokens too whose choices are incomplete; where choices make the loads they make the steps.
  if (recording.tokens() == 0) {
    for (const ExpertRecording::Step& step : recording.steps)
      profile.steps.emplace_back(step.tokens.begin(), step.tokens.end());
  }
  profile.notes.push_back(recording.format);
  if (recording.incomplete_tokens > 0)
    profile.notes.push_back(
        fmt::format("{} tokens lack a choice at some layer and were left out", recording.incomplete_tokens));
  return profile;
}

}  // namespace orrery::trace
