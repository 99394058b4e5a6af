// Errors that a user can act on. Input that is wrong gives one clear line with its place; nothing else is
// thrown for it.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace orrery {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Where something stands in a file: 1-based, 0 = unknown. Columns count bytes.
struct Place {
  std::string file;
  int line = 0, column = 0;
};

// Input from outside that is wrong: exit status 2. what() is
//   file:line:column: what is wrong; expected ...; what to do
// and, where the text is at hand, the line itself with a caret below it.
class InputError : public Error {
 public:
  explicit InputError(const std::string& message) : Error(message) {}
  // `first_line`: the line of the file that the text begins with.
  InputError(const Place& place, const std::string& message, std::string_view source_text = {},
             int first_line = 1);
  const Place& place() const { return place_; }

 private:
  Place place_;
};

// What was asked for does not exist (no feasible plan, a check that failed, an absent key): exit status 1.
class NotFound : public Error {
 public:
  using Error::Error;
};

// The user asked to stop: exit status 130. Thrown by long work when its RunContext says so and nothing better
// can be returned.
class Interrupted : public Error {
 public:
  Interrupted() : Error("interrupted") {}
};

}  // namespace orrery
