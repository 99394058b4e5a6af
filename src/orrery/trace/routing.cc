#include "orrery/trace/routing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace orrery::trace {

const char* name(WeightRule rule) {
  switch (rule) {
    case WeightRule::AllPairs:
      return "all-pairs";
    case WeightRule::RankPaired:
      return "rank-paired";
    case WeightRule::Top1:
      return "top1";
  }
  return "";
}

const char* name(Phase phase) {
  switch (phase) {
    case Phase::Prefill:
      return "prefill";
    case Phase::Decode:
      return "decode";
    case Phase::Unknown:
      return "unknown";
  }
  return "";
}

double RoutingProfile::total(int layer) const {
  const std::vector<double>& of_layer = load[static_cast<size_t>(layer)];
  return std::accumulate(of_layer.begin(), of_layer.end(), 0.0);
}

namespace {

void add_transitions(const TokenTrace& trace, size_t token, WeightRule rule, RoutingProfile& profile) {
  const auto k = static_cast<size_t>(trace.top_k), experts = static_cast<size_t>(trace.experts);
  for (size_t l = 0; l + 1 < trace.layer_ids.size(); ++l) {
    const uint16_t* from = trace.at(token, static_cast<int>(l));
    const uint16_t* to = trace.at(token, static_cast<int>(l) + 1);
    float* w = profile.transition[l].data();
    if (rule == WeightRule::AllPairs) {
      const float weight = 1.F / static_cast<float>(k);
      for (size_t a = 0; a < k; ++a) {
        for (size_t b = 0; b < k; ++b) w[from[a] * experts + to[b]] += weight;
      }
    } else {
      for (size_t a = 0; a < (rule == WeightRule::Top1 ? 1 : k); ++a) w[from[a] * experts + to[a]] += 1;
    }
  }
}

constexpr size_t kNoStep = SIZE_MAX;

// The step of each token of [first, last), numbered from 0: recorded ones by rising number, else
// `step_tokens` tokens each, of which a rest has none.
std::vector<size_t> steps_of(const TokenTrace& trace, size_t step_tokens, size_t first, size_t last) {
  std::vector<size_t> result(last - first, kNoStep);
  if (!trace.step.empty()) {
    std::vector<uint64_t> numbers(trace.step.begin() + static_cast<ptrdiff_t>(first),
                                  trace.step.begin() + static_cast<ptrdiff_t>(last));
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    for (size_t t = first; t < last; ++t)
      result[t - first] = static_cast<size_t>(
          std::lower_bound(numbers.begin(), numbers.end(), trace.step[t]) - numbers.begin());
  } else if (step_tokens > 0) {
    const size_t whole = (last - first) / step_tokens * step_tokens;
    for (size_t t = 0; t < whole; ++t) result[t] = t / step_tokens;
  }
  return result;
}

template <class Value>
std::vector<Value> cut(const std::vector<Value>& values, size_t first, size_t last) {
  if (values.empty()) return {};
  return {values.begin() + static_cast<ptrdiff_t>(first), values.begin() + static_cast<ptrdiff_t>(last)};
}

}  // namespace

RoutingProfile profile_tokens(std::shared_ptr<const TokenTrace> tokens, WeightRule rule, std::string name,
                              size_t step_tokens, size_t first, size_t last) {
  const TokenTrace& trace = *tokens;
  const auto layers = trace.layer_ids.size(), experts = static_cast<size_t>(trace.experts);
  last = std::min(last, trace.tokens());
  RoutingProfile profile;
  profile.name = std::move(name);
  profile.experts = trace.experts;
  profile.top_k = rule == WeightRule::Top1 ? 1 : trace.top_k;
  profile.rule = rule;
  profile.step_tokens = step_tokens;
  profile.layer_ids = trace.layer_ids;
  profile.load.assign(layers, std::vector<double>(experts, 0));
  if (layers > 0) profile.transition.assign(layers - 1, std::vector<float>(experts * experts, 0.F));
  first = std::min(first, last);
  const std::vector<size_t> step_of = steps_of(trace, step_tokens, first, last);
  size_t steps = 0;
  for (size_t step : step_of) steps = step == kNoStep ? steps : std::max(steps, step + 1);
  profile.steps.assign(steps, std::vector<float>(layers * experts, 0.F));
  for (size_t t = first; t < last; ++t) {
    const size_t step = step_of[t - first];
    for (size_t l = 0; l < layers; ++l) {
      const uint16_t* chosen = trace.at(t, static_cast<int>(l));
      for (int r = 0; r < profile.top_k; ++r) {
        profile.load[l][chosen[r]] += 1;
        if (step != kNoStep) profile.steps[step][l * experts + chosen[r]] += 1;
      }
    }
    add_transitions(trace, t, rule, profile);
  }
  if (first == 0 && last == trace.tokens()) {
    profile.tokens = std::move(tokens);
  } else {
    profile.tokens = std::make_shared<TokenTrace>(slice(trace, first, last));
  }
  return profile;
}

ProfileParts split_profile(const RoutingProfile& whole, double hold_out, size_t step_tokens) {
  ProfileParts parts{whole, std::nullopt};
  if (hold_out <= 0) return parts;
  if (whole.tokens) {
    const size_t border = split_point(*whole.tokens, hold_out);
    const size_t left = whole.tokens->tokens() - border;
    if (border == 0 || left == 0) return parts;
    parts.planned = profile_tokens(whole.tokens, whole.rule, whole.name, step_tokens, 0, border);
    parts.later = profile_tokens(whole.tokens, whole.rule, whole.name, std::min(step_tokens, left), border);
  } else if (whole.steps.size() >= 5) {
    const auto cut = static_cast<size_t>((1 - hold_out) * static_cast<double>(whole.steps.size()));
    parts.later = whole;
    const auto experts = static_cast<size_t>(whole.experts);
    auto keep = [&](RoutingProfile& part, size_t first, size_t last) {
      part.steps.assign(whole.steps.begin() + static_cast<ptrdiff_t>(first),
                        whole.steps.begin() + static_cast<ptrdiff_t>(last));
      for (size_t l = 0; l < part.load.size(); ++l) {
        for (size_t e = 0; e < experts; ++e) {
          part.load[l][e] = 0;
          for (const std::vector<float>& step : part.steps)
            part.load[l][e] += static_cast<double>(step[l * experts + e]);
        }
      }
    };
    keep(parts.planned, 0, cut);
    keep(*parts.later, cut, whole.steps.size());
  }
  parts.planned.synthetic = whole.synthetic;
  return parts;
}

TokenTrace slice(const TokenTrace& tokens, size_t first, size_t last) {
  last = std::min(last, tokens.tokens());
  first = std::min(first, last);
  const size_t width = tokens.layer_ids.size() * static_cast<size_t>(tokens.top_k);
  return {tokens.experts,
          tokens.top_k,
          tokens.layer_ids,
          cut(tokens.choice, first * width, last * width),
          cut(tokens.sequence, first, last),
          cut(tokens.step, first, last),
          cut(tokens.phase, first, last)};
}

size_t split_point(const TokenTrace& tokens, double hold_out) {
  const size_t asked =
      static_cast<size_t>(std::llround((1 - hold_out) * static_cast<double>(tokens.tokens())));
  if (tokens.step.empty() || asked == 0 || asked >= tokens.tokens()) return asked;
  auto border = [&](size_t t) { return tokens.step[t] != tokens.step[t - 1]; };
  size_t point = asked;
  while (point > 0 && !border(point)) --point;
  if (point > 0) return point;
  for (point = asked; point < tokens.tokens() && !border(point);) ++point;
  return point;
}

bool knows_phases(const RoutingProfile& profile) {
  return profile.tokens && !profile.tokens->phase.empty();
}

RoutingProfile of_phase(const RoutingProfile& whole, Phase phase) {
  const TokenTrace& all = *whole.tokens;
  TokenTrace kept{all.experts, all.top_k, all.layer_ids, {}, {}, {}, {}};
  const size_t width = all.layer_ids.size() * static_cast<size_t>(all.top_k);
  for (size_t t = 0; t < all.tokens(); ++t) {
    if (all.phase[t] != phase) continue;
    const auto from = all.choice.begin() + static_cast<ptrdiff_t>(t * width);
    kept.choice.insert(kept.choice.end(), from, from + static_cast<ptrdiff_t>(width));
    kept.sequence.push_back(all.sequence[t]);
    if (!all.step.empty()) kept.step.push_back(all.step[t]);
    kept.phase.push_back(phase);
  }
  RoutingProfile part = profile_tokens(std::make_shared<TokenTrace>(std::move(kept)), whole.rule,
                                       fmt::format("{}, {}", whole.name, name(phase)), whole.step_tokens);
  part.synthetic = whole.synthetic;
  return part;
}

std::vector<std::vector<float>> coactivation(const TokenTrace& tokens) {
  const auto experts = static_cast<size_t>(tokens.experts);
  std::vector<std::vector<float>> together(tokens.layer_ids.size(),
                                           std::vector<float>(experts * experts, 0.F));
  for (size_t t = 0; t < tokens.tokens(); ++t) {
    for (size_t l = 0; l < together.size(); ++l) {
      const uint16_t* chosen = tokens.at(t, static_cast<int>(l));
      for (int a = 0; a < tokens.top_k; ++a) {
        for (int b = 0; b < tokens.top_k; ++b) {
          if (a != b) together[l][chosen[a] * experts + chosen[b]] += 1;
        }
      }
    }
  }
  return together;
}

double noise_imbalance(int experts, double choices) {
  if (experts < 2 || choices <= 0) return 1;
  return 1 + std::sqrt(2 * std::log(static_cast<double>(experts)) * experts / choices);
}

std::vector<std::string> profile_notes(const RoutingProfile& profile) {
  std::vector<std::string> notes;
  if (profile.layers() == 0) return notes;
  const double choices = profile.total(0), tokens = choices / std::max(1, profile.top_k);
  if (tokens < 50.0 * profile.experts) {
    notes.push_back(fmt::format(
        "{}: {:.0f} tokens are fewer than 50 an expert; sampling noise alone gives a busiest expert of "
        "{:.2f} times the mean, so a plan made on it fits noise",
        profile.name, tokens, noise_imbalance(profile.experts, choices)));
  }
  size_t idle = 0;
  for (const std::vector<double>& of_layer : profile.load)
    idle += static_cast<size_t>(std::count(of_layer.begin(), of_layer.end(), 0.0));
  if (idle > 0)
    notes.push_back(fmt::format("{}: {} experts of its layers saw no token; they are placed all the same",
                                profile.name, idle));
  for (size_t l = 0; l + 1 < profile.layer_ids.size(); ++l) {
    if (profile.layer_ids[l + 1] == profile.layer_ids[l] + 1) continue;
    notes.push_back(
        fmt::format("{}: its layers are not adjacent ({} is followed by {}); they are planned as a "
                    "chain, and transitions skip what lies between",
                    profile.name, profile.layer_ids[l], profile.layer_ids[l + 1]));
    break;
  }
  return notes;
}

TokenTrace synthesize_routing(const SyntheticRouting& o, Seed seed) {
  if (o.top_k < 1 || o.top_k > o.experts || o.experts > 65535)
    throw std::logic_error("synthetic routing: 1 <= top_k <= experts <= 65535");
  Random random(seed);
  const auto rank = static_cast<size_t>(o.rank), experts = static_cast<size_t>(o.experts),
             layers = static_cast<size_t>(o.layers), k = static_cast<size_t>(o.top_k);
  std::vector<std::vector<float>> centre(static_cast<size_t>(o.topics), std::vector<float>(rank));
  for (auto& c : centre) {
    for (float& v : c) v = static_cast<float>(random.normal());
  }
  std::vector<std::vector<float>> u(layers, std::vector<float>(experts * rank)), bias(layers);
  for (size_t l = 0; l < layers; ++l) {
    for (float& v : u[l]) v = static_cast<float>(random.normal() / std::sqrt(static_cast<double>(rank)));
    for (size_t e = 0; e < experts; ++e) bias[l].push_back(static_cast<float>(.4 * random.normal()));
  }
  std::vector<double> reach;  // cumulative Zipf-1
  for (int c = 1; c <= o.topics; ++c) reach.push_back((reach.empty() ? 0 : reach.back()) + 1.0 / c);
  TokenTrace trace;
  trace.experts = o.experts;
  trace.top_k = o.top_k;
  for (int l = 0; l < o.layers; ++l) trace.layer_ids.push_back(l);
  trace.choice.resize(o.tokens * layers * k);
  std::vector<float> z(rank), logit(experts);
  std::vector<uint16_t> order(experts);
  const auto keep = static_cast<float>(o.memory);
  const auto fresh = static_cast<float>(std::sqrt(1 - o.memory * o.memory));
  for (size_t t = 0; t < o.tokens; ++t) {
    trace.sequence.push_back(static_cast<uint32_t>(t / 256));
    const double pick = random.uniform() * reach.back();
    const auto topic =
        static_cast<size_t>(std::lower_bound(reach.begin(), reach.end(), pick) - reach.begin());
    for (size_t r = 0; r < rank; ++r)
      z[r] = .8F * centre[topic][r] + .6F * static_cast<float>(random.normal());
    for (size_t l = 0; l < layers; ++l) {
      for (size_t e = 0; e < experts; ++e) {
        float dot = 0;
        for (size_t r = 0; r < rank; ++r) dot += u[l][e * rank + r] * z[r];
        const double gumbel = -std::log(-std::log(1 - random.uniform() + 1e-300) + 1e-300);
        logit[e] = static_cast<float>(o.sharpness) * dot + bias[l][e] + static_cast<float>(gumbel);
      }
      std::iota(order.begin(), order.end(), uint16_t{0});
      std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(k), order.end(),
                        [&](uint16_t a, uint16_t b) { return logit[a] > logit[b]; });
      std::copy_n(order.begin(), k, trace.choice.begin() + static_cast<ptrdiff_t>((t * layers + l) * k));
      for (size_t r = 0; r < rank; ++r) z[r] = keep * z[r] + fresh * static_cast<float>(random.normal());
    }
  }
  return trace;
}

}  // namespace orrery::trace
