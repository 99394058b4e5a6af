// The file of a saved index: an image of its memory, so that it can be mapped and used at once.
//
//   bytes 0 ..     SnapshotHeader, padded with zeros to one page (4,096 bytes)
//   page 1 ..      the image: units 0 .. header.units of the index's pool, padded to a page
//   behind it      the tail: u32 addresses of leaves by id (0: free), u64 pairs (unit, units) of free blocks,
//   and u64 checksums,
//                  one for each page of the image
//
// All numbers are little-endian. A checksum (page_checksum in block_pool.h) covers each page of the image,
// one the tail, one the header; a file of another size than its header says, or with a wrong checksum, is
// refused. The header is written last, and the file is renamed to its name when all of it is on disk.
#pragma once

#include <cstdint>

namespace orrery::keyindex {

inline constexpr char kSnapshotMagic[8] = {'O', 'R', 'R', 'K', 'E', 'Y', 'S', '\n'};
inline constexpr uint32_t kSnapshotVersion = 3;

struct SnapshotHeader {
  char magic[8];
  uint32_t version;
  uint32_t root;            // unit of the root node
  uint32_t units;           // of the image
  uint32_t ids;             // addresses in the tail; 0 is unused
  uint64_t directory_word;  // of the point table; 0: there is none
  uint64_t keys, key_bytes;
  uint64_t free_blocks;
  uint64_t tail_checksum;
  uint64_t header_checksum;  // of the bytes before it
};
static_assert(sizeof(SnapshotHeader) == 72);

}  // namespace orrery::keyindex
