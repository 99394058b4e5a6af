#include "orrery/trace/key_chooser.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string>

#include "orrery/base/error.h"

namespace orrery::trace {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"uniform",     "zipfian", "latest",
                                                    "exponential", "hotspot", "sequential"};

// (e^x - 1) / x and ln(1 + x) / x, continued through 0: they let skew 1 be no special case.
double expm1_ratio(double x) {
  return std::abs(x) > 1e-8 ? std::expm1(x) / x : 1 + x / 2;
}
double log1p_ratio(double x) {
  return std::abs(x) > 1e-8 ? std::log1p(x) / x : 1 - x / 2;
}

}  // namespace

std::string_view name(KeyDistribution distribution) {
  return kNames[static_cast<size_t>(distribution)];
}

std::optional<KeyDistribution> find_key_distribution(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<KeyDistribution>(found - kNames.begin());
}

Zipf::Zipf(double skew, uint64_t n) : skew_(skew) {
  if (!(skew >= 0 && skew <= 100))
    throw InputError("a Zipf skew of " + std::to_string(skew) + "; expected 0 to 100");
  resize(n);
}

double Zipf::integral(double x) const {
  const double log_x = std::log(x);
  return expm1_ratio((1 - skew_) * log_x) * log_x;
}

double Zipf::inverse_integral(double x) const {
  const double t = std::max(-1.0, x * (1 - skew_));
  return std::exp(log1p_ratio(t) * x);
}

void Zipf::resize(uint64_t n) {
  n_ = n;
  low_ = integral(1.5) - 1;
  high_ = integral(static_cast<double>(n) + .5);
  shortcut_ = 2 - inverse_integral(integral(2.5) - std::pow(2, -skew_));
}

uint64_t Zipf::operator()(Random& random) const {
  for (;;) {
    const double u = high_ + random.uniform() * (low_ - high_);
    const double x = inverse_integral(u);
    const double rank = std::clamp(std::floor(x + .5), 1.0, static_cast<double>(n_));
    if (rank - x <= shortcut_ || u >= integral(rank + .5) - std::pow(rank, -skew_))
      return static_cast<uint64_t>(rank) - 1;
  }
}

uint64_t permute(uint64_t i, uint64_t n, Seed seed) {
  const int half = std::max(1, (static_cast<int>(std::bit_width(n - 1)) + 1) / 2);
  const uint64_t mask = (uint64_t{1} << half) - 1;
  do {
    uint64_t left = i >> half, right = i & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      const uint64_t mixed = Seed::mix(right * 0x9e3779b97f4a7c15ull + seed.derive(round).value) & mask;
      const uint64_t next = left ^ mixed;
      left = right;
      right = next;
    }
    i = left << half | right;
  } while (i >= n);
  return i;
}

KeyChooser::KeyChooser(const KeyChooserOptions& options, uint64_t items, Seed seed)
    : options_(options), first_items_(items), seed_(seed), zipf_(options.skew, std::max<uint64_t>(items, 1)) {
  if (items == 0) throw InputError("requests over no items; expected at least one");
  if (!(options.rate > 0)) throw InputError("an exponential rate that is not positive");
  if (!(options.hot_items > 0 && options.hot_items <= 1 && options.hot_requests >= 0 &&
        options.hot_requests <= 1))
    throw InputError("hotspot shares outside 0 to 1");
}

uint64_t KeyChooser::next(uint64_t items, Random& random) {
  switch (options_.distribution) {
    case KeyDistribution::Uniform:
      return random.index(items);
    case KeyDistribution::Zipfian: {
      const uint64_t rank = zipf_(random);
      return options_.scrambled ? permute(rank, first_items_, seed_) : rank;
    }
    case KeyDistribution::Latest:
      if (zipf_.size() != items) zipf_.resize(items);
      return items - 1 - zipf_(random);
    case KeyDistribution::Exponential:
      for (;;) {
        const double x = -std::log1p(-random.uniform()) * static_cast<double>(items) / options_.rate;
        if (x < static_cast<double>(items)) return static_cast<uint64_t>(x);
      }
    case KeyDistribution::Hotspot: {
      const auto share = options_.hot_items * static_cast<double>(items);
      const uint64_t hot = std::clamp<uint64_t>(static_cast<uint64_t>(share), 1, items);
      if (hot == items || random.uniform() < options_.hot_requests) return random.index(hot);
      return hot + random.index(items - hot);
    }
    case KeyDistribution::Sequential:
      if (position_ >= items) position_ = 0;
      return position_++;
  }
  return 0;
}

}  // namespace orrery::trace
