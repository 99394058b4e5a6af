#include "orrery/trace/readers/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "orrery/base/error.h"
#include "orrery/base/text.h"

namespace orrery::trace {
namespace {

constexpr uint64_t kMostValues = 64'000'000;
constexpr size_t kLargestStack = 4'000'000;  // writers empty it at least every thousand items of a list
constexpr size_t kDeepestMark = 10'000;
constexpr int kNewestProtocol = 5;

bool has_text(PickleValue::Kind kind) {
  return kind == PickleValue::Kind::Text || kind == PickleValue::Kind::Bytes ||
         kind == PickleValue::Kind::Name;
}

}  // namespace

// One run of the stack machine. The instructions are named in comments as pickletools names them.
class PickleMachine {
 public:
  using Kind = PickleValue::Kind;
  PickleMachine(Pickle& pickle, std::string_view bytes, std::string where,
                std::span<const std::string_view> allowed)
      : pickle_(pickle), bytes_(bytes), where_(std::move(where)), allowed_(allowed) {}

  PickleValue run() {
    while (true) {
      begin_ = at_;
      char code = take(1)[0];
      if (code == '.') return pop();  // STOP
      if (!scalar(code) && !container(code) && !stack_or_memo(code) && !request(code))
        refuse_instruction(code);
    }
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(fmt::format("{} at byte {}: {}", where_, begin_, message));
  }
  [[noreturn]] void refuse(const std::string& name) const {
    fail(fmt::format(
        "asks for '{}'; a recording holds only numbers, texts, lists and tensors; refused, nothing was run",
        printable(name)));
  }

  // Input
  std::string_view take(uint64_t size) {
    if (size > bytes_.size() - at_) fail("the pickle is cut short");
    std::string_view part = bytes_.substr(at_, size);
    at_ += size;
    return part;
  }
  std::string_view line() {
    size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) fail("the pickle is cut short");
    std::string_view part = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return part;
  }
  uint64_t number(size_t size) {
    std::string_view part = take(size);
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i)
      value |= static_cast<uint64_t>(static_cast<uint8_t>(part[i])) << (8 * i);
    return value;
  }

  // Values
  void push(PickleValue value) {
    if (++pushed_ > kMostValues)
      fail(fmt::format("builds more than {} million values", kMostValues / 1'000'000));
    if (stack_.size() >= kLargestStack)
      fail(fmt::format("holds more than {} million values at a time", kLargestStack / 1'000'000));
    stack_.push_back(value);
  }
  void push(Kind kind, int64_t integer = 0) {
    PickleValue value;
    value.kind = kind;
    value.integer = integer;
    push(value);
  }
  void push_real(double real) {
    PickleValue value;
    value.kind = Kind::Real;
    value.real = real;
    push(value);
  }
  void push_text(Kind kind, std::string text) {
    PickleValue value;
    value.kind = kind;
    value.index = static_cast<uint32_t>(pickle_.texts_.size());
    pickle_.texts_.push_back(std::move(text));
    push(value);
  }
  void push_items(Kind kind, std::vector<PickleValue> items) {
    PickleValue value;
    value.kind = kind;
    value.index = static_cast<uint32_t>(pickle_.items_.size());
    pickle_.items_.push_back(std::move(items));
    push(value);
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue pop() {
    if (stack_.size() <= floor()) fail("takes a value from an empty stack");
    PickleValue value = stack_.back();
    stack_.pop_back();
    return value;
  }
  std::vector<PickleValue> pop_last(size_t count) {
    if (stack_.size() < floor() + count) fail("takes a value from an empty stack");
    std::vector<PickleValue> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }
  std::vector<PickleValue> pop_to_mark() {
    if (marks_.empty()) fail("closes what was never opened");
    std::vector<PickleValue> items = pop_last(stack_.size() - marks_.back());
    marks_.pop_back();
    return items;
  }
  std::vector<PickleValue>& top_items(Kind kind, const char* what) {
    if (stack_.size() <= floor() || stack_.back().kind != kind)
      fail(fmt::format("adds to something that is not {}", what));
    return pickle_.items_[stack_.back().index];
  }
  void append(std::vector<PickleValue>& to, const std::vector<PickleValue>& items) {
    pushed_ += items.size();
    if (pushed_ > kMostValues)
      fail(fmt::format("builds more than {} million values", kMostValues / 1'000'000));
    to.insert(to.end(), items.begin(), items.end());
  }

  // The instructions, a group a function; each returns false for what is not its own.
  bool scalar(char code) {
    switch (code) {
      case 'N':  // NONE
        return push(Kind::None), true;
      case '\x88':  // NEWTRUE
      case '\x89':  // NEWFALSE
        return push(Kind::Bool, code == '\x88'), true;
      case 'J':  // BININT
        return push(Kind::Integer, static_cast<int32_t>(static_cast<uint32_t>(number(4)))), true;
      case 'K':  // BININT1
        return push(Kind::Integer, static_cast<int64_t>(number(1))), true;
      case 'M':  // BININT2
        return push(Kind::Integer, static_cast<int64_t>(number(2))), true;
      case '\x8a':  // LONG1
        return push_long(number(1)), true;
      case '\x8b':  // LONG4
        return push_long(number(4)), true;
      case 'I':  // INT
      case 'L':  // LONG
        return push_decimal(line()), true;
      case 'G': {  // BINFLOAT, big-endian
        uint64_t bits = 0;
        for (char c : take(8)) bits = bits << 8 | static_cast<uint8_t>(c);
        return push_real(std::bit_cast<double>(bits)), true;
      }
      case 'F':  // FLOAT
        return push_real(std::strtod(std::string(line()).c_str(), nullptr)), true;
      case 'X':  // BINUNICODE
        return push_text(Kind::Text, std::string(take(number(4)))), true;
      case '\x8c':  // SHORT_BINUNICODE
        return push_text(Kind::Text, std::string(take(number(1)))), true;
      case '\x8d':  // BINUNICODE8
        return push_text(Kind::Text, std::string(take(number(8)))), true;
      case 'V':  // UNICODE
        return push_text(Kind::Text, std::string(line())), true;
      case 'U':  // SHORT_BINSTRING
        return push_text(Kind::Text, std::string(take(number(1)))), true;
      case 'T':  // BINSTRING
        return push_text(Kind::Text, std::string(take(number(4)))), true;
      case 'C':  // SHORT_BINBYTES
        return push_text(Kind::Bytes, std::string(take(number(1)))), true;
      case 'B':  // BINBYTES
        return push_text(Kind::Bytes, std::string(take(number(4)))), true;
      case '\x8e':  // BINBYTES8
        return push_text(Kind::Bytes, std::string(take(number(8)))), true;
      default:
        return false;
    }
  }

  void push_long(uint64_t size) {
    std::string_view part = take(size);
    if (size > 8) fail(fmt::format("a whole number of {} bytes is larger than any count or id", size));
    uint64_t value = size > 0 && static_cast<uint8_t>(part.back()) >= 0x80 ? ~uint64_t{0} : 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(part[i]);
    push(Kind::Integer, static_cast<int64_t>(value));
  }

  void push_decimal(std::string_view text) {
    if (text == "01" || text == "00") return push(Kind::Bool, text == "01");  // protocol 0 writes them so
    if (text.ends_with('L')) text.remove_suffix(1);
    int64_t value = 0;
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size())
      fail(fmt::format("'{}' is not a whole number of at most 64 bits", printable(text)));
    push(Kind::Integer, value);
  }

  bool container(char code) {
    switch (code) {
      case ']':  // EMPTY_LIST
        return push_items(Kind::List, {}), true;
      case ')':  // EMPTY_TUPLE
        return push_items(Kind::Tuple, {}), true;
      case '}':  // EMPTY_DICT
        return push_items(Kind::Map, {}), true;
      case '\x8f':  // EMPTY_SET
        return push_items(Kind::Set, {}), true;
      case 'l':  // LIST
        return push_items(Kind::List, pop_to_mark()), true;
      case 't':  // TUPLE
        return push_items(Kind::Tuple, pop_to_mark()), true;
      case '\x91':  // FROZENSET
        return push_items(Kind::Set, pop_to_mark()), true;
      case 'd': {  // DICT
        std::vector<PickleValue> items = pop_to_mark();
        check_pairs(items);
        return push_items(Kind::Map, std::move(items)), true;
      }
      case '\x85':  // TUPLE1
      case '\x86':  // TUPLE2
      case '\x87':  // TUPLE3
        return push_items(Kind::Tuple, pop_last(static_cast<size_t>(static_cast<uint8_t>(code) - 0x84))),
               true;
      case 'a': {  // APPEND
        std::vector<PickleValue> item = pop_last(1);
        return append(top_items(Kind::List, "a list"), item), true;
      }
      case 'e': {  // APPENDS
        std::vector<PickleValue> items = pop_to_mark();
        return append(top_items(Kind::List, "a list"), items), true;
      }
      case '\x90': {  // ADDITEMS
        std::vector<PickleValue> items = pop_to_mark();
        return append(top_items(Kind::Set, "a set"), items), true;
      }
      case 's': {  // SETITEM
        std::vector<PickleValue> pair = pop_last(2);
        return append(top_items(Kind::Map, "a map"), pair), true;
      }
      case 'u': {  // SETITEMS
        std::vector<PickleValue> items = pop_to_mark();
        check_pairs(items);
        return append(top_items(Kind::Map, "a map"), items), true;
      }
      default:
        return false;
    }
  }

  void check_pairs(const std::vector<PickleValue>& items) const {
    if (items.size() % 2) fail("a map has a key without a value");
  }

  bool stack_or_memo(char code) {
    switch (code) {
      case '\x80': {  // PROTO
        uint64_t protocol = number(1);
        if (protocol > kNewestProtocol)
          fail(fmt::format("pickle protocol {}; known are 0 to {}", protocol, kNewestProtocol));
        return true;
      }
      case '\x95':  // FRAME: a hint for readers that read in pieces
        return number(8), true;
      case '(':  // MARK
        if (marks_.size() >= kDeepestMark) fail("nested too deep");
        return marks_.push_back(stack_.size()), true;
      case '0':  // POP: a value, or an open mark
        if (stack_.size() == floor() && !marks_.empty())
          marks_.pop_back();
        else
          pop();
        return true;
      case '1':  // POP_MARK
        return pop_to_mark(), true;
      case '2': {  // DUP
        PickleValue value = pop();
        stack_.push_back(value);
        return push(value), true;
      }
      case 'q':  // BINPUT
        return remember(number(1)), true;
      case 'r':  // LONG_BINPUT
        return remember(number(4)), true;
      case 'p':  // PUT
        return remember(memo_key(line())), true;
      case '\x94':  // MEMOIZE
        return remember(memo_.size()), true;
      case 'h':  // BINGET
        return recall(number(1)), true;
      case 'j':  // LONG_BINGET
        return recall(number(4)), true;
      case 'g':  // GET
        return recall(memo_key(line())), true;
      default:
        return false;
    }
  }

  uint64_t memo_key(std::string_view text) const {
    uint64_t key = 0;
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), key);
    if (failure != std::errc() || end != text.data() + text.size())
      fail("the number of a memo entry is not a number");
    return key;
  }
  void remember(uint64_t key) {
    // Every writer counts up from zero, one entry a value; a number far past that would only fill memory.
    if (key > memo_.size() + kDeepestMark)
      fail(fmt::format("memo entry {} follows entry {}", key, memo_.size()));
    PickleValue value = pop();
    stack_.push_back(value);
    if (key >= memo_.size()) memo_.resize(key + 1);
    memo_[key] = value;
  }
  void recall(uint64_t key) {
    if (key >= memo_.size() || !memo_[key]) fail(fmt::format("memo entry {} was never stored", key));
    push(*memo_[key]);
  }

  // What would import or call. Allowed names become values; the call of one stays a value too.
  bool request(char code) {
    switch (code) {
      case 'c': {  // GLOBAL
        std::string module(line());
        return push_name(module + "." + std::string(line())), true;
      }
      case '\x93': {  // STACK_GLOBAL
        std::vector<PickleValue> parts = pop_last(2);
        if (parts[0].kind != Kind::Text || parts[1].kind != Kind::Text)
          fail("a name to import is not a text");
        return push_name(pickle_.text(parts[0]) + "." + pickle_.text(parts[1])), true;
      }
      case 'Q':  // BINPERSID
        return push_items(Kind::Persistent, pop_last(1)), true;
      case 'R': {  // REDUCE
        std::vector<PickleValue> call = pop_last(2);
        if (call[0].kind != Kind::Name) refuse("a call of " + pickle_.describe(call[0]));
        if (call[1].kind != Kind::Tuple) fail("the arguments of a call are not a tuple");
        if (pickle_.text(call[0]) == "collections.OrderedDict" && pickle_.items(call[1]).empty())
          return push_items(Kind::Map, {}), true;
        return push_items(Kind::Call, std::move(call)), true;
      }
      case 'i': {  // INST
        std::string module(line());
        refuse(module + "." + std::string(line()));
      }
      case '\x81':  // NEWOBJ
      case '\x92':  // NEWOBJ_EX
      case 'o':     // OBJ
        refuse_object();
      default:
        return false;
    }
  }

  void push_name(std::string name) {
    if (std::find(allowed_.begin(), allowed_.end(), name) == allowed_.end()) refuse(name);
    push_text(Kind::Name, std::move(name));
  }

  [[noreturn]] void refuse_object() const {
    for (auto value = stack_.rbegin(); value != stack_.rend(); ++value) {
      if (value->kind == Kind::Name) refuse("an object of " + pickle_.text(*value));
    }
    refuse("an object");
  }
  [[noreturn]] void refuse_instruction(char code) const {
    static constexpr std::pair<char, const char*> kNamed[] = {
        {'b', "BUILD (the state of an object)"},
        {'P', "PERSID (an object outside of the pickle)"},
        {'\x82', "EXT1 (a registered object)"},
        {'\x83', "EXT2 (a registered object)"},
        {'\x84', "EXT4 (a registered object)"},
        {'\x96', "BYTEARRAY8 (a buffer)"},
        {'\x97', "NEXT_BUFFER (a buffer outside of the pickle)"},
        {'\x98', "READONLY_BUFFER (a buffer outside of the pickle)"},
        {'S', "STRING (a text of Python 2)"}};
    for (auto [known, name] : kNamed) {
      if (known == code) refuse(std::string("the instruction ") + name);
    }
    fail(fmt::format("0x{:02x} is no pickle instruction", static_cast<unsigned>(static_cast<uint8_t>(code))));
  }

  Pickle& pickle_;
  std::string_view bytes_;
  std::string where_;
  std::span<const std::string_view> allowed_;
  size_t at_ = 0, begin_ = 0;  // of the next byte; of the present instruction
  uint64_t pushed_ = 0;
  std::vector<PickleValue> stack_;
  std::vector<size_t> marks_;  // sizes of the stack
  std::vector<std::optional<PickleValue>> memo_;
};

Pickle::Pickle(std::string_view bytes, std::string where, std::span<const std::string_view> allowed) {
  root_ = PickleMachine(*this, bytes, std::move(where), allowed).run();
}

const std::string& Pickle::text(const PickleValue& value) const {
  static const std::string kNone;
  return has_text(value.kind) ? texts_[value.index] : kNone;
}

const std::vector<PickleValue>& Pickle::items(const PickleValue& value) const {
  static const std::vector<PickleValue> kNone;
  return value.kind < Kind::List || value.kind == Kind::Name ? kNone : items_[value.index];
}

const PickleValue* Pickle::find(const PickleValue& map, std::string_view key) const {
  if (map.kind != Kind::Map) return nullptr;
  const std::vector<PickleValue>& pairs = items(map);
  for (size_t i = pairs.size(); i >= 2; i -= 2) {
    if (pairs[i - 2].kind == Kind::Text && text(pairs[i - 2]) == key) return &pairs[i - 1];
  }
  return nullptr;
}

std::string Pickle::describe(const PickleValue& value) const {
  switch (value.kind) {
    case Kind::None:
      return "None";
    case Kind::Bool:
      return value.integer ? "True" : "False";
    case Kind::Integer:
      return fmt::format("the number {}", value.integer);
    case Kind::Real:
      return fmt::format("the number {}", value.real);
    case Kind::Text:
      return fmt::format("the text '{}'", printable(text(value), 40));
    case Kind::Bytes:
      return "bytes";
    case Kind::List:
      return fmt::format("a list of {}", items(value).size());
    case Kind::Tuple:
      return fmt::format("a tuple of {}", items(value).size());
    case Kind::Set:
      return fmt::format("a set of {}", items(value).size());
    case Kind::Map:
      return fmt::format("a map of {}", items(value).size() / 2);
    case Kind::Name:
      return fmt::format("'{}'", printable(text(value)));
    case Kind::Persistent:
      return "a reference outside of the pickle";
    case Kind::Call:
      return fmt::format("a call of {}", describe(items(value)[0]));
  }
  return "";
}

}  // namespace orrery::trace
