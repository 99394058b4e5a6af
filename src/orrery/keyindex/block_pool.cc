#include "orrery/keyindex/block_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "orrery/base/error.h"
#include "orrery/keyindex/epoch.h"

namespace orrery::keyindex {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr size_t kReserve = size_t{4} << 30;  // shadow memory grows with the range
#else
constexpr size_t kReserve = size_t{128} << 30;
#endif
constexpr size_t kLeastReserve = size_t{64} << 20;
// Mapped on both sides, and never handed out: lines are fetched early where a hint says, and hints may be
// wrong.
constexpr size_t kMargin = size_t{2} << 20;
// A block may be cut from a free one of a larger size when that is at least twice as large, or little larger.
constexpr uint32_t kCloseFit = 8;  // 1/8 larger

uint32_t units_of(size_t bytes) {
  return static_cast<uint32_t>((bytes + kUnit - 1) / kUnit);
}

}  // namespace

BlockPool::BlockPool() {
  for (size_t bytes = kReserve; bytes >= kLeastReserve; bytes /= 2) {
    void* range = mmap(nullptr, bytes + 2 * kMargin, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) continue;
    base_ = static_cast<char*>(range) + kMargin;
    madvise(base_, bytes, MADV_HUGEPAGE);  // leaves are read at random: fewer page walks
    reserved_units_ = bytes / kUnit;
    return;
  }
  throw Error("no address range for an index is to be had from the system (limit on virtual memory?)");
}

BlockPool::~BlockPool() {
  munmap(base_ - kMargin, reserved_units_ * kUnit + 2 * kMargin);
}

Unit BlockPool::take_locked(uint32_t units) {
  size_t size = units;
  for (size_t word = size / 64; word < nonempty_.size(); ++word) {
    uint64_t bits = nonempty_[word];
    if (word == size / 64) bits &= ~uint64_t{0} << (size % 64);
    while (bits) {
      size_t found = word * 64 + static_cast<size_t>(std::countr_zero(bits));
      bits &= bits - 1;
      bool fits = found <= units + units / kCloseFit || found >= size_t{2} * units;
      if (!fits) continue;
      Unit unit = free_[found].back();
      free_[found].pop_back();
      if (free_[found].empty()) nonempty_[found / 64] &= ~(uint64_t{1} << (found % 64));
      free_units_ -= found;
      if (found > units) free_locked(unit + units, static_cast<uint32_t>(found) - units);
      return unit;
    }
  }
  return 0;
}

Unit BlockPool::allocate(size_t bytes) {
  uint32_t units = units_of(bytes);
  std::lock_guard lock(mutex_);
  if (Unit unit = take_locked(units)) {
    touch(unit, bytes);  // a page is checked before it is first written to
    return unit;
  }
  if (next_ + size_t{units} > reserved_units_) throw Error("the index is full: its address range is used up");
  Unit unit = next_;
  next_ += units;
  return unit;
}

void BlockPool::free_locked(Unit unit, uint32_t units) {
  if (free_.size() <= units) {
    free_.resize(units + 1);
    nonempty_.resize(units / 64 + 1);
  }
  free_[units].push_back(unit);
  nonempty_[units / 64] |= uint64_t{1} << (units % 64);
  free_units_ += units;
}

void BlockPool::free(Unit unit, size_t bytes) {
  std::lock_guard lock(mutex_);
  free_locked(unit, units_of(bytes));
}

void BlockPool::reclaim_locked(uint64_t oldest) {
  while (!retired_.empty() && retired_.front().epoch < oldest) {
    free_locked(retired_.front().unit, retired_.front().units);
    retired_.pop_front();
  }
}

void BlockPool::retire(Unit unit, size_t bytes) {
  std::lock_guard lock(mutex_);
  retired_.push_back({unit, units_of(bytes), epoch::current.load(std::memory_order_seq_cst)});
  if (retired_.size() < reclaim_at_) return;
  reclaim_locked(epoch::advance());
  reclaim_at_ = retired_.size() + 64;
}

void BlockPool::reclaim_all() {
  std::lock_guard lock(mutex_);
  reclaim_locked(epoch::advance());
}

size_t BlockPool::used_bytes() const {
  std::lock_guard lock(mutex_);
  return (next_ - 1 - free_units_) * kUnit;
}

Unit BlockPool::end() const {
  std::lock_guard lock(mutex_);
  return next_;
}

std::vector<std::pair<Unit, uint32_t>> BlockPool::free_blocks() {
  std::lock_guard lock(mutex_);
  std::vector<std::pair<Unit, uint32_t>> blocks;
  for (uint32_t units = 1; units < free_.size(); ++units)
    for (Unit unit : free_[units]) blocks.push_back({unit, units});
  for (const Retired& block : retired_) blocks.push_back({block.unit, block.units});
  return blocks;
}

void BlockPool::map_image(int descriptor, uint64_t offset, Unit units,
                          const std::vector<std::pair<Unit, uint32_t>>& free_blocks, std::string path,
                          std::vector<uint64_t> checksums) {
  std::lock_guard lock(mutex_);
  if (units >= reserved_units_) throw Error("the snapshot is larger than the address range of an index");
  void* mapped = mmap(base_, size_t{units} * kUnit, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, descriptor, static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) throw Error("the snapshot cannot be mapped into memory");
  image_ = std::make_unique<ImageChecks>();
  image_->path = std::move(path);
  image_->file_offset = offset;
  image_->checked = std::vector<std::atomic<uint8_t>>(checksums.size());
  image_->unchecked = checksums.size();
  image_->checksums = std::move(checksums);
  image_units_ = next_ = units;
  unchecked_units_.store(units, std::memory_order_release);
  for (auto [unit, size] : free_blocks) free_locked(unit, size);
}

void BlockPool::touch_image(Unit unit, size_t bytes) const {
  size_t first = size_t{unit} * kUnit / kImagePage,
         last = (size_t{unit} * kUnit + std::max<size_t>(bytes, 1) - 1) / kImagePage;
  for (size_t page = first; page <= last && page < image_->checksums.size(); ++page) {
    if (image_->checked[page].load(std::memory_order_acquire)) continue;
    std::lock_guard lock(image_->mutex);  // nobody writes to the page before its check is done
    if (image_->checked[page].load(std::memory_order_relaxed)) continue;
    size_t size = std::min(kImagePage, size_t{image_units_} * kUnit - page * kImagePage);
    if (page_checksum(base_ + page * kImagePage, size) != image_->checksums[page]) {
      throw InputError(
          Place{image_->path, 0, 0},
          "page " + std::to_string(page) + " (bytes " +
              std::to_string(image_->file_offset + page * kImagePage) + " to " +
              std::to_string(image_->file_offset + page * kImagePage + size - 1) +
              ") is damaged: its checksum does not fit; restore the file from a copy or build it again");
    }
    image_->checked[page].store(1, std::memory_order_release);
    if (--image_->unchecked == 0) unchecked_units_.store(0, std::memory_order_release);
  }
}

uint64_t page_checksum(const char* page, size_t bytes) {
  // Four independent chains of multiplications, each word made to matter to all later bits of its chain.
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15ull;
  uint64_t sums[4] = {bytes, kOdd, ~bytes, ~kOdd};
  size_t words = bytes / 8;
  auto word = [&](size_t i) {
    uint64_t value;
    std::memcpy(&value, page + 8 * i, 8);
    return value;
  };
  size_t i = 0;
  for (; i + 4 <= words; i += 4)
    for (size_t chain = 0; chain < 4; ++chain) {
      uint64_t mixed = (sums[chain] ^ word(i + chain)) * kOdd;
      sums[chain] = mixed ^ mixed >> 32;
    }
  uint64_t sum = 0;
  for (; i < words; ++i) sums[0] = std::rotl((sums[0] ^ word(i)) * kOdd, 29);
  for (size_t b = words * 8; b < bytes; ++b)
    sums[1] = std::rotl((sums[1] ^ static_cast<unsigned char>(page[b])) * kOdd, 29);
  for (uint64_t chain : sums) sum = std::rotl((sum ^ chain) * kOdd, 31);
  return sum ^ sum >> 29;
}

}  // namespace orrery::keyindex
