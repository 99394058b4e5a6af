#include "orrery/trace/readers/routing.h"

#include <algorithm>
#include <filesystem>

#include "orrery/base/storage.h"
#include "orrery/trace/readers/recording_profile.h"
#include "orrery/trace/readers/sglang_recording.h"
#include "orrery/trace/readers/token_collector.h"
#include "orrery/trace/readers/vllm_eplb_stats.h"

namespace orrery::trace {
namespace {

// The files of one recording, one a rank, lie in a folder.
std::vector<std::string> recordings_in(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".pt") paths.push_back(entry.path().string());
  }
  if (paths.empty())
    throw InputError(Place{folder},
                     "holds no .pt file; expected those of SGLang's expert-distribution recorder");
  std::sort(paths.begin(), paths.end());
  return paths;
}

void add_notes(RoutingProfile& profile) {
  for (std::string& note : profile_notes(profile)) profile.notes.push_back(std::move(note));
}

}  // namespace

RoutingProfile parse_routing(std::string text, const std::string& path, const RoutingOptions& options) {
  RoutingProfile profile;
  if (text.starts_with("\x93NUMPY")) {
    profile = read_routing_npy(text, path, options);
  } else if (text.starts_with("PK")) {
    profile =
        profile_of(read_sglang_recording(std::vector<RecordingFile>{{std::move(text), path}}), path, options);
  } else if (text.substr(0, text.find('\n')).find("\"eplb_load_stats\"") != std::string::npos) {
    profile = profile_of(parse_vllm_eplb_stats(text, path), path, options);
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
  add_notes(profile);
  return profile;
}

RoutingProfile read_routing(const std::string& path, const RoutingOptions& options) {
  if (std::filesystem::is_directory(path)) {
    RoutingProfile profile = profile_of(read_sglang_recording(recordings_in(path)), path, options);
    add_notes(profile);
    return profile;
  }
  return parse_routing(read_file(path), path, options);
}

}  // namespace orrery::trace
