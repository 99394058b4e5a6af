// Bytes as text: base64 of RFC 4648, padded.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orrery {

std::string encode_base64(std::span<const uint8_t> bytes);
std::vector<uint8_t> decode_base64(std::string_view text);  // throws std::invalid_argument

}  // namespace orrery
