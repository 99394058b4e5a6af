#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "orrery/base/text.h"
#include "orrery/trace/readers/token_collector.h"

namespace orrery::trace {
namespace {

struct Array {
  std::string type;
  std::vector<size_t> shape;
  size_t data = 0;  // offset
};

// The header is a Python dictionary of three known keys (NumPy's format, versions 1 and 2).
Array read_header(const std::string& text, const std::string& path) {
  auto fail = [&](const std::string& message) { throw InputError(Place{path, 0, 0}, message); };
  if (text.size() < 12) fail("the .npy file is cut off in its header");
  const bool wide = text[6] >= 2;
  size_t length = static_cast<uint8_t>(text[8]) + 256u * static_cast<uint8_t>(text[9]);
  if (wide)
    length += (static_cast<size_t>(static_cast<uint8_t>(text[10])) << 16) +
              (static_cast<size_t>(static_cast<uint8_t>(text[11])) << 24);
  Array array;
  array.data = (wide ? 12 : 10) + length;
  if (array.data > text.size()) fail("the .npy file is cut off in its header");
  const std::string header = text.substr(wide ? 12 : 10, length);
  if (header.find("'fortran_order': False") == std::string::npos)
    fail("the array is not in C order; save it with numpy.ascontiguousarray");
  const size_t descr = header.find("'descr': '"), shape = header.find("'shape': (");
  if (descr == std::string::npos || shape == std::string::npos)
    fail("the .npy header has no descr or shape; expected an array of integers");
  array.type = header.substr(descr + 10, header.find('\'', descr + 10) - descr - 10);
  const char* at = header.data() + shape + 10;
  const char* end = header.data() + header.size();
  while (at < end && *at != ')') {
    size_t n = 0;
    const auto [stop, failure] = std::from_chars(at, end, n);
    if (failure != std::errc()) fail("the .npy header's shape is not one");
    array.shape.push_back(n);
    at = stop;
    while (at < end && (*at == ',' || *at == ' ')) ++at;
  }
  return array;
}

int64_t element(const char* at, size_t width, bool is_signed) {
  uint64_t value = 0;
  std::memcpy(&value, at, width);
  if (is_signed && width < 8 && (value >> (8 * width - 1) & 1)) return -1;
  return static_cast<int64_t>(value);
}

}  // namespace

RoutingProfile read_routing_npy(const std::string& text, const std::string& path,
                                const RoutingOptions& options) {
  auto fail = [&](const std::string& message) { throw InputError(Place{path, 0, 0}, message); };
  const Array array = read_header(text, path);
  if (array.type.size() != 3 || (array.type[0] != '<' && array.type[0] != '|') ||
      (array.type[1] != 'i' && array.type[1] != 'u') ||
      std::string("1248").find(array.type[2]) == std::string::npos)
    fail("elements of type '" + printable(array.type, 20) + "'; expected little-endian integers");
  if (array.shape.size() < 2 || array.shape.size() > 3)
    fail(fmt::format("an array of {} dimensions; expected [tokens][layers] or [tokens][layers][k]",
                     array.shape.size()));
  const size_t width = static_cast<size_t>(array.type[2] - '0');
  const size_t tokens = array.shape[0], layers = array.shape[1],
               k = array.shape.size() == 3 ? array.shape[2] : 1;
  if (tokens == 0 || layers == 0 || k == 0 || layers > 10000 || k > 256 ||
      tokens > (text.size() - array.data) / (layers * k * width))
    fail("the file holds fewer elements than its shape names, or none");
  std::vector<uint16_t> choice(tokens * layers * k);
  for (size_t at = 0; at < choice.size(); ++at) {
    const int64_t e = element(text.data() + array.data + at * width, width, array.type[1] == 'i');
    if (e < 0 || e >= 65535)
      fail(fmt::format("token {}: expert {} is not one; expected 0 or more", at / (layers * k), e));
    choice[at] = static_cast<uint16_t>(e);
  }
  return profile_array(std::move(choice), tokens, static_cast<int>(layers), static_cast<int>(k), path,
                       options);
}

}  // namespace orrery::trace
