// rooms: base
// Any bytes as JSON: a tree or an InputError, nothing else.
#include <string>

#include "document_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    orrery::fuzz::walk(
        orrery::parse_json(std::string(reinterpret_cast<const char*>(data), size), "fuzz.json"));
  } catch (const orrery::InputError&) {
  }
  return 0;
}
