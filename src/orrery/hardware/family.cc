#include "orrery/hardware/family.h"

#include <fmt/format.h>

#include <algorithm>

#include "orrery/base/document.h"
#include "orrery/base/text.h"

namespace orrery::hardware {
namespace {

Family read_family(const Node& node) {
  node.allow_only({"name", "architecture", "compute_capability", "memory", "lanes_per_sm",
                   "shared_memory_per_sm", "registers_per_sm", "l2_per_sm", "process", "pcie",
                   "flops_per_clock", "kernels", "source"});
  Family family;
  family.name = node.at("name").as_string();
  const Node& architecture = node.at("architecture");
  auto parsed = parse_architecture(architecture.as_string());
  if (!parsed) architecture.fail(fmt::format("unknown architecture '{}'", printable(architecture.text())));
  family.architecture = *parsed;
  family.memory = node.at("memory").as_string();
  if (const Node* capability = node.find("compute_capability")) {
    family.compute_capability = capability->as_number(1, 99);
  }
  family.lanes = static_cast<int>(node.at("lanes_per_sm").as_integer(1, 1024));
  family.shared_memory = Bytes(node.at("shared_memory_per_sm").as_quantity(Unit::Bytes));
  family.registers = Bytes(node.at("registers_per_sm").as_quantity(Unit::Bytes));
  family.l2_per_multiprocessor = Bytes(node.at("l2_per_sm").as_quantity(Unit::Bytes));
  family.process_nm = node.at("process").as_quantity(Unit::Metres) * 1e9;
  family.pcie = BytesPerSecond(node.at("pcie").as_quantity(Unit::BytesPerSecond));
  for (const auto& [key, value] : node.at("flops_per_clock").entries()) {
    double rate = value.as_number(1, 1e6);
    if (key == "fp32_matrix") family.matrix_fp32_per_clock = rate;
    for (DataType type : types_of_rate(key, family.architecture)) {
      family.flops_per_clock[static_cast<size_t>(type)] = rate;
    }
  }
  const Node& kernels = node.at("kernels");
  family.kernels = {kernels.at("gemm").as_string(), kernels.at("attention").as_string(),
                    kernels.at("fp8").as_string()};
  return family;
}

}  // namespace

std::vector<Family> read_families(const std::string& path) {
  Node root = read_document(path);
  root.allow_only({"families", "sources"});
  std::vector<Family> families;
  for (const Node& node : root.at("families").items()) families.push_back(read_family(node));
  return families;
}

const Family& family_of(const std::vector<Family>& families, Architecture architecture,
                        double compute_capability, std::string_view memory_type) {
  const Family* best = nullptr;
  int best_score = -1;
  for (const Family& family : families) {
    if (family.architecture != architecture) continue;
    int score = 2 * (compute_capability > 0 && family.compute_capability == compute_capability) +
                (!memory_type.empty() && lower_case(memory_type).starts_with(lower_case(family.memory)));
    if (score > best_score) {
      best = &family;
      best_score = score;
    }
  }
  if (!best)
    throw Error(fmt::format("data/families.yaml has no family of architecture {}", name(architecture)));
  return *best;
}

const std::vector<std::string_view>& rate_keys() {
  static const std::vector<std::string_view> kKeys = {"fp64", "fp32", "fp32_matrix", "tf32", "fp16",
                                                      "bf16", "fp8",  "int8",        "int4", "fp4"};
  return kKeys;
}

std::vector<DataType> types_of_rate(std::string_view key, Architecture architecture) {
  if (key == "fp8") return {DataType::FP8, DataType::FP8Block};
  if (key == "fp4") {
    if (architecture == Architecture::CDNA4) return {DataType::MXFP4};
    return {DataType::NVFP4, DataType::MXFP4};
  }
  if (std::find(rate_keys().begin(), rate_keys().end(), key) == rate_keys().end()) return {};
  auto type = parse_data_type(key);
  return type ? std::vector<DataType>{*type} : std::vector<DataType>{};
}

}  // namespace orrery::hardware
