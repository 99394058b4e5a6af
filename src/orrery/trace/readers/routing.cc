#include "orrery/trace/readers/routing.h"

#include "orrery/base/storage.h"
#include "orrery/trace/readers/token_collector.h"

namespace orrery::trace {

RoutingProfile parse_routing(std::string text, const std::string& path, const RoutingOptions& options) {
  RoutingProfile profile;
  if (text.starts_with("\x93NUMPY")) {
    profile = read_routing_npy(text, path, options);
  } else if (const size_t first = text.find_first_not_of(" \t\r\n");
             first != std::string::npos && text[first] == '{') {
    const size_t line = text.find('\n', first);
    const bool lines = line != std::string::npos && text.find('{', line) != std::string::npos &&
                       text.substr(first, line - first).find('}') != std::string::npos;
    profile = lines || path.find(".jsonl") != std::string::npos
                  ? read_routing_jsonl(text, path, options)
                  : read_routing_json(std::move(text), path, options);
  } else {
    profile = read_routing_tsv(text, path, options);
  }
  for (std::string& note : profile_notes(profile)) profile.notes.push_back(std::move(note));
  return profile;
}

RoutingProfile read_routing(const std::string& path, const RoutingOptions& options) {
  return parse_routing(read_file(path), path, options);
}

}  // namespace orrery::trace
