// rooms: keyindex
// A sequence of operations beside a std::map: any difference, and any damage that verify finds, is a fault.
#include <cstdint>
#include <string>

#include "orrery/keyindex/oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  orrery::keyindex::testing_support::Oracle oracle({.point_table = (data[0] & 1) != 0}, 1);
  size_t at = 1;
  std::string key;
  while (at + 3 <= size) {
    unsigned what = data[at] % 98;
    size_t keep = data[at + 1] % 64, fresh = data[at + 2] % 16;  // the last key's start, then new bytes
    at += 3;
    key.resize(std::min(key.size(), keep));
    if (what == 0) key.append(500, 'k');  // towards keys out of line
    fresh = std::min(fresh, size - at);
    key.append(reinterpret_cast<const char*>(data + at), fresh);
    at += fresh;
    // Neighbours, so that short inputs fill leaves.
    if (what < 45 && fresh > 0)
      for (int i = 0; i < 8; ++i) oracle.step(what, key + static_cast<char>(i * 31), at);
    oracle.step(what, key, at * 0x9e3779b97f4a7c15ull);
  }
  oracle.check_all();
  return 0;
}
