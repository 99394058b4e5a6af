// What the tests of every room need: the text of a refusal, and a folder that goes away. Not installed.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "orrery/base/error.h"

namespace orrery {

// What the InputError says that an action brings; empty where it brings none.
template <class Action>
std::string error_of(Action&& action) {
  try {
    std::forward<Action>(action)();
  } catch (const InputError& wrong) {
    return wrong.what();
  }
  return {};
}

// A new empty folder of this process, removed with all that is in it.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / ("orrery_" + name + "_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path() const { return path_.string(); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace orrery
