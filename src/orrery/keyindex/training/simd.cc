#include "orrery/keyindex/training/simd.h"

#if defined(__x86_64__)
// g++ 12's own intrinsics use undefined registers on purpose and then warn about them (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif

namespace orrery::keyindex {

void gather_bytes_plainly(const unsigned char* window, size_t have, const uint8_t* offsets, size_t features,
                          const int16_t* centres, int32_t* out) {
  for (size_t j = 0; j < features; ++j) out[j] = (offsets[j] < have ? window[offsets[j]] : 0) - centres[j];
}

#if defined(__x86_64__)
namespace {

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi"))) void gather_bytes_avx512(
    const unsigned char* window, size_t have, const uint8_t* offsets, size_t features, const int16_t* centres,
    int32_t* out) {
  const __mmask64 there = have >= 64 ? ~__mmask64{0} : (__mmask64{1} << have) - 1;
  const __m512i bytes = _mm512_maskz_loadu_epi8(there, window);
  const __m512i places =
      _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(offsets)));
  const __m256i chosen = _mm512_castsi512_si256(_mm512_permutexvar_epi8(places, bytes));
  const __mmask32 wanted = features >= 32 ? ~__mmask32{0} : (__mmask32{1} << features) - 1;
  const __m512i centre = _mm512_maskz_loadu_epi16(wanted, centres);
  const __m512i difference = _mm512_sub_epi16(_mm512_cvtepu8_epi16(chosen), centre);
  const __m512i low = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(difference));
  const __m512i high = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(difference, 1));
  _mm512_mask_storeu_epi32(out, static_cast<__mmask16>(wanted), low);
  _mm512_mask_storeu_epi32(out + 16, static_cast<__mmask16>(wanted >> 16), high);
}

bool has_avx512() {
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi");
}

}  // namespace

void gather_bytes(const unsigned char* window, size_t have, const uint8_t* offsets, size_t features,
                  const int16_t* centres, int32_t* out) {
  static const bool fast = has_avx512();
  (fast ? gather_bytes_avx512 : gather_bytes_plainly)(window, have, offsets, features, centres, out);
}
#else
void gather_bytes(const unsigned char* window, size_t have, const uint8_t* offsets, size_t features,
                  const int16_t* centres, int32_t* out) {
  gather_bytes_plainly(window, have, offsets, features, centres, out);
}
#endif

}  // namespace orrery::keyindex
