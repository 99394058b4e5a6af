// YAML and JSON as one tree in which every value knows where it stands, so that a reader's error can say
// file:line:column and show the line with a caret. Readers of configurations see only this; the parsing
// libraries stay behind it.
//
// Hostile input: nesting deeper than 200, more than 5 million values, YAML anchors and aliases, and duplicate
// keys are refused.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orrery/base/error.h"
#include "orrery/base/units.h"

namespace orrery {

class Node {
 public:
  enum class Kind { Null, Bool, Number, String, List, Map };

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::Null; }
  bool is_map() const { return kind_ == Kind::Map; }
  bool is_list() const { return kind_ == Kind::List; }
  bool is_string() const { return kind_ == Kind::String; }
  bool is_number() const { return kind_ == Kind::Number; }
  Place place() const;

  // Map access. find returns nullptr for an absent key and for an explicit null; at throws for both.
  const Node* find(std::string_view key) const;
  const Node& at(std::string_view key) const;
  const std::vector<std::pair<std::string, Node>>& entries() const;  // in file order
  // Throws for the first key that is not in `known`, with the nearest known one as a suggestion.
  void allow_only(std::initializer_list<std::string_view> known) const;

  const std::vector<Node>& items() const;  // List access

  // Scalars; each throws InputError at this place when the value has another kind or lies outside [low,
  // high].
  bool as_bool() const;
  double as_number(double low = -1e300, double high = 1e300) const;
  int64_t as_integer(int64_t low, int64_t high) const;
  const std::string& as_string() const;
  double as_quantity(Unit unit) const;  // "80 GB" → 8e10
  // The scalar as written ("1.50", "true"); empty for lists and maps.
  const std::string& text() const { return scalar_; }

  // Throws InputError at this value: "file:line:column: message" with the source line and a caret.
  [[noreturn]] void fail(const std::string& message) const;

 private:
  friend class TreeBuilder;
  struct Source {
    std::string file, text;
    int first_line = 1;  // of the file, where the text begins
  };
  std::shared_ptr<const Source> source_;
  int line_ = 0, column_ = 0;
  Kind kind_ = Kind::Null;
  std::string scalar_;
  std::vector<Node> items_;
  std::vector<std::pair<std::string, Node>> entries_;
};

Node parse_yaml(std::string text, std::string file);
// `first_line`: where the text begins in its file (a file of one JSON value a line is parsed line by line).
Node parse_json(std::string text, std::string file, int first_line = 1);
// Reads a file of at most 512 MiB; .json is JSON, everything else YAML.
Node read_document(const std::string& path);

}  // namespace orrery
