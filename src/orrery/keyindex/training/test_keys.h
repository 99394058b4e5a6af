// Keys for the tests of this folder.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/random.h"
#include "orrery/trace/key_set.h"

namespace orrery::keyindex {

// Sorted distinct keys that share `prefix` and then look like names: letters, skewed, 3 to 14 of them.
inline std::vector<std::string> name_like(size_t n, uint64_t seed, const std::string& prefix = "name/") {
  Random random(Seed{seed});
  std::vector<std::string> keys;
  while (keys.size() < n) {
    for (size_t missing = n + n / 8; missing-- > 0;) {
      std::string key = prefix;
      for (uint64_t length = 3 + random.index(12); length-- > 0;)
        key += static_cast<char>('a' + std::min(random.index(26), random.index(26)));
      keys.push_back(key);
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  }
  while (keys.size() > n) keys.erase(keys.begin() + static_cast<std::ptrdiff_t>(random.index(keys.size())));
  return keys;
}

inline std::vector<std::string_view> views(const std::vector<std::string>& keys) {
  return {keys.begin(), keys.end()};
}

// A group before and after a change: `share` of the keys came, `gone` of the old ones left.
struct Change {
  std::vector<std::string> all;
  std::vector<std::string_view> before, after;
  std::vector<uint32_t> inserted;                              // ranks in `after`
  std::vector<std::pair<uint32_t, std::string_view>> removed;  // ranks in `before`
};

inline void make_change(Change& change, double share, double gone, uint64_t seed) {
  Random random(Seed{seed});
  for (const std::string& key : change.all) {
    const bool is_new = random.uniform() < share;
    if (is_new) {
      change.inserted.push_back(static_cast<uint32_t>(change.after.size()));
      change.after.push_back(key);
      continue;
    }
    if (random.uniform() < gone) {
      change.removed.emplace_back(static_cast<uint32_t>(change.before.size()), key);
    } else {
      change.after.push_back(key);
    }
    change.before.push_back(key);
  }
}

}  // namespace orrery::keyindex
