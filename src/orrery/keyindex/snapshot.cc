#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "orrery/base/error.h"
#include "orrery/keyindex/index_impl.h"
#include "orrery/keyindex/snapshot_format.h"

namespace orrery::keyindex {
namespace {

static_assert(std::endian::native == std::endian::little, "snapshots are images of little-endian memory");

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw InputError(Place{path, 0, 0}, what);
}

// A file that takes its name when it is whole; a failure or a kill leaves what was there before.
class FileInWaiting {
 public:
  explicit FileInWaiting(const std::string& path) : path_(path) {
    std::error_code ignored;
    if (std::filesystem::is_symlink(path_, ignored)) {
      std::filesystem::path target = std::filesystem::canonical(path_, ignored);
      if (!ignored) path_ = target.string();
    }
    if (std::filesystem::is_directory(path_, ignored)) refuse(path, "is a folder; expected a file to write");
    partial_ = path_ + ".partial-" + std::to_string(getpid());
    descriptor_ = open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail();
  }
  ~FileInWaiting() {
    if (descriptor_ < 0) return;
    close(descriptor_);
    unlink(partial_.c_str());
  }
  FileInWaiting(const FileInWaiting&) = delete;
  FileInWaiting& operator=(const FileInWaiting&) = delete;

  void write_at(uint64_t offset, const void* from, size_t bytes) {
    const char* at = static_cast<const char*>(from);
    while (bytes > 0) {
      ssize_t wrote = pwrite(descriptor_, at, bytes, static_cast<off_t>(offset));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) fail();
      at += wrote;
      offset += static_cast<uint64_t>(wrote);
      bytes -= static_cast<size_t>(wrote);
    }
  }
  void finish() {
    if (fsync(descriptor_) != 0 && errno != EINVAL && errno != ENOTSUP) fail();
    if (rename(partial_.c_str(), path_.c_str()) != 0) fail();
    close(descriptor_);
    descriptor_ = -1;
  }

 private:
  [[noreturn]] void fail() { refuse(path_, std::string("cannot be written: ") + std::strerror(errno)); }
  std::string path_, partial_;
  int descriptor_ = -1;
};

struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) close(value);
  }
};

uint64_t pages_of(uint64_t bytes) {
  return (bytes + kImagePage - 1) / kImagePage;
}

// Sets a flag that keeps writers out, waits for those at work, and lets them in again.
class WritersStopped {
 public:
  WritersStopped(const void* index, std::atomic<bool>& flag) : flag_(flag) {
    flag_.store(true, std::memory_order_seq_cst);
    epoch::wait_for_writers(index);
  }
  ~WritersStopped() {
    flag_.store(false, std::memory_order_release);
    flag_.notify_all();
  }
  WritersStopped(const WritersStopped&) = delete;
  WritersStopped& operator=(const WritersStopped&) = delete;

 private:
  std::atomic<bool>& flag_;
};

}  // namespace

void StringIndex::Impl::save(const std::string& path) const {
  std::lock_guard one(saving);
  FileInWaiting file(path);
  WritersStopped stopped(this, writers_stopped);
  pool.touch_all();

  SnapshotHeader header{};
  std::memcpy(header.magic, kSnapshotMagic, sizeof header.magic);
  header.version = kSnapshotVersion;
  header.root = root.load(std::memory_order_acquire);
  header.units = pool.end();
  header.ids = next_id;
  header.directory_word = table ? table->directory_word() : 0;
  header.keys = static_cast<uint64_t>(total(&Count::keys));
  header.key_bytes = static_cast<uint64_t>(total(&Count::key_bytes));

  uint64_t image = uint64_t{header.units} * kUnit;
  std::vector<uint64_t> checksums(pages_of(image));
  constexpr uint64_t kPiece = uint64_t{4} << 20;  // bytes written at once
  std::string piece;
  for (uint64_t begin = 0; begin < image; begin += kPiece) {
    uint64_t end = std::min(image, begin + kPiece);
    piece.assign(pool.at(0) + begin, end - begin);
    if (begin == 0) std::memset(piece.data(), 0, kUnit);  // unit 0 is nobody's
    for (uint64_t page = begin; page < end; page += kImagePage)
      checksums[page / kImagePage] =
          page_checksum(piece.data() + (page - begin), std::min(kImagePage, end - page));
    file.write_at(kImagePage + begin, piece.data(), piece.size());
  }
  std::string tail;
  auto add = [&](const auto& value) { tail.append(reinterpret_cast<const char*>(&value), sizeof value); };
  std::vector<bool> unused(next_id);
  for (uint32_t id : free_ids) unused[id] = true;
  for (auto [id, epoch] : retired_ids) unused[id] = true;
  for (uint32_t id = 0; id < next_id; ++id)
    add(unused[id] ? Unit{0} : addresses[id].load(std::memory_order_relaxed));
  if (next_id % 2) add(Unit{0});
  for (auto [unit, units] : pool.free_blocks()) {
    add(uint64_t{unit});
    add(uint64_t{units});
    ++header.free_blocks;
  }
  for (uint64_t sum : checksums) add(sum);
  file.write_at(kImagePage + pages_of(image) * kImagePage, tail.data(), tail.size());
  header.tail_checksum = page_checksum(tail.data(), tail.size());
  header.header_checksum =
      page_checksum(reinterpret_cast<const char*>(&header), offsetof(SnapshotHeader, header_checksum));
  file.write_at(0, &header, sizeof header);
  file.finish();
}

void StringIndex::Impl::load(const std::string& path) {
  Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (file.value < 0 || fstat(file.value, &status) != 0)
    refuse(path, std::string("cannot be read: ") + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) refuse(path, "is no file; expected the snapshot of an index");
  auto size = static_cast<uint64_t>(status.st_size);
  SnapshotHeader header{};
  if (pread(file.value, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header) ||
      std::memcmp(header.magic, kSnapshotMagic, sizeof header.magic) != 0)
    refuse(path, "is no snapshot of an index; make one with 'orrery run keyindex build'");
  if (header.version != kSnapshotVersion)
    refuse(path, "is a snapshot of version " + std::to_string(header.version) + "; expected version " +
                     std::to_string(kSnapshotVersion) + "; build the index again");
  if (page_checksum(reinterpret_cast<const char*>(&header), offsetof(SnapshotHeader, header_checksum)) !=
      header.header_checksum)
    refuse(path, "its header (bytes 0 to 71) is damaged; restore the file from a copy or build it again");
  uint64_t image = uint64_t{header.units} * kUnit, pages = pages_of(image);
  uint64_t addresses_bytes = (uint64_t{header.ids} + header.ids % 2) * sizeof(Unit);
  uint64_t tail_at = kImagePage + pages * kImagePage;
  bool sane = header.units > 1 && header.ids <= kIds && header.free_blocks <= header.units &&
              header.root < header.units;
  uint64_t tail_bytes = addresses_bytes + 16 * header.free_blocks + 8 * pages;
  if (!sane || size != tail_at + tail_bytes)
    refuse(path, "has " + std::to_string(size) + " bytes; its header says " +
                     std::to_string(tail_at + tail_bytes) +
                     ": it is cut or damaged; restore the file from a copy or build it again");
  std::string tail(tail_bytes, '\0');
  for (uint64_t done = 0; done < tail_bytes;) {
    ssize_t got =
        pread(file.value, tail.data() + done, tail_bytes - done, static_cast<off_t>(tail_at + done));
    if (got <= 0) refuse(path, "cannot be read to its end");
    done += static_cast<uint64_t>(got);
  }
  if (page_checksum(tail.data(), tail.size()) != header.tail_checksum)
    refuse(path, "its tail (from byte " + std::to_string(tail_at) +
                     " on) is damaged; restore the file from a copy or build it again");
  const char* at = tail.data();
  auto take = [&](auto& value) {
    std::memcpy(&value, at, sizeof value);
    at += sizeof value;
  };
  for (uint32_t id = 0; id < header.ids; ++id) {
    Unit unit;
    take(unit);
    if (unit >= header.units) refuse(path, "names a leaf outside the file");
    addresses[id].store(unit, std::memory_order_relaxed);
    if (unit == 0 && id > 0) free_ids.push_back(id);
  }
  if (header.ids % 2) at += sizeof(Unit);
  std::vector<std::pair<Unit, uint32_t>> free_blocks;
  for (uint64_t i = 0; i < header.free_blocks; ++i) {
    uint64_t unit, units;
    take(unit);
    take(units);
    if (unit == 0 || units == 0 || unit + units > header.units)
      refuse(path, "names a free block outside the file");
    free_blocks.push_back({static_cast<Unit>(unit), static_cast<uint32_t>(units)});
  }
  std::vector<uint64_t> checksums(pages);
  for (uint64_t& sum : checksums) take(sum);
  pool.map_image(file.value, kImagePage, header.units, free_blocks, path, std::move(checksums));
  next_id = std::max(1u, header.ids);
  options.point_table = header.directory_word != 0;
  if (options.point_table) {
    auto depth = header.directory_word >> 32;
    auto unit = static_cast<Unit>(header.directory_word);
    if (depth > 30 || unit >= header.units || (uint64_t{8} << depth) > image - uint64_t{unit} * kUnit)
      refuse(path, "its point table lies outside the file");
    pool.touch(unit, size_t{8} << depth);
    table = std::make_unique<PointTable>(pool, PointTable::Saved{header.directory_word}, hash_reader());
  }
  root.store(header.root, std::memory_order_release);
  count(0, static_cast<int64_t>(header.keys), static_cast<int64_t>(header.key_bytes));
}

void StringIndex::save(const std::string& path) const {
  impl_->save(path);
}

StringIndex StringIndex::load(const std::string& path) {
  StringIndex index;
  index.impl_ = std::make_unique<Impl>(path);
  return index;
}

}  // namespace orrery::keyindex
