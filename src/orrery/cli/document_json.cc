#include "orrery/cli/document_json.h"

#include <nlohmann/json.hpp>

#include "orrery/base/document.h"

namespace orrery::cli {
namespace {

nlohmann::ordered_json as_json(const Node& node) {
  switch (node.kind()) {
    case Node::Kind::Null:
      return nullptr;
    case Node::Kind::Bool:
      return node.as_bool();
    case Node::Kind::Number:
      return node.as_number();
    case Node::Kind::String:
      return node.as_string();
    case Node::Kind::List: {
      auto list = nlohmann::ordered_json::array();
      for (const Node& item : node.items()) list.push_back(as_json(item));
      return list;
    }
    case Node::Kind::Map: {
      auto map = nlohmann::ordered_json::object();
      for (const auto& [key, value] : node.entries()) map[key] = as_json(value);
      return map;
    }
  }
  return nullptr;
}

}  // namespace

std::string document_as_json(const std::string& path) {
  return as_json(read_document(path)).dump(2);
}

}  // namespace orrery::cli
