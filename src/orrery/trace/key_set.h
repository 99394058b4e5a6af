// Sets of byte-string keys: read from a file, or made by a rule. What is made is labelled synthetic.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/random.h"

namespace orrery::trace {

// Distinct keys in byte order, one after the other in one buffer.
class KeySet {
 public:
  KeySet() = default;
  // `keys` in any order, with repetitions; views stay the caller's.
  KeySet(std::string name, std::vector<std::string_view> keys, bool synthetic);

  const std::string& name() const { return name_; }
  bool synthetic() const { return synthetic_; }
  size_t size() const { return ends_.size(); }
  uint64_t bytes() const { return bytes_.size(); }
  std::string_view operator[](size_t i) const {
    const uint64_t begin = i ? ends_[i - 1] : 0;
    return {bytes_.data() + begin, static_cast<size_t>(ends_[i] - begin)};
  }
  // Invalid once the set is moved or gone.
  std::vector<std::string_view> views() const;

 private:
  std::string name_, bytes_;
  std::vector<uint64_t> ends_;
  bool synthetic_ = false;
};

// The keys of a file, one a line or, with `null_separated`, one up to each NUL byte; a last one without its
// separator counts. `most`: stop after so many lines (0: all). Throws InputError for a file that is not
// there, for one without keys, and for a key over 64 KiB (file:line).
KeySet read_keys(const std::string& path, bool null_separated = false, size_t most = 0);

enum class SyntheticKeys {
  Digits,    // 12-digit numbers, spread uniformly
  Random32,  // 32 bytes of a 64-character alphabet
  UserIds,   // 'A' and 13 base-36 characters
  Urls       // a scheme, one of few hosts, folders by Zipf's law, a document: deep shared prefixes
};
std::string_view name(SyntheticKeys kind);

// `n` distinct keys.
KeySet make_keys(SyntheticKeys kind, size_t n, Seed seed);

}  // namespace orrery::trace
