// When memory that readers may still hold can be used again. A reader works inside an EpochGuard; what a
// writer unlinks is stamped with the epoch of that moment and freed once no guard from that epoch or before
// is left.
//
// Why not a library: liburcu and libcds synchronise in ways that the thread sanitizer cannot follow, so that
// a clean report would say nothing, and both want every thread registered by hand. This is the same algorithm
// as liburcu's "memb" flavour: a guard costs a thread one plain store to a line of its own; the rare writer
// that wants memory back asks the kernel (membarrier) to order that store on all cores.
#pragma once

#include <atomic>
#include <cstdint>

#include "orrery/keyindex/racy.h"

namespace orrery::keyindex {

namespace epoch {

struct alignas(64) Thread {
  std::atomic<uint64_t> inside{0};  // the epoch that it entered; 0: it is outside
  std::atomic<bool> taken{false};
  std::atomic<const void*> writing{nullptr};  // the index that it is changing
  uint32_t stays = 0;                         // how many Stays it has; its own thread's alone
  bool entered_to_stay = false;
  uint32_t number = 0;  // counts the records
  Thread* next = nullptr;
};

extern std::atomic<uint64_t> current;  // starts at 1
Thread* join();                        // the calling thread's record, which it gives back when it ends

// The calling thread's record where the kernel orders its stores when asked; else null, and it fences itself.
extern constinit thread_local Thread* mine __attribute__((tls_model("initial-exec")));

// Starts a new epoch; returns the oldest that a thread may still be in. What was unlinked before it can be
// freed.
uint64_t advance();
// Waits until no thread is changing `index`; new ones must be kept out by a flag that was set before.
void wait_for_writers(const void* index);

// What a thread stored before stands before what it reads next, as others see it.
inline void store_before_reading() {
#if !ORRERY_RACY_ATOMIC
  if (mine) [[likely]]
    std::atomic_signal_fence(std::memory_order_seq_cst);
  else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

template <class T>
inline void announce(std::atomic<T>& where, T what) {
#if ORRERY_RACY_ATOMIC
  where.exchange(what, std::memory_order_seq_cst);
#else
  where.store(what, std::memory_order_relaxed);
#endif
}

inline void enter(Thread* thread) {
  announce(thread->inside, current.load(std::memory_order_acquire));
  store_before_reading();
}
// The same for who has looked that it is `mine`.
inline void enter_mine(Thread* thread) {
  announce(thread->inside, current.load(std::memory_order_acquire));
#if !ORRERY_RACY_ATOMIC
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}
inline void leave(Thread* thread) {
  thread->inside.store(0, std::memory_order_release);
}

}  // namespace epoch

inline epoch::Thread* this_thread() {
  epoch::Thread* thread = epoch::mine;
  return thread ? thread : epoch::join();
}

// Scopes nest like functions.
class EpochGuard {
 public:
  EpochGuard() : thread_(this_thread()), outermost_(thread_->inside.load(std::memory_order_relaxed) == 0) {
    if (outermost_) epoch::enter(thread_);
  }
  ~EpochGuard() {
    if (outermost_) epoch::leave(thread_);
  }
  EpochGuard(const EpochGuard&) = delete;
  EpochGuard& operator=(const EpochGuard&) = delete;

 private:
  epoch::Thread* thread_;
  bool outermost_;
};

namespace epoch {
// The same for objects that a caller keeps and destroys in any order, on the thread that made them.
inline void stay() {
  Thread* thread = this_thread();
  if (thread->stays++ > 0 || thread->inside.load(std::memory_order_relaxed) != 0) return;
  thread->entered_to_stay = true;
  enter(thread);
}
inline void stay_no_longer() {
  Thread* thread = this_thread();
  if (--thread->stays > 0 || !thread->entered_to_stay) return;
  thread->entered_to_stay = false;
  leave(thread);
}
}  // namespace epoch

// A guard for a thread that changes `index`: waits while `stopped` is set, and is waited for by who sets it.
class WriteGuard {
 public:
  WriteGuard(const void* index, const std::atomic<bool>& stopped) : thread_(this_thread()) {
    while (true) {
      outermost_ = thread_->inside.load(std::memory_order_relaxed) == 0;
      if (outermost_) epoch::announce(thread_->inside, epoch::current.load(std::memory_order_acquire));
      epoch::announce(thread_->writing, index);
      epoch::store_before_reading();
      if (!stopped.load(std::memory_order_seq_cst)) [[likely]]
        return;
      release();
      stopped.wait(true, std::memory_order_acquire);
    }
  }
  ~WriteGuard() { release(); }
  WriteGuard(const WriteGuard&) = delete;
  WriteGuard& operator=(const WriteGuard&) = delete;
  uint32_t thread_number() const { return thread_->number; }

 private:
  void release() {
    thread_->writing.store(nullptr, std::memory_order_release);
    if (outermost_) epoch::leave(thread_);
  }
  epoch::Thread* thread_;
  bool outermost_ = false;
};

}  // namespace orrery::keyindex
