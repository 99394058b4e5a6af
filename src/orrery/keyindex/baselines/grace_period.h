// When what readers may hold can be freed (the RCU of XIndex, with barriers that wait). A worker is inside a
// Guard during each operation; wait() returns when every Guard that was there at the call is gone.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

namespace orrery::keyindex {

class GracePeriod {
  static constexpr size_t kPlaces = 64;  // threads share a place beyond that many, by counting

 public:
  class Guard {
   public:
    explicit Guard(GracePeriod& period) {
      // Counting the place of the present phase, and looking again: a wait() in between would not see it.
      for (;;) {
        const uint64_t phase = period.phase_.load();
        place_ = &period.places_[index()].inside[phase & 1];
        place_->fetch_add(1);
        if (period.phase_.load() == phase) return;
        place_->fetch_sub(1);
      }
    }
    ~Guard() { place_->fetch_sub(1); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    static size_t index() {
      static std::atomic<size_t> next{0};
      thread_local const size_t mine = next++ % kPlaces;
      return mine;
    }
    std::atomic<uint64_t>* place_;
  };

  // One thread at a time; not from within a Guard.
  void wait() {
    const uint64_t old = phase_.fetch_add(1) & 1;
    for (Place& place : places_)
      while (place.inside[old].load() != 0) std::this_thread::yield();
  }

 private:
  struct alignas(64) Place {
    std::array<std::atomic<uint64_t>, 2> inside{};
  };
  std::atomic<uint64_t> phase_{0};
  std::array<Place, kPlaces> places_;
};

}  // namespace orrery::keyindex
