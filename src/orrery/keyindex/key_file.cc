#include "orrery/keyindex/key_file.h"

#include <algorithm>
#include <numeric>

#include "orrery/base/error.h"
#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/keyindex/string_index.h"

namespace orrery::keyindex {
namespace {

Place line_of(const std::string& path, uint64_t line) {
  return {path, static_cast<int>(std::min<uint64_t>(line, INT32_MAX)), 0};
}

}  // namespace

KeyFile read_key_file(const std::string& path, bool null_separated) {
  KeyFile file;
  file.bytes = read_file(path, uint64_t{64} << 30);
  const char separator = null_separated ? '\0' : '\n';
  std::string_view text = file.bytes;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find(separator, at), text.size());
    if (end - at > kLongestKey)
      throw InputError(line_of(path, file.keys.size() + 1),
                       "the key has " + std::to_string(end - at) + " bytes; expected at most " +
                           std::to_string(kLongestKey) + "; shorten or leave it out");
    file.keys.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return file;
}

StringIndex index_key_file(const std::string& path, bool null_separated, bool sorted,
                           const IndexOptions& options) {
  KeyFile file = read_key_file(path, null_separated);
  const auto& keys = file.keys;
  std::vector<uint32_t> order;  // empty: as the file
  if (!sorted) {
    if (keys.size() > UINT32_MAX)
      throw InputError(Place{path, 0, 0}, "has more than 4,294,967,295 keys; sort it and use --sorted");
    if (!std::is_sorted(keys.begin(), keys.end())) {
      order.resize(keys.size());
      std::iota(order.begin(), order.end(), 0u);
      std::sort(order.begin(), order.end(),
                [&](uint32_t a, uint32_t b) { return keys[a] != keys[b] ? keys[a] < keys[b] : a < b; });
    }
  }
  auto line = [&](size_t i) { return order.empty() ? i : order[i]; };
  for (size_t i = 1; i < keys.size(); ++i) {
    std::string_view before = keys[line(i - 1)], key = keys[line(i)];
    if (before < key) continue;
    std::string shown = "key '" + printable(key, 60) + "' ";
    if (before == key)
      throw InputError(line_of(path, line(i) + 1), shown + "is there twice, first in line " +
                                                       std::to_string(line(i - 1) + 1) +
                                                       "; expected distinct keys; leave one out");
    throw InputError(
        line_of(path, line(i) + 1),
        shown +
            "is below the one before it; expected keys in ascending byte order; leave out --sorted, or sort "
            "with LC_ALL=C");
  }
  StringIndex index(options);
  size_t at = 0;
  index.bulk_load(
      [&](std::string_view& key, uint64_t& value) {
        if (at == keys.size()) return false;
        key = keys[line(at)];
        value = line(at) + 1;
        ++at;
        return true;
      },
      keys.size());
  return index;
}

}  // namespace orrery::keyindex
