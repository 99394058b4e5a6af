// Files of keys, one a line or, in files separated by NULs, one up to each NUL byte; a last one without its
// separator counts. Other bytes are the key's as they are; an empty line is the empty key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::keyindex {

struct KeyFile {
  std::string bytes;
  std::vector<std::string_view> keys;  // in the file's order; keys[i] stands in line i + 1
};

// Throws InputError for a file that cannot be read, and, with file:line, for a key over kLongestKey bytes.
KeyFile read_key_file(const std::string& path, bool null_separated);

// An index of the file's keys, each with its line's number as its value. `sorted`: the file is in ascending
// byte order, which saves sorting it and is checked. Throws InputError naming the line of a key that is there
// twice, or below the one before it.
class StringIndex;
struct IndexOptions;
StringIndex index_key_file(const std::string& path, bool null_separated, bool sorted,
                           const IndexOptions& options);

}  // namespace orrery::keyindex
