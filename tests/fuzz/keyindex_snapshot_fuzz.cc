// rooms: keyindex base
// A snapshot file with bytes changed, cut or longer: refused with an InputError, or whole.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "orrery/base/error.h"
#include "orrery/keyindex/string_index.h"

namespace {

std::string folder() {
  static const std::string made = [] {
    std::string name =
        (std::filesystem::temp_directory_path() / ("orrery-fuzz-" + std::to_string(getpid()))).string();
    std::filesystem::create_directories(name);
    return name;
  }();
  return made;
}

const std::string& whole_snapshot() {
  static const std::string bytes = [] {
    orrery::keyindex::StringIndex index;
    for (uint64_t i = 0; i < 300; ++i) index.put("folder/key-" + std::to_string(i * 37), i);
    index.save(folder() + "/whole");
    std::ifstream in(folder() + "/whole", std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }();
  return bytes;
}

}  // namespace

// Input: as it is where it begins with a snapshot's magic; else edits of a whole snapshot, {u24 place, u8
// byte} each, after a first u16 that says how much is cut off.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (!bytes.starts_with("ORRKEYS\n")) {
    bytes = whole_snapshot();
    if (size >= 2) bytes.resize(bytes.size() - std::min<size_t>(bytes.size(), data[0] | data[1] << 8));
    for (size_t at = 2; at + 4 <= size && !bytes.empty(); at += 4)
      bytes[(data[at] | data[at + 1] << 8 | data[at + 2] << 16) % bytes.size()] =
          static_cast<char>(data[at + 3]);
  }
  std::string path = folder() + "/tried";
  std::ofstream(path, std::ios::binary) << bytes;
  try {
    orrery::keyindex::StringIndex index = orrery::keyindex::StringIndex::load(path);
    static_cast<void>(index.get("folder/key-37"));
    index.verify();
    if (index.size() != 300 && bytes.size() == whole_snapshot().size()) std::abort();
  } catch (const orrery::InputError&) {
  }
  return 0;
}
