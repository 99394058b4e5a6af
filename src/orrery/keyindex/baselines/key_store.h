// Bytes of keys that stay where they are until the index goes. Any thread may add.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace orrery::keyindex {

class KeyStore {
 public:
  std::string_view add(std::string_view key) {
    const std::lock_guard lock(mutex_);
    if (key.empty()) return "";
    if (key.size() > left_) {
      left_ = std::max(key.size(), kChunk);
      chunks_.push_back(std::make_unique<char[]>(left_));
      next_ = chunks_.back().get();
    }
    std::memcpy(next_, key.data(), key.size());
    const std::string_view stored(next_, key.size());
    next_ += key.size();
    left_ -= key.size();
    return stored;
  }

 private:
  static constexpr size_t kChunk = 1 << 20;
  std::mutex mutex_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* next_ = nullptr;
  size_t left_ = 0;
};

}  // namespace orrery::keyindex
