// A progress bar for what takes over two seconds: drawn on standard error when it is a terminal, silent
// otherwise. Thread-safe; advance() is one atomic addition.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace orrery {

class Progress {
 public:
  Progress(std::string what, uint64_t total);  // total 0: unknown, a counter is drawn
  ~Progress();                                 // clears the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(uint64_t steps = 1);
  void note(std::string text);  // shown behind the bar, such as "best 12.3 ms, gap 4 %"

 private:
  using Clock = std::chrono::steady_clock;
  void draw();
  std::string what_, note_;
  uint64_t total_;
  std::atomic<uint64_t> done_{0};
  std::atomic<Clock::rep> next_draw_;
  Clock::time_point started_;
  bool terminal_, drawn_ = false;
  std::mutex mutex_;
};

}  // namespace orrery
