// A value that threads read without a lock and change under one: XIndex's value word. While a group is
// compacted, the slots of its new array refer to those of the old one; a write locks the new slot first, so
// that no write is lost when the reference is replaced by the value.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <optional>

namespace orrery::keyindex {

class ValueSlot {
 public:
  enum class Write { Done, Revived, Dead };

  ValueSlot() = default;
  explicit ValueSlot(uint64_t value) : value_(value) {}

  void refer_to(ValueSlot* other) {  // before any other thread sees this slot
    value_.store(std::bit_cast<uint64_t>(other), std::memory_order_relaxed);
    status_.store(kReference, std::memory_order_release);
  }

  ValueSlot* referred() const {  // after refer_to()
    return std::bit_cast<ValueSlot*>(value_.load(std::memory_order_acquire));
  }

  // Nothing where it was removed or is dead.
  std::optional<uint64_t> read() const {
    for (;;) {
      const uint64_t before = status_.load(std::memory_order_acquire);
      if (before & kLock) continue;
      const uint64_t word = value_.load(std::memory_order_acquire);
      // What was a reference may be a value by now, and must not be followed.
      if (status_.load(std::memory_order_acquire) != before) continue;
      std::optional<uint64_t> value = word;
      if (before & kReference) value = std::bit_cast<const ValueSlot*>(word)->read();
      if (before & (kRemoved | kDead)) value.reset();
      if (status_.load(std::memory_order_acquire) == before) return value;
    }
  }

  Write write(uint64_t value) {
    const uint64_t status = lock();
    if (status & kDead) return unlock(status), Write::Dead;
    if (status & kReference) {
      const Write result = referred()->write(value);
      return unlock(status), result;
    }
    value_.store(value, std::memory_order_release);
    unlock(status & ~kRemoved);
    return status & kRemoved ? Write::Revived : Write::Done;
  }

  // True: it was there.
  bool remove() {
    const uint64_t status = lock();
    bool was_there = !(status & (kRemoved | kDead));
    if (status & kReference) {
      was_there = was_there && referred()->remove();
      unlock(status);
    } else {
      unlock(status | kRemoved);
    }
    return was_there;
  }

  // A removed slot dies: writers go elsewhere from now on. True: it is dead.
  bool bury_if_removed() {
    const uint64_t status = lock();
    const bool dead = status & (kRemoved | kDead);
    unlock(dead ? status | kDead : status);
    return dead;
  }

  // The reference gives way to what it refers to; no thread writes the old slot but through this one any
  // more.
  void resolve() {
    const uint64_t status = lock();
    if (!(status & kReference)) return unlock(status);
    const std::optional<uint64_t> value = referred()->read();
    value_.store(value.value_or(0), std::memory_order_release);
    unlock((status & ~kReference) | (value ? 0 : kRemoved));
  }

 private:
  static constexpr uint64_t kLock = 1, kRemoved = 2, kReference = 4, kDead = 8, kVersion = 16;
  uint64_t lock() {
    for (;;) {
      uint64_t status = status_.load(std::memory_order_relaxed) & ~kLock;
      if (status_.compare_exchange_weak(status, status | kLock, std::memory_order_acq_rel)) return status;
    }
  }
  void unlock(uint64_t status) { status_.store(status + kVersion, std::memory_order_release); }

  std::atomic<uint64_t> value_{0}, status_{0};
};

}  // namespace orrery::keyindex
