// Numeric formats of weights, activations and caches. Block formats count their scales: FP8 with one FP32
// scale per 128 × 128 block, INT4 with an FP16 scale and a 4-bit zero per 128 weights, NVFP4 with an FP8
// scale per 16, MXFP4 with an E8M0 scale per 32.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orrery {

enum class DataType : uint8_t {
  FP64,
  FP32,
  TF32,
  FP16,
  BF16,
  FP8,
  FP8Block,
  INT8,
  INT4,
  NVFP4,
  MXFP4,
  INT32,
  INT64,
  Bool
};
inline constexpr size_t kDataTypes = 14;

constexpr double bytes_per_element(DataType type) {
  constexpr std::array<double, kDataTypes> kBytes = {
      8, 4, 4, 2, 2, 1, 1 + 4.0 / (128 * 128), 1, 0.5 + 2.5 / 128, 0.5 + 1.0 / 16, 0.5 + 1.0 / 32, 4, 8, 1};
  return kBytes[static_cast<size_t>(type)];
}

// "bf16", "fp8", "fp8_block", "int4", ...: the spelling of files and flags.
std::string_view name(DataType type);
// Accepts the spellings in use: bf16, bfloat16, torch.bfloat16, half, float16, float8_e4m3fn, nvfp4, int4_wo,
// ...; nullopt otherwise.
std::optional<DataType> parse_data_type(std::string_view text);

}  // namespace orrery
