// What tests and fuzz targets of the torch readers need: a zip archive of stored entries. Not installed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::trace {

inline uint32_t zip_checksum(std::string_view bytes) {  // CRC-32, reflected 0xEDB88320
  uint32_t checksum = ~uint32_t{0};
  for (char c : bytes) {
    checksum ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) checksum = checksum >> 1 ^ (checksum & 1 ? 0xEDB88320u : 0u);
  }
  return ~checksum;
}

using ZipEntries = std::vector<std::pair<std::string, std::string>>;

inline std::string stored_zip(const ZipEntries& entries) {
  std::string zip, directory;
  auto put = [](std::string& to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i));
  };
  for (const auto& [name, content] : entries) {
    uint64_t checksum = zip_checksum(content);
    size_t offset = zip.size();
    std::string
        shared;  // of local header and directory: version, flags, method, time, date, checksum, sizes, name
    put(shared, 0, 2), put(shared, 0, 2), put(shared, 0, 2), put(shared, 0, 4), put(shared, checksum, 4);
    put(shared, content.size(), 4), put(shared, content.size(), 4), put(shared, name.size(), 2),
        put(shared, 0, 2);
    zip += "PK\x03\x04" + shared + name + content;
    directory += std::string("PK\x01\x02") + std::string(2, '\0') + shared;
    put(directory, 0, 2), put(directory, 0, 2), put(directory, 0, 2), put(directory, 0, 4);
    put(directory, offset, 4);
    directory += name;
  }
  size_t offset = zip.size();
  zip += directory + "PK\x05\x06";
  put(zip, 0, 4), put(zip, entries.size(), 2), put(zip, entries.size(), 2), put(zip, directory.size(), 4);
  put(zip, offset, 4), put(zip, 0, 2);
  return zip;
}

// A torch file of this pickle and one storage "0" of `storage`.
inline std::string torch_file_of(std::string_view pickle, std::string storage = std::string(64, '\1')) {
  return stored_zip({{"archive/data.pkl", std::string(pickle)},
                     {"archive/byteorder", "little"},
                     {"archive/data/0", std::move(storage)}});
}

}  // namespace orrery::trace
