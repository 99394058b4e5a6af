// Memory that one thread may change while another reads it, the reader checking a version word afterwards (a
// seqlock). The language has no plain access for that: where the thread sanitizer watches, every access here
// is a chain of byte-sized atomics; elsewhere it is the plain load that those compile to, so that vector
// instructions can be used. What a reader got is meaningless until its version check has passed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SANITIZE_THREAD__)
#define ORRERY_RACY_ATOMIC 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ORRERY_RACY_ATOMIC 1
#endif
#endif
#ifndef ORRERY_RACY_ATOMIC
#define ORRERY_RACY_ATOMIC 0
#endif

namespace orrery::keyindex::racy {

inline void read(void* to, const void* from, size_t bytes) {
#if ORRERY_RACY_ATOMIC
  for (size_t i = 0; i < bytes; ++i)
    static_cast<unsigned char*>(to)[i] =
        __atomic_load_n(static_cast<const unsigned char*>(from) + i, __ATOMIC_ACQUIRE);
#else
  std::memcpy(to, from, bytes);
#endif
}

inline void write(void* to, const void* from, size_t bytes) {
#if ORRERY_RACY_ATOMIC
  for (size_t i = 0; i < bytes; ++i)
    __atomic_store_n(static_cast<unsigned char*>(to) + i, static_cast<const unsigned char*>(from)[i],
                     __ATOMIC_RELEASE);
#else
  std::memcpy(to, from, bytes);
#endif
}

template <class T>
inline T load(const void* from) {
  T value;
  read(&value, from, sizeof value);
  return value;
}

template <class T>
inline void store(void* to, T value) {
  write(to, &value, sizeof value);
}

// Orders what a reader read before it against the version word that it reads next. Under the sanitizer the
// reads themselves are acquiring.
inline void before_validation() {
#if !ORRERY_RACY_ATOMIC
  std::atomic_thread_fence(std::memory_order_acquire);
#endif
}

// Orders a writer's marking of the version word before what it changes next.
inline void after_marking() {
#if !ORRERY_RACY_ATOMIC
  std::atomic_thread_fence(std::memory_order_release);
#endif
}

// Has a cache line under way that is read soon, by a load whose result nobody waits for. Measured, not
// explained: at the end of a lone descent loads are worth a quarter of its time over prefetches; among many
// operations in flight, where each load holds up the ones behind it, prefetches are better. The address must
// be mapped.
inline void fetch(const void* address) {
#if !ORRERY_RACY_ATOMIC
  asm volatile("" : : "r"(*static_cast<const char*>(address)));
#else
  static_cast<void>(address);
#endif
}

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace orrery::keyindex::racy
