// Files: read whole (gzip and zstd unpacked by their magic), written beside and renamed, so that a killed run
// leaves the old file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace orrery {

// The bytes of a file, unpacked where it is gzip or zstd. Throws InputError naming the path and the reason;
// refuses files that unpack to more than `most` bytes.
std::string read_file(const std::string& path, uint64_t most = uint64_t{4} << 30);
bool file_exists(const std::string& path);

// Writes PATH.partial-PID and renames it to PATH (through a symbolic link, onto its target; devices and pipes
// are written directly). Throws InputError when that fails, and then leaves what was there.
void write_file(const std::string& path, std::string_view content);

// The folder of shipped facts: $ORRERY_HOME/data, else data/ beside the Python module, else
// PREFIX/share/orrery of the running program, else the source tree's data/. Throws Error when none is there.
std::string data_folder();

// The version of this build, "0.1.0".
std::string_view version();

uint64_t hash_bytes(std::string_view bytes, uint64_t seed = 0);  // stable over runs and machines

}  // namespace orrery
