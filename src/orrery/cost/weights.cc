#include "orrery/cost/weights.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "orrery/base/document.h"
#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery::cost {
namespace {

constexpr int kVersion = 1;

class Scanner {
 public:
  Scanner(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  [[noreturn]] void fail(const std::string& message) const {
    auto line = 1 + std::count(text_.begin(),
                               text_.begin() + static_cast<ptrdiff_t>(std::min(at_, text_.size())), '\n');
    throw InputError(Place{file_, static_cast<int>(line), 0},
                     message + "; expected a weights file of this program");
  }
  char peek() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
    if (at_ >= text_.size()) fail("the file ends inside a value");
    return text_[at_];
  }
  void expect(char c) {
    if (peek() != c) fail(std::string("expected '") + c + "'");
    ++at_;
  }
  std::string_view string() {
    expect('"');
    size_t begin = at_;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    if (at_ >= text_.size()) fail("a string is never closed");
    return text_.substr(begin, at_++ - begin);
  }
  std::string_view value() {
    char first = peek();
    size_t begin = at_;
    if (first == '"') {
      string();
    } else if (first == '{' || first == '[') {
      int depth = 0;
      for (; at_ < text_.size(); ++at_) {
        char c = text_[at_];
        if (c == '"') {
          string();
          --at_;
        } else if (c == '{' || c == '[') {
          ++depth;
        } else if ((c == '}' || c == ']') && --depth == 0) {
          break;
        }
      }
      if (at_ >= text_.size()) fail("an object or a list is never closed");
      ++at_;
    } else {
      while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '}' && text_[at_] != ']') ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  void skip() { ++at_; }

 private:
  std::string_view text_;
  const std::string& file_;
  size_t at_ = 0;
};

Provenance read_provenance(std::string_view text, const std::string& file) {
  Provenance result;
  Node node = parse_json(std::string(text), file);
  auto strings = [&](std::string_view key, std::vector<std::string>& into) {
    if (const Node* list = node.find(key)) {
      for (const Node& item : list->items()) into.push_back(item.as_string());
    }
  };
  strings("gpus", result.gpus);
  strings("dtypes", result.dtypes);
  if (const Node* rows = node.find("rows")) result.rows = rows->as_integer(0, int64_t{1} << 40);
  if (const Node* seed = node.find("seed")) result.seed = seed->as_integer(0, INT64_MAX);
  if (const Node* command = node.find("command")) result.command = command->as_string();
  if (const Node* source = node.find("source")) result.source = source->as_string();
  return result;
}

}  // namespace

std::vector<std::pair<std::string, std::string_view>> json_members(std::string_view object,
                                                                   const std::string& file) {
  Scanner scan(object, file);
  std::vector<std::pair<std::string, std::string_view>> members;
  scan.expect('{');
  if (scan.peek() == '}') return members;
  while (true) {
    scan.peek();
    std::string key(scan.string());
    scan.expect(':');
    std::string_view value = scan.value();
    while (!value.empty() &&
           (value.back() == ' ' || value.back() == '\n' || value.back() == '\r' || value.back() == '\t')) {
      value.remove_suffix(1);
    }
    members.emplace_back(std::move(key), value);
    if (scan.peek() != ',') break;
    scan.skip();
  }
  scan.expect('}');
  return members;
}

std::shared_ptr<const Weights> Weights::parse(std::string text, std::string file) {
  auto weights = std::make_shared<Weights>();
  weights->text_ = std::move(text);
  weights->file_ = std::move(file);
  const std::string& name = weights->file_;
  bool format = false;
  for (const auto& [key, value] : json_members(weights->text_, name)) {
    if (key == "format") format = value == "\"orrery-weights\"";
    if (key == "version" && value != std::to_string(kVersion)) {
      throw InputError(Place{name, 0, 0}, "is of version " + printable(value, 20) +
                                              "; this program reads version " + std::to_string(kVersion) +
                                              ": fit it again with orrery fit latency");
    }
    if (key != "sections") continue;
    for (const auto& [law, body] : json_members(value, name)) {
      Section& section = weights->sections_[law];
      for (const auto& [part, content] : json_members(body, name)) {
        if (part == "provenance") section.provenance = read_provenance(content, name);
        if (part == "parameters") section.parameters = content;
        if (part == "file" && content.size() > 2) {
          std::string beside(content.substr(1, content.size() - 2));
          if (beside.find('/') != std::string::npos)
            throw InputError(Place{name, 0, 0}, "section '" + law + "' names a file outside its folder");
          section.beside = name.substr(0, name.find_last_of('/') + 1) + beside;
        }
      }
    }
  }
  if (!format)
    throw InputError(Place{name, 1, 1},
                     "has no \"format\": \"orrery-weights\"; expected a file from orrery fit latency");
  weights->fingerprint_ = hash_bytes(weights->text_);
  return weights;
}

std::shared_ptr<const Weights> Weights::read(const std::string& path) {
  return parse(read_file(path), path);
}

std::string Weights::shipped_path() {
  return data_folder() + "/weights/default.json";
}

std::shared_ptr<const Weights> Weights::shipped() {
  static const std::shared_ptr<const Weights> weights = read(shipped_path());
  return weights;
}

const Weights::Section& Weights::section(std::string_view law) const {
  auto found = sections_.find(law);
  if (found == sections_.end())
    throw InputError(Place{file_, 0, 0}, "has no section '" + std::string(law) + "'");
  return found->second;
}

std::string_view Weights::parameters(std::string_view law) const {
  const Section& found = section(law);
  if (found.beside.empty()) return found.parameters;
  std::call_once(found.loaded, [&] { found.content = read_file(found.beside); });
  return found.content;
}
const std::string& Weights::file_of(std::string_view law) const {
  const Section& found = section(law);
  return found.beside.empty() ? file_ : found.beside;
}
const Provenance& Weights::provenance(std::string_view law) const {
  return section(law).provenance;
}

std::vector<std::string> Weights::laws() const {
  std::vector<std::string> names;
  for (const auto& [law, section] : sections_) names.push_back(law);
  return names;
}

bool Weights::saw(const std::vector<std::string>& names) const {
  for (const auto& [law, section] : sections_) {
    for (const std::string& gpu : section.provenance.gpus) {
      for (const std::string& name : names) {
        if (lower_case(name) == lower_case(gpu)) return true;
      }
    }
  }
  return false;
}

std::string Weights::title() const {
  std::set<std::string> gpus;
  for (const auto& [law, section] : sections_)
    gpus.insert(section.provenance.gpus.begin(), section.provenance.gpus.end());
  std::string name = file_.substr(file_.find_last_of('/') + 1);
  if (gpus.empty()) return name;
  std::vector<std::string> list(gpus.begin(), gpus.end());
  return name + ", fitted on " + join(list, ", ");
}

double rounded(double x) {
  if (x == 0) return 0;
  const double scale = std::pow(10., 8 - std::floor(std::log10(std::abs(x))));
  return std::round(x * scale) / scale;
}

}  // namespace orrery::cost
