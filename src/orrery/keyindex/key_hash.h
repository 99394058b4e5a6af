// The hash of a key: 64 well-mixed bits, the same on every machine (snapshots hold bits of it). Not
// cryptographic: an adversary can make keys collide, which costs time and never an answer.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace orrery::keyindex {

namespace hash_detail {
inline uint64_t little64(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, 8);
  return std::endian::native == std::endian::little ? word : __builtin_bswap64(word);
}
inline uint64_t little32(const char* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, 4);
  return std::endian::native == std::endian::little ? word : __builtin_bswap32(word);
}
// Both halves of the product, folded.
inline uint64_t fold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}
inline constexpr uint64_t kOdd1 = 0x9e3779b97f4a7c15ull, kOdd2 = 0xd6e8feb86659fd93ull,
                          kOdd3 = 0xa0761d6478bd642full;
}  // namespace hash_detail

namespace hash_detail {
// Of the last bytes, at most sixteen.
inline uint64_t finish(uint64_t state, const char* bytes, size_t size) {
  uint64_t a = 0, b = 0;
  if (size >= 8) {
    a = little64(bytes);
    b = little64(bytes + size - 8);
  } else if (size >= 4) {
    a = little32(bytes);
    b = little32(bytes + size - 4);
  } else if (size > 0) {
    a = static_cast<unsigned char>(bytes[0]) | uint64_t{static_cast<unsigned char>(bytes[size / 2])} << 8 |
        uint64_t{static_cast<unsigned char>(bytes[size - 1])} << 16;
  }
  return fold(a ^ state, b ^ kOdd2);
}
}  // namespace hash_detail

inline constexpr size_t kShortKey = 16;  // bytes
inline uint64_t hash_short_key(std::string_view key) {
  using namespace hash_detail;
  return finish(key.size() * kOdd3 + kOdd1, key.data(), key.size());
}
inline uint64_t hash_key(std::string_view key) {
  using namespace hash_detail;
  const char* bytes = key.data();
  size_t size = key.size();
  uint64_t state = size * kOdd3 + kOdd1;
  while (size > kShortKey) {
    state = fold(little64(bytes) ^ state, little64(bytes + 8) ^ kOdd2);
    bytes += 16;
    size -= 16;
  }
  return finish(state, bytes, size);
}

}  // namespace orrery::keyindex
