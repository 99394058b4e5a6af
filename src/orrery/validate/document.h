// The page of a validation: text written by hand around tables that its command makes, which stand between
// the lines "<!-- orrery COMMAND -->" and "<!-- end -->".
#pragma once

#include <string>
#include <string_view>

namespace orrery::validate {

class Document {
 public:
  // `command`: as typed, "validate wham". An empty `file` is no page: nothing is read and nothing is written.
  // Throws InputError where the file cannot be read or lacks the markers, before minutes of work.
  Document(std::string file, std::string_view command);

  // Puts `tables` between the markers. What stands around them is read again: it may have been edited while
  // the command ran.
  void write(const std::string& tables) const;

  // `text` with `tables` between the markers; throws InputError when they are not there.
  std::string refreshed(const std::string& text, const std::string& tables) const;

 private:
  std::string file_, begin_;
};

}  // namespace orrery::validate
