#include "orrery/base/base64.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace orrery {
namespace {

TEST(Base64, returns_what_it_was_given) {
  for (size_t n = 0; n < 7; ++n) {
    std::vector<uint8_t> bytes;
    for (size_t i = 0; i < n; ++i) bytes.push_back(static_cast<uint8_t>(37 * i + 200));
    EXPECT_EQ(decode_base64(encode_base64(bytes)), bytes);
  }
  EXPECT_EQ(encode_base64(std::vector<uint8_t>{'M', 'a', 'n', 'y'}), "TWFueQ==");
}

TEST(Base64, refuses_what_is_no_base64) {
  EXPECT_THROW(decode_base64("abc"), std::invalid_argument);
  EXPECT_THROW(decode_base64("ab=c"), std::invalid_argument);
  EXPECT_THROW(decode_base64("a b "), std::invalid_argument);
}

}  // namespace
}  // namespace orrery
