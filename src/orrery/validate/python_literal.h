// Python's literals of lists, tuples, strings and whole numbers, as traces write them into CSV cells:
// "[['BMM', (32, 512, 64, 512)]]". Lists and tuples are one kind here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/error.h"

namespace orrery::validate {

struct PythonLiteral {
  enum class Kind : uint8_t { Sequence, Text, Integer } kind = Kind::Sequence;
  std::vector<PythonLiteral> items;
  std::string text;
  int64_t integer = 0;
};

// Throws InputError at `place`, for text that is none and for nesting deeper than 16.
PythonLiteral parse_python_literal(std::string_view text, const Place& place);

}  // namespace orrery::validate
