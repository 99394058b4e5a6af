#include "orrery/keyindex/key_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "orrery/base/error.h"
#include "orrery/keyindex/string_index.h"

namespace orrery::keyindex {
namespace {

class KeyFiles : public ::testing::Test {
 protected:
  ~KeyFiles() override { std::filesystem::remove(path_); }
  const std::string& file(const std::string& content) {
    std::ofstream(path_, std::ios::binary) << content;
    return path_;
  }
  std::string refusal(const std::string& content, bool sorted) {
    try {
      index_key_file(file(content), false, sorted, {});
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  }
  std::string path_ = ::testing::TempDir() + "orrery-key-file-" + std::to_string(getpid());
};

TEST_F(KeyFiles, values_are_line_numbers_in_any_order) {
  for (const char* content : {"pear\napple\n\nfig", "pear\napple\n\nfig\n"}) {
    StringIndex index = index_key_file(file(content), false, false, {});
    EXPECT_EQ(index.size(), 4u);
    EXPECT_EQ(index.get("pear"), 1u);
    EXPECT_EQ(index.get("apple"), 2u);
    EXPECT_EQ(index.get(""), 3u);
    EXPECT_EQ(index.get("fig"), 4u);
  }
  StringIndex index = index_key_file(file(std::string("a\nb\0c\0", 6)), true, true, {});
  EXPECT_EQ(index.get("a\nb"), 1u);
  EXPECT_EQ(index.get("c"), 2u);
  EXPECT_TRUE(index_key_file(file(""), false, false, {}).empty());
}

TEST_F(KeyFiles, wrong_lines_are_named) {
  EXPECT_EQ(refusal("b\na\nb\n", false),
            path_ + ":3: key 'b' is there twice, first in line 1; expected distinct keys; leave one out");
  EXPECT_NE(refusal("b\na\n", true).find(":2: key 'a' is below the one before it"), std::string::npos);
  EXPECT_NE(
      refusal("a\n" + std::string(kLongestKey + 1, 'k') + "\n", false).find(":2: the key has 65537 bytes"),
      std::string::npos);
  EXPECT_EQ(refusal("a\n" + std::string(kLongestKey, 'k') + "\n", false), "accepted");
}

}  // namespace
}  // namespace orrery::keyindex
