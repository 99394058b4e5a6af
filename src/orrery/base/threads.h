// Work over an index range on several threads, with results that do not depend on their number: the range is
// cut into chunks of a fixed size, each writes only its own places, and sums are formed per chunk and added
// in order by the caller.
#pragma once

#include <cstddef>
#include <functional>

namespace orrery {

int hardware_threads();

// Calls work(begin, end, chunk) for every chunk of [0, n); `threads` <= 0 means all of the machine. The first
// exception that a chunk throws (lowest chunk) is rethrown after all have ended.
void parallel_for(size_t n, size_t chunk_size, int threads,
                  const std::function<void(size_t begin, size_t end, size_t chunk)>& work);

}  // namespace orrery
