// YCSB's workload files: Java properties (`key=value`, `key: value`, `#` and `!` comments, a backslash at the
// end of a line goes on, \uXXXX and other escapes).
#pragma once

#include <string>
#include <vector>

#include "orrery/trace/ycsb.h"

namespace orrery::trace {

struct YcsbProperties {
  YcsbWorkload workload;
  std::vector<std::string>
      ignored;  // properties that say nothing about the keys (fieldcount, a database's own)
};

// Throws InputError with file:line:column for a value that is no number or out of range, for a distribution
// or workload class that is not known, and for bytes that are no properties file.
YcsbProperties parse_ycsb_properties(const std::string& text, const std::string& file);
YcsbProperties read_ycsb_properties(const std::string& path);

}  // namespace orrery::trace
