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
  std::atomic<uint64_t> inside{0};  // the epoch of its outermost guard; 0: none
  std::atomic<bool> taken{false};
  std::atomic<const void*> writing{nullptr};  // the index that it is changing
  uint32_t depth = 0;                         // of nested guards; its own thread's alone
  uint32_t number = 0;                        // counts the records
  Thread* next = nullptr;
};

extern std::atomic<uint64_t> current;  // starts at 1
extern std::atomic<bool> cheap;        // the kernel orders readers' stores when asked
Thread* join();                        // a record for the calling thread, given back when it ends

extern thread_local Thread* mine __attribute__((tls_model("initial-exec")));

// Starts a new epoch; returns the oldest that a guard may still be in. What was unlinked before it can be
// freed.
uint64_t advance();

inline void enter(Thread* thread) {
  if (thread->depth++ > 0) return;
  uint64_t now = current.load(std::memory_order_acquire);
#if ORRERY_RACY_ATOMIC
  thread->inside.exchange(now, std::memory_order_seq_cst);
#else
  thread->inside.store(now, std::memory_order_relaxed);
  if (cheap.load(std::memory_order_relaxed))
    std::atomic_signal_fence(std::memory_order_seq_cst);
  else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

// Waits until no thread is changing `index`; new ones must be kept out by a flag that was set before.
void wait_for_writers(const void* index);

inline void leave(Thread* thread) {
  if (--thread->depth == 0) thread->inside.store(0, std::memory_order_release);
}

}  // namespace epoch

inline epoch::Thread* this_thread() {
  return epoch::mine ? epoch::mine : epoch::join();
}

class EpochGuard {
 public:
  EpochGuard() : thread_(this_thread()) { epoch::enter(thread_); }
  ~EpochGuard() { epoch::leave(thread_); }
  EpochGuard(const EpochGuard&) = delete;
  EpochGuard& operator=(const EpochGuard&) = delete;

 private:
  epoch::Thread* thread_;
};

// A guard for a thread that changes `index`: waits while `stopped` is set, and is waited for by who sets it.
class WriteGuard {
 public:
  WriteGuard(const void* index, const std::atomic<bool>& stopped) : thread_(this_thread()) {
    while (true) {
      epoch::enter(thread_);
#if ORRERY_RACY_ATOMIC
      thread_->writing.exchange(index, std::memory_order_seq_cst);
#else
      thread_->writing.store(index, std::memory_order_relaxed);
      if (epoch::cheap.load(std::memory_order_relaxed))
        std::atomic_signal_fence(std::memory_order_seq_cst);
      else
        std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
      if (!stopped.load(std::memory_order_seq_cst)) [[likely]]
        return;
      release();
      stopped.wait(true, std::memory_order_acquire);
    }
  }
  ~WriteGuard() {
    release();
  }
  WriteGuard(const WriteGuard&) = delete;
  WriteGuard& operator=(const WriteGuard&) = delete;
  uint32_t thread_number() const {
    return thread_->number;
  }

 private:
  void release() {
    thread_->writing.store(nullptr, std::memory_order_release);
    epoch::leave(thread_);
  }
  epoch::Thread* thread_;
};

}  // namespace orrery::keyindex
