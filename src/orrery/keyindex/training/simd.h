// The inner loops of training. Each is compiled for several instruction sets and the machine's best is taken
// when the program starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

// Not under sanitizers: the resolvers run before their runtime is up.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define ORRERY_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ORRERY_CLONES
#endif

namespace orrery::keyindex {

constexpr size_t kWindow = 128;  // bytes of a key that one gather reaches

// Which bytes of a window are a row's features: offsets[j] < kWindow, ascending, with room for 32; size
// `features` <= 32.
struct WindowBytes {
  const uint8_t* offsets;
  const int16_t* centres;
  size_t features;
};

// out[j] = the byte at offsets[j], 0 past `have`, less centres[j]. have in 1..kWindow bytes may be read at
// `window`.
void gather_bytes(const unsigned char* window, size_t have, const WindowBytes& bytes, int32_t* out);
// sums[j] += the same, over all keys, whose windows begin at byte `first`.
void add_gathered_bytes(std::span<const std::string_view> keys, size_t first, const WindowBytes& bytes,
                        int32_t* sums);
// The sum of the same times `weights`, which has room for 32 and zeros past `features`; `have` may be 0.
// Equal bytes give equal sums, bit for bit, on one machine.
double gathered_dot(const unsigned char* window, size_t have, const WindowBytes& bytes,
                    const double* weights);
// Bit k, k < 64: whether the keys differ in byte from + k. Past its end a key holds zeros.
uint64_t differing_bytes(std::string_view a, std::string_view b, size_t from);

// The same by plain loops: the reference of the tests, and what machines without AVX-512 take.
void gather_bytes_plainly(const unsigned char* window, size_t have, const WindowBytes& bytes, int32_t* out);
void add_gathered_bytes_plainly(std::span<const std::string_view> keys, size_t first,
                                const WindowBytes& bytes, int32_t* sums);
double gathered_dot_plainly(const unsigned char* window, size_t have, const WindowBytes& bytes,
                            const double* weights);
uint64_t differing_bytes_plainly(std::string_view a, std::string_view b, size_t from);

}  // namespace orrery::keyindex
