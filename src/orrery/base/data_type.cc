#include "orrery/base/data_type.h"

#include "orrery/base/text.h"

namespace orrery {
namespace {

constexpr std::array<std::string_view, kDataTypes> kNames = {"fp64",  "fp32",      "tf32",  "fp16", "bf16",
                                                             "fp8",   "fp8_block", "int8",  "int4", "nvfp4",
                                                             "mxfp4", "int32",     "int64", "bool"};

struct Alias {
  std::string_view text;
  DataType type;
};
constexpr Alias kAliases[] = {
    {"float64", DataType::FP64},    {"double", DataType::FP64},   {"float32", DataType::FP32},
    {"float", DataType::FP32},      {"float16", DataType::FP16},  {"half", DataType::FP16},
    {"f16", DataType::FP16},        {"bfloat16", DataType::BF16}, {"float8_e4m3fn", DataType::FP8},
    {"float8_e4m3", DataType::FP8}, {"float8", DataType::FP8},    {"float8_e5m2", DataType::FP8},
    {"fp8_e4m3", DataType::FP8},    {"f8_e4m3", DataType::FP8},   {"f32", DataType::FP32},
    {"f64", DataType::FP64},        {"i8", DataType::INT8},       {"i32", DataType::INT32},
    {"i64", DataType::INT64},       {"u8", DataType::INT8},       {"uint8", DataType::INT8},
    {"int4_wo", DataType::INT4},    {"w4a16", DataType::INT4},    {"fp4", DataType::NVFP4},
    {"int8_wo", DataType::INT8},    {"fp8_e5m2", DataType::FP8},  {"f8_e5m2", DataType::FP8},
};

}  // namespace

std::string_view name(DataType type) {
  return kNames[static_cast<size_t>(type)];
}

std::optional<DataType> parse_data_type(std::string_view text) {
  std::string lowered = lower_case(text);
  std::string_view word = lowered;
  if (word.starts_with("torch.")) word.remove_prefix(6);
  for (size_t i = 0; i < kDataTypes; ++i) {
    if (kNames[i] == word) return static_cast<DataType>(i);
  }
  for (const Alias& alias : kAliases) {
    if (alias.text == word) return alias.type;
  }
  return std::nullopt;
}

}  // namespace orrery
