#include "orrery/validate/document.h"

#include <fmt/format.h>

#include <utility>

#include "orrery/base/error.h"
#include "orrery/base/storage.h"

namespace orrery::validate {
namespace {

constexpr std::string_view kEnd = "<!-- end -->";

}  // namespace

Document::Document(std::string file, std::string_view command)
    : file_(std::move(file)), begin_(fmt::format("<!-- orrery {} -->", command)) {
  if (!file_.empty()) refreshed(read_file(file_), "");
}

void Document::write(const std::string& tables) const {
  if (!file_.empty()) write_file(file_, refreshed(read_file(file_), tables));
}

std::string Document::refreshed(const std::string& text, const std::string& tables) const {
  const size_t begin = text.find(begin_);
  const size_t end = begin == std::string::npos ? begin : text.find(kEnd, begin);
  if (end == std::string::npos) {
    throw InputError(
        Place{file_, 0, 0},
        fmt::format("has no place for the tables; expected the lines '{}' and '{}'", begin_, kEnd));
  }
  return text.substr(0, begin + begin_.size()) + "\n" + tables + "\n" + text.substr(end);
}

}  // namespace orrery::validate
