// Python's pickle format as plain values. Nothing is executed: a pickle is a program for a small stack
// machine, and this one only builds numbers, texts, lists, tuples and maps. What would import or call
// something is kept as the *name* of what it asks for together with its arguments, and only where the
// caller's list allows that name; every other name, and every instruction that makes objects, is refused by
// what it asked for. Format: CPython's Lib/pickletools.py, protocols 0 to 5.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::trace {

struct PickleValue {
  enum class Kind : uint8_t {
    None,
    Bool,
    Integer,
    Real,
    Text,
    Bytes,
    List,
    Tuple,
    Set,
    Map,         // items: key, value, key, value...; also an OrderedDict
    Name,        // "torch.IntStorage": something importable, by name
    Persistent,  // items: the one value that a persistent id names
    Call,        // items: what was called, its arguments (a tuple)
  };
  Kind kind = Kind::None;
  union {
    int64_t integer = 0;  // Bool, Integer
    double real;
    uint32_t index;  // of the text or the items
  };
};

// The value of a whole pickle and all that it is made of. A list may contain itself: walk with a limit.
class Pickle {
 public:
  using Kind = PickleValue::Kind;
  // `where` names the pickle in errors ("recording.pt: data.pkl"). `allowed`: names that may be asked for, as
  // "module.name"; they become values, nothing is looked up. Throws InputError for everything that is not a
  // pickle of plain values, also for one that builds more than 64 million of them.
  Pickle(std::string_view bytes, std::string where, std::span<const std::string_view> allowed);

  const PickleValue& root() const { return root_; }
  const std::string& text(const PickleValue& value) const;  // of Text, Bytes and Name
  const std::vector<PickleValue>& items(
      const PickleValue& value) const;  // of List, Tuple, Set, Map, Persistent, Call
  // The value of a map under a text; nullptr where it has none. The last of equal keys counts, as in Python.
  const PickleValue* find(const PickleValue& map, std::string_view key) const;
  // "a list", "the number 3": for errors.
  std::string describe(const PickleValue& value) const;

 private:
  friend class PickleMachine;
  PickleValue root_;
  std::deque<std::string> texts_;
  std::deque<std::vector<PickleValue>> items_;
};

}  // namespace orrery::trace
