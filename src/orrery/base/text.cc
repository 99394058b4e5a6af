#include "orrery/base/text.h"

#include <algorithm>
#include <numeric>

namespace orrery {

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      int substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
  constexpr size_t kLongestWord = 64;
  constexpr size_t kLongestList = 12;
  std::string lowered = lower_case(word.substr(0, kLongestWord));
  std::string_view best;
  int best_distance = std::max<int>(1, static_cast<int>(lowered.size()) / 3) + 1;
  for (std::string_view candidate : known) {
    int distance = edit_distance(lowered, lower_case(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  if (!best.empty()) return "; did you mean '" + std::string(best) + "'?";
  if (known.empty() || known.size() > kLongestList) return {};
  std::string list = "; known are ";
  for (size_t i = 0; i < known.size(); ++i) list += (i ? ", " : "") + std::string(known[i]);
  return list;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> known) {
  std::vector<std::string_view> views(known.begin(), known.end());
  return did_you_mean(word, std::span<const std::string_view>(views));
}

std::string printable(std::string_view text, size_t longest) {
  std::string result(text.substr(0, longest));
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  }
  if (text.size() > longest) result += "...";
  return result;
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end == std::string_view::npos ? end : end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string result;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i) result += separator;
    result += parts[i];
  }
  return result;
}

}  // namespace orrery
