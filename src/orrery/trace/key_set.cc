#include "orrery/trace/key_set.h"

#include <algorithm>
#include <array>

#include "orrery/base/error.h"
#include "orrery/base/storage.h"
#include "orrery/trace/key_chooser.h"

namespace orrery::trace {
namespace {

constexpr size_t kLongestKey = 64 << 10;

std::string random_text(Random& random, std::string_view alphabet, size_t length) {
  std::string text(length, '\0');
  for (char& c : text) c = alphabet[random.index(alphabet.size())];
  return text;
}

std::string digits(Random& random) {
  std::string text = std::to_string(random.index(1'000'000'000'000));
  return std::string(12 - text.size(), '0') + text;
}

std::string url(Random& random, const Zipf& hosts, const Zipf& folders) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
  std::string text = "https://www.site-" + std::to_string(hosts(random)) + ".example/";
  const uint64_t depth = 1 + random.index(4);
  for (uint64_t level = 0; level < depth; ++level) text += "section-" + std::to_string(folders(random)) + "/";
  return text + random_text(random, kLetters, 4 + random.index(9)) + ".html";
}

}  // namespace

KeySet::KeySet(std::string name, std::vector<std::string_view> keys, bool synthetic)
    : name_(std::move(name)), synthetic_(synthetic) {
  if (!std::is_sorted(keys.begin(), keys.end())) std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  uint64_t total = 0;
  for (std::string_view key : keys) total += key.size();
  bytes_.reserve(total);
  ends_.reserve(keys.size());
  for (std::string_view key : keys) {
    bytes_ += key;
    ends_.push_back(bytes_.size());
  }
}

std::vector<std::string_view> KeySet::views() const {
  std::vector<std::string_view> all(size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = (*this)[i];
  return all;
}

KeySet read_keys(const std::string& path, bool null_separated, size_t most) {
  const std::string text = read_file(path, uint64_t{16} << 30);
  const char separator = null_separated ? '\0' : '\n';
  std::vector<std::string_view> keys;
  int line = 1;
  for (size_t begin = 0; begin < text.size() && (most == 0 || keys.size() < most); ++line) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    if (end - begin > kLongestKey)
      throw InputError(Place{path, line, 1},
                       "a key of " + std::to_string(end - begin) + " bytes; expected at most 65536");
    keys.push_back(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
  }
  if (keys.empty()) throw InputError(Place{path, 0, 0}, "no keys in it; expected one a line");
  const size_t slash = path.rfind('/');
  return {path.substr(slash == std::string::npos ? 0 : slash + 1), std::move(keys), false};
}

std::string_view name(SyntheticKeys kind) {
  constexpr std::array<std::string_view, 4> kNames = {"digits", "random32", "user-ids", "urls"};
  return kNames[static_cast<size_t>(kind)];
}

KeySet make_keys(SyntheticKeys kind, size_t n, Seed seed) {
  constexpr std::string_view kBase64 = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
  constexpr std::string_view kBase36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  Random random(seed);
  const Zipf hosts(.9, 1000), folders(1.1, 200);
  const auto make = [&]() -> std::string {
    switch (kind) {
      case SyntheticKeys::Digits:
        return digits(random);
      case SyntheticKeys::Random32:
        return random_text(random, kBase64, 32);
      case SyntheticKeys::UserIds:
        return "A" + random_text(random, kBase36, 13);
      case SyntheticKeys::Urls:
        return url(random, hosts, folders);
    }
    return {};
  };
  // Rounds until enough distinct ones are there; what is too many is left out evenly, not from one end.
  std::vector<std::string> pool;
  while (pool.size() < n) {
    for (size_t missing = n - pool.size() + (n - pool.size()) / 64; missing-- > 0 || pool.size() < n;)
      pool.push_back(make());
    std::sort(pool.begin(), pool.end());
    pool.erase(std::unique(pool.begin(), pool.end()), pool.end());
  }
  std::vector<std::string_view> chosen(n);
  for (size_t i = 0; i < n; ++i) chosen[i] = pool[i * pool.size() / n];
  return {std::string(name(kind)), std::move(chosen), true};
}

}  // namespace orrery::trace
