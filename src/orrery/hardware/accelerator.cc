#include "orrery/hardware/accelerator.h"

#include <fmt/format.h>

#include <algorithm>

namespace orrery::hardware {
namespace {

constexpr double kKibi = 1024, kElementsPerKibi = 64;
constexpr double kLeastBytesPerCycle = 4, kBytesPerSide = 16;

}  // namespace

Bytes derived_buffer(double elements) {
  return Bytes(kKibi * std::max(1.0, elements / kElementsPerKibi));
}

Bytes matrix_buffer(const Accelerator& chip) {
  return chip.matrix_buffer.value() > 0 ? chip.matrix_buffer : derived_buffer(chip.matrix_elements());
}

Bytes vector_buffer(const Accelerator& chip) {
  return chip.vector_buffer.value() > 0 ? chip.vector_buffer : derived_buffer(chip.lanes);
}

double core_bytes_per_cycle(const Accelerator& chip, int longer_side) {
  return std::min(chip.global_bytes_per_cycle, std::max(kLeastBytesPerCycle, kBytesPerSide * longer_side));
}

std::string tuple_text(const Accelerator& chip) {
  return fmt::format("{} x {}x{}, {} x {}, {:g} MiB", chip.matrix_cores, chip.columns, chip.rows,
                     chip.vector_cores, chip.lanes, chip.global_buffer.value() / (kKibi * kKibi));
}

}  // namespace orrery::hardware
