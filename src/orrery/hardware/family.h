// What the GPUs of one family have in common (data/families.yaml): completes a short device file, and catches
// figures that no part of the family can have, such as rates with sparsity.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/base/data_type.h"
#include "orrery/base/units.h"
#include "orrery/hardware/gpu.h"

namespace orrery::hardware {

struct Family {
  std::string name;  // "ampere-hbm"
  Architecture architecture = Architecture::Hopper;
  std::string memory;  // "HBM" or "GDDR": tells the two kinds of Pascal and Ampere apart
  double compute_capability = 0;
  int lanes = 0;
  Bytes shared_memory, registers;
  Bytes l2_per_multiprocessor;
  double process_nm = 0;
  BytesPerSecond pcie;
  std::array<double, kDataTypes> flops_per_clock{};  // dense, per multiprocessor; 0 = not supported
  double matrix_fp32_per_clock = 0;                  // AMD
  Gpu::Kernels kernels;
};

// Reads a families file; throws InputError with the place of what is wrong.
std::vector<Family> read_families(const std::string& path);

// The family of an architecture; of two, the one with this compute capability (0 = not given), else with this
// memory type.
const Family& family_of(const std::vector<Family>& families, Architecture architecture,
                        double compute_capability, std::string_view memory_type);

// The data types that a rate's key stands for: "fp8" is plain and block-scaled, "fp4" the block formats that
// the vendor's matrix units take. Empty for "fp32_matrix" and for what is not a rate.
std::vector<DataType> types_of_rate(std::string_view key, Architecture architecture);
// All keys that `peak`, `achievable` and `flops_per_clock` know.
const std::vector<std::string_view>& rate_keys();

}  // namespace orrery::hardware
