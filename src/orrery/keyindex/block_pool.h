// The memory of one index: a reserved range of addresses, handed out in blocks of whole 64-byte units and
// named by 32-bit unit numbers, so that a reference is four bytes, stays valid wherever the range lies, and a
// file of the range can be mapped back as it is. Freed blocks are used again before fresh memory is touched.
//
// allocate, free and retire may be called from any thread; unit 0 is never handed out (it means "none").
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace orrery::keyindex {

inline constexpr size_t kUnit = 64;
using Unit = uint32_t;

inline constexpr size_t kImagePage = 4096;  // bytes that one checksum covers
uint64_t page_checksum(const char* page, size_t bytes);

struct ImageChecks {
  std::string path;
  uint64_t file_offset = 0;
  std::vector<uint64_t> checksums;
  std::vector<std::atomic<uint8_t>> checked;  // a byte a page
  size_t unchecked = 0;                       // pages
  std::mutex mutex;
};

class BlockPool {
 public:
  BlockPool();
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  char* at(Unit unit) const { return base_ + size_t{unit} * kUnit; }
  // Throws Error when the reserved range is full.
  Unit allocate(size_t bytes);
  // Nobody can hold it: used again at once.
  void free(Unit unit, size_t bytes);
  // Unlinked, but readers may hold it: freed when their epochs have passed. Call it after unlinking.
  void retire(Unit unit, size_t bytes);

  size_t used_bytes() const;  // handed out and not freed (retired ones count until they are freed)
  size_t reserved_units() const { return reserved_units_; }
  Unit end() const;  // first unit never handed out

  // To be called before bytes of a block are read that may lie in a mapped snapshot and may not have been
  // read before: compares the checksums of its pages at first touch, and throws InputError where one is
  // wrong.
  void touch(Unit unit, size_t bytes) const {
    if (unit < unchecked_units_.load(std::memory_order_relaxed)) [[unlikely]]
      touch_image(unit, bytes);
  }
  // Whether nothing has to be touched any more.
  bool all_checked() const { return unchecked_units_.load(std::memory_order_acquire) == 0; }
  void touch_all() const {
    if (!all_checked()) touch_image(0, size_t{image_units_} * kUnit);
  }

  // For snapshots: the free blocks as (unit, units) pairs; and a file's image laid over the first units.
  std::vector<std::pair<Unit, uint32_t>> free_blocks();
  void map_image(int descriptor, uint64_t offset, Unit units,
                 const std::vector<std::pair<Unit, uint32_t>>& free_blocks, std::string path,
                 std::vector<uint64_t> checksums);
  void reclaim_all();  // when no other thread is inside the index

 private:
  struct Retired {
    Unit unit;
    uint32_t units;
    uint64_t epoch;
  };
  void free_locked(Unit unit, uint32_t units);
  Unit take_locked(uint32_t units);
  void reclaim_locked(uint64_t oldest);

  void touch_image(Unit unit, size_t bytes) const;

  char* base_ = nullptr;
  Unit image_units_ = 0;                          // the first units come from a snapshot
  mutable std::atomic<Unit> unchecked_units_{0};  // the same until all its pages have been checked
  std::unique_ptr<ImageChecks> image_;
  size_t reserved_units_ = 0;
  mutable std::mutex mutex_;
  Unit next_ = 1;
  size_t free_units_ = 0;
  std::vector<std::vector<Unit>> free_;  // by size in units
  std::vector<uint64_t> nonempty_;       // a bit a size
  std::deque<Retired> retired_;
  size_t reclaim_at_ = 64;
};

}  // namespace orrery::keyindex
