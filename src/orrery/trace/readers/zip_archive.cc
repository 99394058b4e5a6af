#include "orrery/trace/readers/zip_archive.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "orrery/base/error.h"
#include "orrery/base/text.h"

namespace orrery::trace {
namespace {

constexpr std::string_view kEndOfDirectory = "PK\x05\x06", kEndOfDirectory64 = "PK\x06\x06";
constexpr std::string_view kLocator64 = "PK\x06\x07", kDirectoryEntry = "PK\x01\x02",
                           kLocalEntry = "PK\x03\x04";
constexpr size_t kEndSize = 22, kLocator64Size = 20, kEnd64Size = 56, kDirectoryEntrySize = 46,
                 kLocalEntrySize = 30;
constexpr uint16_t kStored = 0, kEncrypted = 1;
constexpr uint16_t kExtra64 = 1;  // the extra field that holds sizes past 4 GiB

template <class T>
T little_endian(std::string_view bytes, size_t offset) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(
        value | static_cast<T>(static_cast<T>(static_cast<uint8_t>(bytes[offset + i])) << (8 * i)));
  return value;
}

// The sizes and offset of one directory entry, from its extra field where the short ones are full.
struct Extent {
  uint64_t packed, size, offset;
};

Extent wide_extent(std::string_view extra, Extent extent) {
  while (extra.size() >= 4) {
    size_t length = little_endian<uint16_t>(extra, 2);
    if (length + 4 > extra.size()) break;
    if (little_endian<uint16_t>(extra, 0) == kExtra64) {
      std::string_view field = extra.substr(4, length);
      for (uint64_t* value : {&extent.size, &extent.packed, &extent.offset}) {
        if (*value != UINT32_MAX || field.size() < 8) continue;
        *value = little_endian<uint64_t>(field, 0);
        field.remove_prefix(8);
      }
    }
    extra.remove_prefix(4 + length);
  }
  return extent;
}

}  // namespace

void ZipArchive::fail(const std::string& message) const {
  throw InputError(Place{file_}, message);
}

std::string_view ZipArchive::take(uint64_t offset, uint64_t size, const char* what) const {
  if (offset > bytes_.size() || size > bytes_.size() - offset)
    fail(fmt::format(
        "the zip archive is cut short or damaged: its {} lies outside of the file; copy it again", what));
  return bytes_.substr(offset, size);
}

ZipArchive::ZipArchive(std::string_view bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {
  size_t end = bytes_.rfind(kEndOfDirectory);
  if (!bytes_.starts_with(kLocalEntry) && !bytes_.starts_with(kEndOfDirectory))
    fail("not a zip archive; expected a file that torch.save of PyTorch 1.6 or newer wrote");
  if (end == std::string_view::npos || bytes_.size() - end < kEndSize)
    fail("the zip archive is cut short: it has no directory at its end; copy it again");
  std::string_view record = bytes_.substr(end, kEndSize);
  uint64_t entries = little_endian<uint16_t>(record, 10), size = little_endian<uint32_t>(record, 12),
           offset = little_endian<uint32_t>(record, 16);
  if (end >= kLocator64Size && bytes_.substr(end - kLocator64Size).starts_with(kLocator64)) {
    std::string_view wide =
        take(little_endian<uint64_t>(bytes_, end - kLocator64Size + 8), kEnd64Size, "zip64 directory record");
    if (!wide.starts_with(kEndOfDirectory64))
      fail("the zip archive is damaged: its zip64 directory record is missing");
    entries = little_endian<uint64_t>(wide, 32);
    size = little_endian<uint64_t>(wide, 40);
    offset = little_endian<uint64_t>(wide, 48);
  }
  read_directory(offset, size, entries);
}

void ZipArchive::read_directory(uint64_t offset, uint64_t size, uint64_t entries) {
  std::string_view directory = take(offset, size, "directory");
  if (entries > directory.size() / kDirectoryEntrySize)
    fail(fmt::format("the zip archive is damaged: it claims {} entries, its directory has room for {}",
                     entries, directory.size() / kDirectoryEntrySize));
  for (uint64_t i = 0; i < entries; ++i) {
    if (directory.size() < kDirectoryEntrySize || !directory.starts_with(kDirectoryEntry))
      fail(fmt::format("the zip archive is damaged: entry {} of its directory cannot be read", i + 1));
    size_t name_size = little_endian<uint16_t>(directory, 28),
           extra_size = little_endian<uint16_t>(directory, 30),
           comment_size = little_endian<uint16_t>(directory, 32);
    size_t whole = kDirectoryEntrySize + name_size + extra_size + comment_size;
    if (whole > directory.size())
      fail("the zip archive is damaged: a name in its directory runs past the end");
    Extent extent =
        wide_extent(directory.substr(kDirectoryEntrySize + name_size, extra_size),
                    {little_endian<uint32_t>(directory, 20), little_endian<uint32_t>(directory, 24),
                     little_endian<uint32_t>(directory, 42)});
    Entry entry{extent.offset, extent.size, little_endian<uint32_t>(directory, 16),
                little_endian<uint16_t>(directory, 10), little_endian<uint16_t>(directory, 8)};
    std::string name(directory.substr(kDirectoryEntrySize, name_size));
    if (entry.method == kStored && extent.packed != extent.size)
      fail(fmt::format("the zip archive is damaged: the sizes of '{}' differ", printable(name)));
    if (!at_.emplace(name, entry).second)
      fail(fmt::format("entry '{}' stands twice in the zip archive", printable(name)));
    names_.push_back(std::move(name));
    directory.remove_prefix(whole);
  }
}

std::string_view ZipArchive::entry(const std::string& name) const {
  auto found = at_.find(name);
  if (found == at_.end()) fail(fmt::format("the zip archive has no entry '{}'", printable(name)));
  const Entry& entry = found->second;
  if (entry.flags & kEncrypted)
    fail(fmt::format("entry '{}' is encrypted; torch.save never does that", printable(name)));
  if (entry.method != kStored)
    fail(
        fmt::format("entry '{}' is compressed; torch.save stores its entries as they are; load the file and "
                    "save it again",
                    printable(name)));
  std::string_view header = take(entry.offset, kLocalEntrySize, "entry");
  if (!header.starts_with(kLocalEntry))
    fail(fmt::format("the zip archive is damaged: no entry where '{}' should be", printable(name)));
  uint64_t begin = entry.offset + kLocalEntrySize + little_endian<uint16_t>(header, 26) +
                   little_endian<uint16_t>(header, 28);
  std::string_view content = take(begin, entry.size, "entry");
  uLong checksum = crc32(0, nullptr, 0);
  for (size_t at = 0; at < content.size(); at += size_t{1} << 30) {  // zlib counts in 32 bits
    std::string_view part = content.substr(at, size_t{1} << 30);
    checksum = crc32(checksum, reinterpret_cast<const Bytef*>(part.data()), static_cast<uInt>(part.size()));
  }
  if (checksum != entry.checksum)
    fail(fmt::format("entry '{}' of the zip archive is damaged: its checksum is wrong", printable(name)));
  return content;
}

}  // namespace orrery::trace
