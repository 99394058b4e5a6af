#include "orrery/validate/python_literal.h"

#include <charconv>

#include "orrery/base/text.h"

namespace orrery::validate {
namespace {

constexpr int kDeepest = 16;

class Reader {
 public:
  Reader(std::string_view text, const Place& place) : text_(text), place_(place) {}

  PythonLiteral whole() {
    PythonLiteral value = one(0);
    skip();
    if (at_ != text_.size()) fail();
    return value;
  }

 private:
  [[noreturn]] void fail() const {
    throw InputError(place_, "'" + printable(std::string(text_), 60) + "' is no list of operators or sizes");
  }
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  PythonLiteral one(int depth) {
    if (depth > kDeepest) fail();
    PythonLiteral value;
    const bool list = take('[');
    if (list || take('(')) {
      const char end = list ? ']' : ')';
      while (!take(end)) {
        value.items.push_back(one(depth + 1));
        if (take(',')) continue;
        if (take(end)) break;
        fail();
      }
      return value;
    }
    if (take('\'')) {
      const size_t end = text_.find('\'', at_);
      if (end == std::string_view::npos) fail();
      value.kind = PythonLiteral::Kind::Text;
      value.text = text_.substr(at_, end - at_);
      at_ = end + 1;
      return value;
    }
    value.kind = PythonLiteral::Kind::Integer;
    const auto parsed = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value.integer);
    if (parsed.ec != std::errc()) fail();
    at_ = static_cast<size_t>(parsed.ptr - text_.data());
    return value;
  }

  std::string_view text_;
  const Place& place_;
  size_t at_ = 0;
};

}  // namespace

PythonLiteral parse_python_literal(std::string_view text, const Place& place) {
  return Reader(text, place).whole();
}

}  // namespace orrery::validate
