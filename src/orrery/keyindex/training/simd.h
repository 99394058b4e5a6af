// The inner loops of training. Each is compiled for several instruction sets and the machine's best is taken
// when the program starts.
#pragma once

#include <cstddef>
#include <cstdint>

// Not under sanitizers: the resolvers run before their runtime is up.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define ORRERY_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ORRERY_CLONES
#endif

namespace orrery::keyindex {

// out[j] = window byte at offsets[j], or 0 past `have`, less centres[j]; size `features` <= 32. `offsets` has
// room for 32; have in 1..64 bytes may be read at `window`.
void gather_bytes(const unsigned char* window, size_t have, const uint8_t* offsets, size_t features,
                  const int16_t* centres, int32_t* out);
// The same by the plain loop: the reference of the tests.
void gather_bytes_plainly(const unsigned char* window, size_t have, const uint8_t* offsets, size_t features,
                          const int16_t* centres, int32_t* out);

}  // namespace orrery::keyindex
