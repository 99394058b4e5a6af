// A zip archive whose entries lie in it uncompressed, as PyTorch writes it: the entries are views of the
// archive. Zip64 is read. A compressed or encrypted entry is refused, so nothing ever unpacks to more than
// the file holds. Format: PKWARE APPNOTE 6.3.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orrery::trace {

class ZipArchive {
 public:
  // `bytes` must outlive the archive; `file` names it in errors. Throws InputError for what is not a zip
  // archive, is cut short or contradicts itself (an entry outside of the file, two of one name).
  ZipArchive(std::string_view bytes, std::string file);

  const std::vector<std::string>& names() const { return names_; }  // in the order of the directory
  bool has(const std::string& name) const { return at_.contains(name); }
  // The content, its checksum verified. Throws InputError for an entry that is absent, compressed or damaged.
  std::string_view entry(const std::string& name) const;

 private:
  struct Entry {
    uint64_t offset = 0, size = 0;  // of the local header; of the content
    uint32_t checksum = 0;
    uint16_t method = 0, flags = 0;
  };
  [[noreturn]] void fail(const std::string& message) const;
  std::string_view take(uint64_t offset, uint64_t size, const char* what) const;
  void read_directory(uint64_t offset, uint64_t size, uint64_t entries);

  std::string_view bytes_;
  std::string file_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, Entry> at_;
};

}  // namespace orrery::trace
