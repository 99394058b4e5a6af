// What the actions of `run keyindex` share.
#pragma once

#include <memory>
#include <string>

#include "orrery/cli/command.h"

namespace orrery::cli {

struct KeyIndexOptions {
  std::string index, keys, from, prefix;
  bool null_separated = false, sorted = false, no_table = false, reverse = false, has_from = false,
       values = false;
  uint64_t count = 100, operations = 1000000;
};

// `run keyindex bench`: rates and latencies of an index built from a key file.
int bench_key_index(const KeyIndexOptions& options, const Common& common);

}  // namespace orrery::cli
