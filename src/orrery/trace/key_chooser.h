// Which of n items the next request asks for: the request distributions of the YCSB benchmark (Cooper et al.,
// SoCC 2010), over a set that may grow between two draws. Deterministic: the sequence is a function of the
// Random that is handed in.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "orrery/base/random.h"

namespace orrery::trace {

enum class KeyDistribution { Uniform, Zipfian, Latest, Exponential, Hotspot, Sequential };

// "uniform", "zipfian", "latest", "exponential", "hotspot", "sequential".
std::string_view name(KeyDistribution distribution);
std::optional<KeyDistribution> find_key_distribution(std::string_view name);

// Zipf's law over ranks 0..n-1, P(r) ∝ (r+1)^-skew, by rejection-inversion (Hörmann and Derflinger 1996):
// exact for any skew >= 0, constant time, and n may change at no cost.
class Zipf {
 public:
  explicit Zipf(double skew, uint64_t n = 1);  // throws InputError unless 0 <= skew <= 100 and finite
  void resize(uint64_t n);                     // n >= 1
  uint64_t operator()(Random& random) const;
  uint64_t size() const { return n_; }

 private:
  double integral(double x) const;          // of t^-skew from 1 to x
  double inverse_integral(double x) const;  // its inverse
  double skew_;
  uint64_t n_ = 1;
  double low_ = 0, high_ = 0, shortcut_ = 0;
};

struct KeyChooserOptions {
  KeyDistribution distribution = KeyDistribution::Zipfian;
  double skew = .99;  // Zipfian and Latest
  // Zipfian: the popular items are spread over the whole set by a fixed permutation (YCSB's "scrambled";
  // there a hash, which lets some items share their popularity). False: item 0 is the most popular.
  bool scrambled = true;
  double rate = 3.495;       // Exponential: items / rate is the mean; -ln(1 - .95) / .8571 is YCSB's default
  double hot_items = .2;     // Hotspot: this share of the items, the first ones, ...
  double hot_requests = .8;  // ... gets this share of the requests
};

class KeyChooser {
 public:
  // items >= 1: what is there at the start. The scrambled Zipfian stays over these, as YCSB's does over those
  // that it expects, so that the hot ones stay hot while others are added.
  KeyChooser(const KeyChooserOptions& options, uint64_t items, Seed seed);
  // An item of [0, items), where `items` is how many are there now, never fewer than at the start.
  uint64_t next(uint64_t items, Random& random);

 private:
  KeyChooserOptions options_;
  uint64_t first_items_, position_ = 0;
  Seed seed_;
  Zipf zipf_;
};

// A permutation of [0, n) that is computed, not stored: four Feistel rounds over the next power of four,
// walked until the result lies below n.
uint64_t permute(uint64_t i, uint64_t n, Seed seed);

}  // namespace orrery::trace
