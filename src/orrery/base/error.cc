#include "orrery/base/error.h"

#include <algorithm>

namespace orrery {
namespace {

constexpr size_t kLongestShownLine = 160;

std::string line_of(std::string_view text, int line) {
  size_t begin = 0;
  for (int i = 1; i < line; ++i) {
    begin = text.find('\n', begin);
    if (begin == std::string_view::npos) return {};
    ++begin;
  }
  std::string_view rest = text.substr(begin);
  return std::string(rest.substr(0, rest.find_first_of("\r\n")));
}

std::string with_place(const Place& place, const std::string& message, std::string_view text,
                       int first_line) {
  std::string result = place.file;
  if (place.line > 0) result += ":" + std::to_string(place.line);
  if (place.line > 0 && place.column > 0) result += ":" + std::to_string(place.column);
  result += (result.empty() ? "" : ": ") + message;
  if (text.empty() || place.line <= 0) return result;

  std::string shown = line_of(text, place.line - first_line + 1);
  size_t caret = place.column > 0 ? static_cast<size_t>(place.column - 1) : 0;
  if (shown.size() > kLongestShownLine) {  // a window round the caret, for minified JSON
    size_t begin = caret > kLongestShownLine / 2 ? caret - kLongestShownLine / 2 : 0;
    begin = std::min(begin, shown.size());
    shown = shown.substr(begin, kLongestShownLine);
    caret -= begin;
  }
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 32 || c == 127)
      c = ' ';  // hostile control bytes do not reach the terminal
  }
  if (shown.empty()) return result;
  result += "\n  " + shown;
  if (place.column > 0 && caret <= shown.size()) result += "\n  " + std::string(caret, ' ') + "^";
  return result;
}

}  // namespace

InputError::InputError(const Place& place, const std::string& message, std::string_view source_text,
                       int first_line)
    : Error(with_place(place, message, source_text, first_line)), place_(place) {}

}  // namespace orrery
