#include "orrery/base/document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unordered_set>

#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery {
namespace {

constexpr size_t kDeepest = 200;
constexpr size_t kMostValues = 5'000'000;
constexpr size_t kFewKeys = 16;  // up to here a map's keys are compared one by one

// True for a decimal number; one too large or too small for a double counts, as infinity or zero.
bool parse_number(std::string_view text, double& value) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure == std::errc::invalid_argument || end != text.data() + text.size()) return false;
  if (failure == std::errc::result_out_of_range) {
    value = std::strtod(std::string(text).c_str(), nullptr);
    return true;
  }
  return std::isfinite(value);  // from_chars reads "inf" and "nan", which are words here
}

const char* kind_name(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::Null:
      return "nothing";
    case Node::Kind::Bool:
      return "true or false";
    case Node::Kind::Number:
      return "a number";
    case Node::Kind::String:
      return "a text";
    case Node::Kind::List:
      return "a list";
    case Node::Kind::Map:
      return "a map";
  }
  return "";
}

}  // namespace

// Builds the tree from a stream of events; both parsers feed it.
class TreeBuilder {
 public:
  TreeBuilder(std::string text, std::string file, int first_line = 1)
      : source_(std::make_shared<Node::Source>(Node::Source{std::move(file), std::move(text), first_line})) {}

  const std::string& text() const { return source_->text; }
  Node take_root() {
    if (!have_root_) fail(source_->first_line, 1, "the file holds no value");
    return std::move(root_);
  }

  [[noreturn]] void fail(int line, int column, const std::string& message) const {
    throw InputError(Place{source_->file, line, column}, message, source_->text, source_->first_line);
  }

  void scalar(int line, int column, Node::Kind kind, std::string value) {
    if (expects_key()) {
      if (kind == Node::Kind::Null && value.empty()) fail(line, column, "a key is missing before ':'");
      if (stands_twice(value))
        fail(line, column, fmt::format("key '{}' stands twice in this map", printable(value)));
      open_.back().entries_.emplace_back(std::move(value), Node());
      key_open_ = true;
      return;
    }
    Node node = make(line, column, kind);
    node.scalar_ = std::move(value);
    attach(std::move(node));
  }

  void begin(int line, int column, Node::Kind kind) {
    if (expects_key()) fail(line, column, "a list or map cannot be a key");
    if (open_.size() >= kDeepest) fail(line, column, fmt::format("nested deeper than {} levels", kDeepest));
    open_.push_back(make(line, column, kind));
    key_stack_.push_back(key_open_);
    key_hashes_.emplace_back();
    key_open_ = false;
  }

  void end() {
    Node node = std::move(open_.back());
    open_.pop_back();
    key_open_ = key_stack_.back();
    key_stack_.pop_back();
    key_hashes_.pop_back();
    attach(std::move(node));
  }

 private:
  bool expects_key() const { return !open_.empty() && open_.back().is_map() && !key_open_; }

  // An index of a safetensors file has a hundred thousand keys: past a few their hashes go into a set.
  bool stands_twice(const std::string& key) {
    const auto& entries = open_.back().entries_;
    auto is_there = [&] {
      return std::any_of(entries.begin(), entries.end(),
                         [&](const auto& entry) { return entry.first == key; });
    };
    if (entries.size() < kFewKeys) return is_there();
    std::unordered_set<uint64_t>& hashes = key_hashes_.back();
    if (hashes.empty()) {
      for (const auto& entry : entries) hashes.insert(hash_bytes(entry.first));
    }
    return !hashes.insert(hash_bytes(key)).second && is_there();
  }

  Node make(int line, int column, Node::Kind kind) {
    if (++values_ > kMostValues)
      fail(line, column, fmt::format("more than {} values in one file", kMostValues));
    Node node;
    node.source_ = source_;
    node.line_ = line;
    node.column_ = column;
    node.kind_ = kind;
    return node;
  }

  void attach(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      have_root_ = true;
    } else if (open_.back().is_map()) {
      open_.back().entries_.back().second = std::move(node);
      key_open_ = false;
    } else {
      open_.back().items_.push_back(std::move(node));
    }
  }

  std::shared_ptr<const Node::Source> source_;
  std::vector<Node> open_;
  std::vector<bool> key_stack_;
  std::vector<std::unordered_set<uint64_t>> key_hashes_;  // of each open map, once it has many keys
  bool key_open_ = false, have_root_ = false;
  size_t values_ = 0;
  Node root_;
};

namespace {

// YAML 1.2 core schema for plain scalars.
Node::Kind plain_kind(const std::string& value) {
  if (value.empty() || value == "~" || value == "null" || value == "Null" || value == "NULL")
    return Node::Kind::Null;
  if (value == "true" || value == "True" || value == "false" || value == "False") return Node::Kind::Bool;
  double number;
  return parse_number(value, number) ? Node::Kind::Number : Node::Kind::String;
}

class YamlEvents : public YAML::EventHandler {
 public:
  explicit YamlEvents(TreeBuilder& tree) : tree_(tree) {}
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1)
      tree_.fail(line(mark), column(mark), "a second document begins here; expected one in a file");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    tree_.scalar(line(mark), column(mark), Node::Kind::Null, "");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    tree_.fail(line(mark), column(mark), "aliases (*name) are not supported; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    tree_.scalar(line(mark), column(mark), tag == "!" ? Node::Kind::String : plain_kind(value), value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    tree_.begin(line(mark), column(mark), Node::Kind::List);
  }
  void OnSequenceEnd() override { tree_.end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    tree_.begin(line(mark), column(mark), Node::Kind::Map);
  }
  void OnMapEnd() override { tree_.end(); }

 private:
  static int line(const YAML::Mark& mark) { return mark.line + 1; }
  static int column(const YAML::Mark& mark) { return mark.column + 1; }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor)
      tree_.fail(line(mark), column(mark), "anchors (&name) are not supported; write the value out");
  }
  TreeBuilder& tree_;
  int documents_ = 0;
};

// nlohmann's SAX events do not say where they stand; the iterator that feeds the lexer does. A token begins
// at the first byte after the previous one that is neither blank, comma nor colon.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  const char* at = nullptr;
  size_t* consumed = nullptr;
  const char* begin = nullptr;
  reference operator*() const { return *at; }
  CountingIterator& operator++() {
    ++at;
    if (consumed) *consumed = static_cast<size_t>(at - begin);
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at == other.at; }
  bool operator!=(const CountingIterator& other) const { return at != other.at; }
};

class JsonEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonEvents(TreeBuilder& tree, const size_t& consumed, int first_line)
      : tree_(tree), consumed_(consumed), line_(first_line) {}
  bool null() override { return scalar(Node::Kind::Null, "null"); }
  bool boolean(bool value) override { return scalar(Node::Kind::Bool, value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return number(std::to_string(value)); }
  bool number_unsigned(number_unsigned_t value) override { return number(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { return number(text); }
  bool string(string_t& value) override { return scalar(Node::Kind::String, std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return begin(Node::Kind::Map); }
  bool key(string_t& value) override { return scalar(Node::Kind::String, std::move(value)); }
  bool end_object() override { return end(); }
  bool start_array(size_t) override { return begin(Node::Kind::List); }
  bool end_array() override { return end(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& failure) override {
    seek(position > 0 ? position - 1 : 0);
    std::string reason = failure.what();
    if (size_t at = reason.find("syntax error"); at != std::string::npos)
      reason = reason.substr(at);
    else if (size_t bracket = reason.find("] "); bracket != std::string::npos)
      reason = reason.substr(bracket + 2);
    tree_.fail(line_, column_, "not valid JSON: " + printable(reason));
  }

 private:
  bool scalar(Node::Kind kind, std::string value) {
    locate();
    tree_.scalar(line_, column_, kind, std::move(value));
    previous_end_ = consumed_;
    return true;
  }
  bool number(std::string text) {
    scalar(Node::Kind::Number, std::move(text));
    if (previous_end_ > 0) --previous_end_;  // the lexer has looked one byte past a number
    return true;
  }
  bool begin(Node::Kind kind) {
    locate();
    tree_.begin(line_, column_, kind);
    previous_end_ = consumed_;
    return true;
  }
  bool end() {
    tree_.end();
    previous_end_ = consumed_;
    return true;
  }
  void locate() {
    const std::string& text = tree_.text();
    size_t start = previous_end_;
    while (start < text.size() &&
           std::string_view(" \t\r\n,:]}\xEF\xBB\xBF").find(text[start]) != std::string_view::npos)
      ++start;
    seek(start);
  }
  void seek(size_t position) {  // only forward, so that a whole file costs one pass
    const std::string& text = tree_.text();
    for (; scanned_ < position && scanned_ < text.size(); ++scanned_) {
      if (text[scanned_] == '\n') {
        ++line_;
        line_begin_ = scanned_ + 1;
      }
    }
    column_ = static_cast<int>(scanned_ - line_begin_) + 1;
  }

  TreeBuilder& tree_;
  const size_t& consumed_;
  size_t previous_end_ = 0, scanned_ = 0, line_begin_ = 0;
  int line_, column_ = 1;
};

}  // namespace

Place Node::place() const {
  return Place{source_ ? source_->file : "", line_, column_};
}

void Node::fail(const std::string& message) const {
  if (!source_) throw InputError(place(), message);
  throw InputError(place(), message, source_->text, source_->first_line);
}

const Node* Node::find(std::string_view key) const {
  if (!is_map()) fail(fmt::format("expected a map with '{}', found {}", key, kind_name(kind_)));
  for (const auto& [name, value] : entries_) {
    if (name == key) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

const Node& Node::at(std::string_view key) const {
  const Node* found = find(key);
  if (!found) fail(fmt::format("field '{}' is missing; add it to this map", key));
  return *found;
}

const std::vector<std::pair<std::string, Node>>& Node::entries() const {
  if (!is_map()) fail(fmt::format("expected a map, found {}", kind_name(kind_)));
  return entries_;
}

void Node::allow_only(std::initializer_list<std::string_view> known) const {
  std::vector<std::string_view> names(known);
  for (const auto& [name, value] : entries()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    value.fail(fmt::format("unknown field '{}'{}", printable(name), did_you_mean(name, names)));
  }
}

const std::vector<Node>& Node::items() const {
  if (!is_list()) fail(fmt::format("expected a list, found {}", kind_name(kind_)));
  return items_;
}

bool Node::as_bool() const {
  if (kind_ != Kind::Bool) fail(fmt::format("expected true or false, found {}", kind_name(kind_)));
  return scalar_.front() == 't' || scalar_.front() == 'T';
}

double Node::as_number(double low, double high) const {
  double value = 0;
  if (kind_ != Kind::Number || !parse_number(scalar_, value))
    fail(fmt::format("expected a number, found {}", kind_name(kind_)));
  if (!(value >= low && value <= high))
    fail(fmt::format("{} is out of range; expected {:g} to {:g}", printable(scalar_, 40), low, high));
  return value;
}

int64_t Node::as_integer(int64_t low, int64_t high) const {
  double value = as_number();
  if (value != std::floor(value))
    fail(fmt::format("expected a whole number, found {}", printable(scalar_, 40)));
  if (value < static_cast<double>(low) || value > static_cast<double>(high)) {
    fail(fmt::format("{} is out of range; expected {} to {}", printable(scalar_, 40), low, high));
  }
  constexpr double kTwoTo63 = 9223372036854775808.0;  // the first double past int64
  return value >= kTwoTo63 ? INT64_MAX : static_cast<int64_t>(value);
}

const std::string& Node::as_string() const {
  if (kind_ != Kind::String) fail(fmt::format("expected a text, found {}", kind_name(kind_)));
  return scalar_;
}

double Node::as_quantity(Unit unit) const {
  if (kind_ != Kind::String && kind_ != Kind::Number)
    fail(fmt::format("expected a quantity, found {}", kind_name(kind_)));
  try {
    return parse_quantity(scalar_, unit);
  } catch (const UnitError& wrong) {
    fail(wrong.what());
  }
}

Node parse_yaml(std::string text, std::string file) {
  TreeBuilder tree(std::move(text), std::move(file));
  std::istringstream stream(tree.text());
  YamlEvents events(tree);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(events)) {
    }
  } catch (const YAML::Exception& wrong) {
    tree.fail(wrong.mark.line + 1, wrong.mark.column + 1, "not valid YAML: " + printable(wrong.msg));
  }
  return tree.take_root();
}

Node parse_json(std::string text, std::string file, int first_line) {
  TreeBuilder tree(std::move(text), std::move(file), first_line);
  const char* begin = tree.text().data();
  const char* end = begin + tree.text().size();
  size_t consumed = 0;
  JsonEvents events(tree, consumed, first_line);
  nlohmann::json::sax_parse(CountingIterator{begin, &consumed, begin}, CountingIterator{end, nullptr, begin},
                            &events);
  return tree.take_root();
}

Node read_document(const std::string& path) {
  std::string text = read_file(path, uint64_t{512} << 20);
  return path.ends_with(".json") ? parse_json(std::move(text), path) : parse_yaml(std::move(text), path);
}

}  // namespace orrery
