#include "orrery/keyindex/training/simd.h"

#include <algorithm>

#if defined(__x86_64__)
// g++ 12's own intrinsics use undefined registers on purpose and then warn about them (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif

namespace orrery::keyindex {
namespace {

size_t bytes_from(std::string_view key, size_t first, size_t most) {
  return key.size() > first ? std::min(most, key.size() - first) : 0;
}

unsigned char byte_at(std::string_view key, size_t position) {
  return position < key.size() ? static_cast<unsigned char>(key[position]) : 0;
}

const unsigned char* unsigned_bytes(std::string_view key, size_t first) {
  return reinterpret_cast<const unsigned char*>(key.data()) + first;
}

}  // namespace

void gather_bytes_plainly(const unsigned char* window, size_t have, const WindowBytes& bytes, int32_t* out) {
  for (size_t j = 0; j < bytes.features; ++j) {
    const size_t offset = bytes.offsets[j];
    out[j] = (offset < have ? window[offset] : 0) - bytes.centres[j];
  }
}

void add_gathered_bytes_plainly(std::span<const std::string_view> keys, size_t first,
                                const WindowBytes& bytes, int32_t* sums) {
  for (std::string_view key : keys)
    for (size_t j = 0; j < bytes.features; ++j)
      sums[j] += byte_at(key, first + bytes.offsets[j]) - bytes.centres[j];
}

double gathered_dot_plainly(const unsigned char* window, size_t have, const WindowBytes& bytes,
                            const double* weights) {
  double sums[8] = {};
  for (size_t j = 0; j < bytes.features; ++j) {
    const size_t offset = bytes.offsets[j];
    sums[j % 8] += ((offset < have ? window[offset] : 0) - bytes.centres[j]) * weights[j];
  }
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

uint64_t differing_bytes_plainly(std::string_view a, std::string_view b, size_t from) {
  uint64_t differs = 0;
  for (size_t k = 0; k < 64; ++k)
    if (byte_at(a, from + k) != byte_at(b, from + k)) differs |= uint64_t{1} << k;
  return differs;
}

#if defined(__x86_64__)
namespace {

#define ORRERY_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi")))

ORRERY_AVX512 inline __mmask64 first_bytes(size_t count) {
  return count >= 64 ? ~__mmask64{0} : (__mmask64{1} << count) - 1;
}

// The chosen bytes, as they are, in 16-bit lanes.
ORRERY_AVX512 inline __m512i chosen_bytes(const unsigned char* window, size_t have, __m512i places,
                                          bool wide) {
  const __m512i low = _mm512_maskz_loadu_epi8(first_bytes(have), window);
  if (!wide || have <= 64)
    return _mm512_cvtepu8_epi16(
        _mm512_castsi512_si256(wide ? _mm512_permutex2var_epi8(low, places, _mm512_setzero_si512())
                                    : _mm512_permutexvar_epi8(places, low)));
  const __m512i high = _mm512_maskz_loadu_epi8(first_bytes(have - 64), window + 64);
  return _mm512_cvtepu8_epi16(_mm512_castsi512_si256(_mm512_permutex2var_epi8(low, places, high)));
}

ORRERY_AVX512 inline __m512i places_of(const WindowBytes& bytes) {
  return _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes.offsets)));
}
ORRERY_AVX512 inline __mmask32 lanes_of(const WindowBytes& bytes) {
  return bytes.features >= 32 ? ~__mmask32{0} : (__mmask32{1} << bytes.features) - 1;
}
bool is_wide(const WindowBytes& bytes) {
  return bytes.features > 0 && bytes.offsets[bytes.features - 1] >= 64;
}

ORRERY_AVX512 void gather_bytes_avx512(const unsigned char* window, size_t have, const WindowBytes& bytes,
                                       int32_t* out) {
  const __m512i chosen = chosen_bytes(window, have, places_of(bytes), is_wide(bytes));
  const __mmask32 wanted = lanes_of(bytes);
  const __m512i difference = _mm512_sub_epi16(chosen, _mm512_maskz_loadu_epi16(wanted, bytes.centres));
  const __m512i low = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(difference));
  const __m512i high = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(difference, 1));
  _mm512_mask_storeu_epi32(out, static_cast<__mmask16>(wanted), low);
  _mm512_mask_storeu_epi32(out + 16, static_cast<__mmask16>(wanted >> 16), high);
}

ORRERY_AVX512 void add_gathered_bytes_avx512(std::span<const std::string_view> keys, size_t first,
                                             const WindowBytes& bytes, int32_t* sums) {
  constexpr size_t kMostInLane = 256;  // bytes that 16 bits can sum
  const __m512i places = places_of(bytes);
  const __mmask32 wanted = lanes_of(bytes);
  const bool wide = is_wide(bytes);
  const auto low_lanes = static_cast<__mmask16>(wanted), high_lanes = static_cast<__mmask16>(wanted >> 16);
  const __m512i centres = _mm512_maskz_loadu_epi16(wanted, bytes.centres);
  const __m512i low_centre = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(centres));
  const __m512i high_centre = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(centres, 1));
  __m512i low = _mm512_maskz_loadu_epi32(low_lanes, sums);
  __m512i high = _mm512_maskz_loadu_epi32(high_lanes, sums + 16);
  for (size_t begin = 0; begin < keys.size(); begin += kMostInLane) {
    const size_t end = std::min(keys.size(), begin + kMostInLane);
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = begin; i < end; ++i)
      if (const size_t have = bytes_from(keys[i], first, kWindow))
        sum = _mm512_add_epi16(sum, chosen_bytes(unsigned_bytes(keys[i], first), have, places, wide));
    const __m512i count = _mm512_set1_epi32(static_cast<int>(end - begin));
    low = _mm512_add_epi32(low, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(sum)));
    high = _mm512_add_epi32(high, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(sum, 1)));
    low = _mm512_sub_epi32(low, _mm512_mullo_epi32(count, low_centre));
    high = _mm512_sub_epi32(high, _mm512_mullo_epi32(count, high_centre));
  }
  _mm512_mask_storeu_epi32(sums, low_lanes, low);
  _mm512_mask_storeu_epi32(sums + 16, high_lanes, high);
}

ORRERY_AVX512 double gathered_dot_avx512(const unsigned char* window, size_t have, const WindowBytes& bytes,
                                         const double* weights) {
  const __m512i chosen = chosen_bytes(window, have, places_of(bytes), is_wide(bytes));
  const __m512i row = _mm512_sub_epi16(chosen, _mm512_maskz_loadu_epi16(lanes_of(bytes), bytes.centres));
  const __m512i low = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(row));
  const __m512i high = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(row, 1));
  // Lanes past `features` hold whatever byte their place names, times a weight of zero.
  __m512d sum = _mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(low)), _mm512_loadu_pd(weights));
  sum = _mm512_fmadd_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(low, 1)), _mm512_loadu_pd(weights + 8),
                        sum);
  sum = _mm512_fmadd_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(high)), _mm512_loadu_pd(weights + 16), sum);
  sum = _mm512_fmadd_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(high, 1)), _mm512_loadu_pd(weights + 24),
                        sum);
  return _mm512_reduce_add_pd(sum);
}

ORRERY_AVX512 uint64_t differing_bytes_avx512(std::string_view a, std::string_view b, size_t from) {
  const size_t have_a = bytes_from(a, from, 64), have_b = bytes_from(b, from, 64);
  const __m512i zero = _mm512_setzero_si512();
  const __m512i x = have_a ? _mm512_maskz_loadu_epi8(first_bytes(have_a), unsigned_bytes(a, from)) : zero;
  const __m512i y = have_b ? _mm512_maskz_loadu_epi8(first_bytes(have_b), unsigned_bytes(b, from)) : zero;
  return _mm512_cmpneq_epi8_mask(x, y);
}

bool has_avx512() {
  static const bool has = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512vbmi");
  return has;
}

}  // namespace

void gather_bytes(const unsigned char* window, size_t have, const WindowBytes& bytes, int32_t* out) {
  (has_avx512() ? gather_bytes_avx512 : gather_bytes_plainly)(window, have, bytes, out);
}
void add_gathered_bytes(std::span<const std::string_view> keys, size_t first, const WindowBytes& bytes,
                        int32_t* sums) {
  (has_avx512() ? add_gathered_bytes_avx512 : add_gathered_bytes_plainly)(keys, first, bytes, sums);
}
double gathered_dot(const unsigned char* window, size_t have, const WindowBytes& bytes,
                    const double* weights) {
  return (has_avx512() ? gathered_dot_avx512 : gathered_dot_plainly)(window, have, bytes, weights);
}
uint64_t differing_bytes(std::string_view a, std::string_view b, size_t from) {
  return (has_avx512() ? differing_bytes_avx512 : differing_bytes_plainly)(a, b, from);
}
#else
void gather_bytes(const unsigned char* window, size_t have, const WindowBytes& bytes, int32_t* out) {
  gather_bytes_plainly(window, have, bytes, out);
}
void add_gathered_bytes(std::span<const std::string_view> keys, size_t first, const WindowBytes& bytes,
                        int32_t* sums) {
  add_gathered_bytes_plainly(keys, first, bytes, sums);
}
double gathered_dot(const unsigned char* window, size_t have, const WindowBytes& bytes,
                    const double* weights) {
  return gathered_dot_plainly(window, have, bytes, weights);
}
uint64_t differing_bytes(std::string_view a, std::string_view b, size_t from) {
  return differing_bytes_plainly(a, b, from);
}
#endif

}  // namespace orrery::keyindex
