#include "orrery/base/base64.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace orrery {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string encode_base64(std::span<const uint8_t> bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = static_cast<uint32_t>(bytes[i]) << 16;
    if (left > 1) group |= static_cast<uint32_t>(bytes[i + 1]) << 8;
    if (left > 2) group |= bytes[i + 2];
    for (size_t c = 0; c < 4; ++c) text += c <= left ? kAlphabet[group >> (18 - 6 * c) & 63] : '=';
  }
  return text;
}

std::vector<uint8_t> decode_base64(std::string_view text) {
  static const std::array<int8_t, 256> values = [] {
    std::array<int8_t, 256> table;
    table.fill(-1);
    for (size_t i = 0; i < kAlphabet.size(); ++i)
      table[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
    return table;
  }();
  if (text.size() % 4 != 0)
    throw std::invalid_argument("the text is no base64: its length is no multiple of 4");
  std::vector<uint8_t> bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const size_t padding = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 1) : 0;
    uint32_t group = 0;
    for (size_t c = 0; c < 4; ++c) {
      const int value = c < 4 - padding ? values[static_cast<uint8_t>(text[i + c])] : 0;
      if (value < 0) throw std::invalid_argument("the text is no base64");
      group = group << 6 | static_cast<uint32_t>(value);
    }
    for (size_t c = 0; c < 3 - padding; ++c)
      bytes.push_back(static_cast<uint8_t>(group >> (16 - 8 * c) & 255));
  }
  return bytes;
}

}  // namespace orrery
