#include "bench/keyindex/workload.h"

#include <algorithm>
#include <fstream>

#include "orrery/trace/key_chooser.h"

namespace orrery::bench {

Arena::Arena(const Keys& from) {
  size_t total = 0;
  for (std::string_view key : from) total += key.size();
  bytes_.reserve(total);
  keys.reserve(from.size());
  for (std::string_view key : from) {
    keys.emplace_back(bytes_.data() + bytes_.size(), key.size());
    bytes_ += key;
  }
}

Workload::Workload(const Keys& sorted, double share, Random& random) {
  Keys shuffled = sorted;
  shuffle(shuffled, random);
  arena = Arena(shuffled);
  const auto cut =
      arena.keys.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(sorted.size()));
  to_load.assign(arena.keys.begin(), cut);
  to_insert.assign(cut, arena.keys.end());
  std::sort(to_load.begin(), to_load.end());
  for (size_t i = 0; i < to_load.size(); ++i) values.push_back(i * 7 + 1);
}

Keys read_sorted_lines(const std::string& file, size_t limit, std::string& text) {
  std::ifstream in(file, std::ios::binary);
  text.assign(std::istreambuf_iterator<char>(in), {});
  Keys all;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    all.push_back(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (all.size() <= limit) return all;
  Keys some;
  for (size_t i = 0; i < limit; ++i) some.push_back(all[i * all.size() / limit]);
  return some;
}

Keys draw(const Keys& from, size_t count, Popularity popularity, Random& random) {
  trace::KeyChooserOptions options;
  options.distribution =
      popularity == Popularity::Zipf ? trace::KeyDistribution::Zipfian : trace::KeyDistribution::Uniform;
  trace::KeyChooser chooser(options, from.size(), Seed{5});
  Keys keys;
  keys.reserve(count);
  for (size_t i = 0; i < count; ++i) keys.push_back(from[chooser.next(from.size(), random)]);
  return keys;
}

}  // namespace orrery::bench
