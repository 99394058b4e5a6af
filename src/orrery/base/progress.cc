#include "orrery/base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace orrery {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);
constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr int kBarWidth = 28;

}  // namespace

Progress::Progress(std::string what, uint64_t total)
    : what_(std::move(what)), total_(total), started_(Clock::now()), terminal_(isatty(STDERR_FILENO) == 1) {
  next_draw_ = (started_ + kPatience).time_since_epoch().count();
}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void Progress::advance(uint64_t steps) {
  done_ += steps;
  if (terminal_ && Clock::now().time_since_epoch().count() >= next_draw_.load(std::memory_order_relaxed))
    draw();
}

void Progress::note(std::string text) {
  std::lock_guard lock(mutex_);
  note_ = std::move(text);
}

void Progress::draw() {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  auto now = Clock::now();
  next_draw_ = (now + kRedraw).time_since_epoch().count();
  uint64_t done = done_;
  double elapsed = std::chrono::duration<double>(now - started_).count();
  std::string line;
  if (total_ > 0) {
    double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    int filled = static_cast<int>(share * kBarWidth);
    double left = share > 0 ? elapsed * (1 - share) / share : 0;
    line = fmt::format("{} [{}{}] {:3.0f} %  {:.0f} s left  {}", what_,
                       std::string(static_cast<size_t>(filled), '='),
                       std::string(static_cast<size_t>(kBarWidth - filled), ' '), 100 * share, left, note_);
  } else {
    line = fmt::format("{}  {} done, {:.0f} s  {}", what_, done, elapsed, note_);
  }
  std::fputs(("\r\x1b[K" + line).c_str(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace orrery
