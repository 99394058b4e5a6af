// The fields of one map of a config.json, with the memory of which were asked for, so that what nobody read
// can be named. Every value is checked against its range at its place in the file.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/graph/model_config.h"

namespace orrery::graph {

// Bounds beyond which a size is a mistake, not a model.
inline constexpr int kMostLayers = 10'000, kMostHidden = 1'000'000, kMostHeads = 100'000,
                     kMostExperts = 100'000;
inline constexpr int kMostFeedForward = 10'000'000, kMostTokens = 1'000'000'000,
                     kMostVocabulary = 100'000'000;

class Fields {
 public:
  using Keys = std::initializer_list<std::string_view>;  // spellings of one field, the first is the usual one

  explicit Fields(const Node& map) : map_(map) { map.entries(); }

  const Node& map() const { return map_; }
  const Node* find(Keys keys);
  // Required: throws InputError at the map when absent or null, at the value when it is out of [low, high].
  int size(Keys keys, int high, int low = 1);
  int size_or(Keys keys, int absent, int high, int low = 1);
  bool flag_or(Keys keys, bool absent);
  double number_or(Keys keys, double absent, double low, double high);
  std::string word_or(Keys keys, std::string_view absent);
  // The activation under one of `keys`; one that is not known is noted and taken as `absent`.
  Activation activation_or(Keys keys, Activation absent, std::vector<std::string>& notes);
  void ignore(Keys keys);  // known to change no size

  // Names each field that was neither asked for nor is known to matter to no size ("dropout", token ids,
  // ...).
  void name_unknown(std::string_view where, std::vector<std::string>& notes) const;

 private:
  const Node& map_;
  std::set<std::string, std::less<>> asked_;
};

}  // namespace orrery::graph
