#include "orrery/base/threads.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

namespace orrery {

int hardware_threads() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void parallel_for(size_t n, size_t chunk_size, int threads,
                  const std::function<void(size_t, size_t, size_t)>& work) {
  if (n == 0) return;
  chunk_size = std::max<size_t>(1, chunk_size);
  size_t chunks = (n + chunk_size - 1) / chunk_size;
  if (threads <= 0) threads = hardware_threads();
  std::vector<std::exception_ptr> failures(chunks);
  std::atomic<size_t> next{0};
  auto run = [&] {
    for (size_t chunk; (chunk = next.fetch_add(1)) < chunks;) {
      try {
        work(chunk * chunk_size, std::min(n, (chunk + 1) * chunk_size), chunk);
      } catch (...) {
        failures[chunk] = std::current_exception();
      }
    }
  };
  std::vector<std::jthread> helpers;
  for (size_t i = 1; i < std::min<size_t>(static_cast<size_t>(threads), chunks); ++i)
    helpers.emplace_back(run);
  run();
  helpers.clear();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace orrery
