// The innermost loops twice: for any processor, and for those with AVX-512 and BMI2, where one masked load
// stands in for a loop over the bytes of a key. What an operation enters (a get, a batch, a descent) is
// compiled both ways from one template, with all that it calls inlined, and an index chooses once.
//
// Functions for kWide = true may only be called from functions marked ORRERY_WIDE.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "orrery/keyindex/racy.h"

#if defined(__x86_64__) && !ORRERY_RACY_ATOMIC
#define ORRERY_HAS_WIDE 1
#define ORRERY_WIDE_CODE __attribute__((target("avx512f,avx512bw,avx512vl,avx2,bmi,bmi2,lzcnt,popcnt")))
#define ORRERY_WIDE \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx2,bmi,bmi2,lzcnt,popcnt"), flatten, noinline))
#include <immintrin.h>
#else
#define ORRERY_HAS_WIDE 0
#define ORRERY_WIDE_CODE
#define ORRERY_WIDE
#endif

namespace orrery::keyindex {

inline bool has_wide() {
#if ORRERY_HAS_WIDE
  static const bool has = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("bmi2");
  return has;
#else
  return false;
#endif
}

inline uint64_t big_endian(uint64_t word) {
  return std::endian::native == std::endian::little ? __builtin_bswap64(word) : word;
}

#if ORRERY_HAS_WIDE
// g++ 12's own intrinsics use undefined registers on purpose and then warn about them (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
// Of at most 16 bytes: without larger registers, which would cost the caller a frame.
ORRERY_WIDE_CODE inline bool same_short_bytes_wide(const char* a, const char* b, size_t size) {
  auto there = static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<unsigned>(size)));
  return _mm_mask_cmpneq_epi8_mask(there, _mm_maskz_loadu_epi8(there, a), _mm_maskz_loadu_epi8(there, b)) ==
         0;
}
// Of any number, the branch on which goes one way up to 64: a size that comes from memory is foreseen then.
ORRERY_WIDE_CODE inline bool same_long_bytes_wide(const char* a, const char* b, size_t size) {
  for (; size > 64; a += 64, b += 64, size -= 64)
    if (_mm512_cmpneq_epi8_mask(_mm512_loadu_si512(a), _mm512_loadu_si512(b))) return false;
  __mmask64 there = _bzhi_u64(~uint64_t{0}, static_cast<unsigned>(size));
  return _mm512_mask_cmpneq_epi8_mask(there, _mm512_maskz_loadu_epi8(there, a),
                                      _mm512_maskz_loadu_epi8(there, b)) == 0;
}
ORRERY_WIDE_CODE inline bool same_bytes_wide(const char* a, const char* b, size_t size) {
  return size <= 16 ? same_short_bytes_wide(a, b, size) : same_long_bytes_wide(a, b, size);
}
ORRERY_WIDE_CODE inline uint64_t span_at_wide(std::string_view key, size_t position) {
  size_t left = position < key.size() ? key.size() - position : 0;
  auto there = static_cast<__mmask16>(_bzhi_u32(0xff, static_cast<unsigned>(left < 8 ? left : 8)));
  __m128i bytes = _mm_maskz_loadu_epi8(there, key.data() + position);
  return __builtin_bswap64(static_cast<uint64_t>(_mm_cvtsi128_si64(bytes)));
}
ORRERY_WIDE_CODE inline size_t count_below_wide(const uint64_t* ascending, size_t count, uint64_t word) {
  const __m512i mine = _mm512_set1_epi64(static_cast<long long>(word));
  size_t below = 0, at = 0;
  for (; at + 8 <= count; at += 8)
    below += static_cast<size_t>(
        _mm_popcnt_u32(_mm512_cmplt_epu64_mask(_mm512_loadu_si512(ascending + at), mine)));
  auto there = static_cast<__mmask8>(_bzhi_u32(0xff, static_cast<unsigned>(count - at)));
  return below + static_cast<size_t>(_mm_popcnt_u32(_mm512_mask_cmplt_epu64_mask(
                     there, _mm512_maskz_loadu_epi64(there, ascending + at), mine)));
}
ORRERY_WIDE_CODE inline uint64_t equal_among_64_wide(const uint8_t* bytes, uint8_t wanted) {
  return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(bytes), _mm512_set1_epi8(static_cast<char>(wanted)));
}
// How many of at most 64 ascending words are below one, and equal to it.
ORRERY_WIDE_CODE inline std::pair<size_t, size_t> below_and_equal_wide(const void* words, size_t count,
                                                                       uint32_t word) {
  const __m512i mine = _mm512_set1_epi32(static_cast<int>(word));
  unsigned below = 0, equal = 0;
  for (size_t at = 0; at < count; at += 16) {
    auto there = static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<unsigned>(count - at)));
    __m512i have = _mm512_maskz_loadu_epi32(there, static_cast<const uint32_t*>(words) + at);
    below += static_cast<unsigned>(_mm_popcnt_u32(_mm512_mask_cmplt_epu32_mask(there, have, mine)));
    equal += static_cast<unsigned>(_mm_popcnt_u32(_mm512_mask_cmpeq_epu32_mask(there, have, mine)));
  }
  return {below, equal};
}
#pragma GCC diagnostic pop
#endif

template <bool kWide>
inline bool same_bytes(const char* a, const char* b, size_t size) {
#if ORRERY_HAS_WIDE
  if constexpr (kWide) return same_bytes_wide(a, b, size);
#endif
  while (size >= 8) {
    uint64_t x, y;
    std::memcpy(&x, a, 8);
    std::memcpy(&y, b, 8);
    if (x != y) return false;
    a += 8;
    b += 8;
    size -= 8;
  }
  if (size >= 4) {
    uint32_t x, y, u, v;
    std::memcpy(&x, a, 4);
    std::memcpy(&y, b, 4);
    std::memcpy(&u, a + size - 4, 4);
    std::memcpy(&v, b + size - 4, 4);
    return x == y && u == v;
  }
  for (size_t i = 0; i < size; ++i)
    if (a[i] != b[i]) return false;
  return true;
}

// The same where it is known to be at most 16, or to be any number but mostly at most 64.
template <bool kWide>
inline bool same_short_bytes(const char* a, const char* b, size_t size) {
#if ORRERY_HAS_WIDE
  if constexpr (kWide) return same_short_bytes_wide(a, b, size);
#endif
  return same_bytes<false>(a, b, size);
}
template <bool kWide>
inline bool same_long_bytes(const char* a, const char* b, size_t size) {
#if ORRERY_HAS_WIDE
  if constexpr (kWide) return same_long_bytes_wide(a, b, size);
#endif
  return same_bytes<false>(a, b, size);
}

// Eight bytes of a key from `position` on, the first one highest; zeros behind its end.
template <bool kWide>
inline uint64_t span_at(std::string_view key, size_t position) {
#if ORRERY_HAS_WIDE
  if constexpr (kWide) return span_at_wide(key, position);
#endif
  uint64_t span = 0;
  if (position + 8 <= key.size()) {
    std::memcpy(&span, key.data() + position, 8);
    return big_endian(span);
  }
  if (position >= key.size()) return 0;
  size_t left = key.size() - position;
  if (key.size() >= 8) {  // the last eight bytes of the key, those before `position` shifted out
    std::memcpy(&span, key.data() + key.size() - 8, 8);
    return big_endian(span) << (8 * (8 - left));
  }
  for (size_t i = 0; i < left; ++i)
    span |= uint64_t{static_cast<unsigned char>(key[position + i])} << (56 - 8 * i);
  return span;
}

// How many of some ascending words are below `word`.
template <bool kWide>
inline size_t count_below(const uint64_t* ascending, size_t count, uint64_t word) {
#if ORRERY_HAS_WIDE
  if constexpr (kWide) return count_below_wide(ascending, count, word);
#endif
  const uint64_t* low = ascending;
  while (count > 4) {  // branch-free halves
    size_t half = count / 2;
    low += low[half - 1] < word ? half : 0;
    count -= half;
  }
  auto below = static_cast<size_t>(low - ascending);
  for (size_t i = 0; i < count; ++i) below += low[i] < word;
  return below;
}

}  // namespace orrery::keyindex
