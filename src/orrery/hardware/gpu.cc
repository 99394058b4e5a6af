#include "orrery/hardware/gpu.h"

namespace orrery::hardware {
namespace {

constexpr std::array<std::string_view, kArchitectures> kNames = {
    "Pascal", "Volta", "Turing", "Ampere", "Ada", "Hopper", "Blackwell", "BlackwellConsumer",
    "CDNA",   "CDNA2", "CDNA3",  "CDNA4"};

}  // namespace

std::string_view name(Architecture architecture) {
  return kNames[static_cast<size_t>(architecture)];
}

std::optional<Architecture> parse_architecture(std::string_view text) {
  for (size_t i = 0; i < kArchitectures; ++i) {
    if (kNames[i] == text) return static_cast<Architecture>(i);
  }
  return std::nullopt;
}

}  // namespace orrery::hardware
