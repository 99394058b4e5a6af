#include "orrery/explore/accelerator_plan.h"

#include <fmt/format.h>

namespace orrery::explore {
namespace {

constexpr std::array<std::string_view, 3> kObjectives = {"throughput", "perf-per-tdp", "edp"};

std::vector<int> powers_of_two(int least, int most) {
  std::vector<int> values;
  for (int value = least; value <= most; value *= 2) values.push_back(value);
  return values;
}

std::vector<int> steps(int least, int most, int step) {
  std::vector<int> values;
  for (int value = least; value <= most; value += step) values.push_back(value);
  return values;
}

}  // namespace

std::string tuple_text(const DesignPoint& p) {
  return fmt::format("<{}, {}x{}, {}, {}, {:g} MiB>", p.matrix_cores, p.columns, p.rows, p.vector_cores,
                     p.lanes, static_cast<double>(p.global_buffer) / 1048576.0);
}

DesignPoint design_point(const hardware::Accelerator& chip) {
  return {chip.matrix_cores, chip.columns, chip.rows,
          chip.vector_cores, chip.lanes,   static_cast<int64_t>(chip.global_buffer.value())};
}

hardware::Accelerator accelerator(const DesignPoint& point, const hardware::Accelerator& base) {
  hardware::Accelerator chip = base;
  chip.matrix_cores = point.matrix_cores;
  chip.columns = point.columns;
  chip.rows = point.rows;
  chip.vector_cores = point.vector_cores;
  chip.lanes = point.lanes;
  chip.global_buffer = Bytes(static_cast<double>(point.global_buffer));
  chip.matrix_buffer = chip.vector_buffer = Bytes(0);
  return chip;
}

const hardware::Accelerator& chip_of(const hardware::Device& base) {
  const hardware::Accelerator* chip = base.accelerator();
  if (!chip) throw InputError("'" + base.name + "' is no accelerator: its cores cannot be varied");
  return *chip;
}

hardware::Device device(const DesignPoint& point, const hardware::Device& base) {
  hardware::Device found = base;
  found.architecture = accelerator(point, chip_of(base));
  return found;
}

size_t AcceleratorSpace::size() const {
  return columns.size() * rows.size() * (lanes_equal_columns ? 1 : lanes.size()) * matrix_cores.size() *
         vector_cores.size() * global_buffers.size();
}

AcceleratorSpace power_of_two_space(int least, int most, int most_matrix_cores, int most_vector_cores,
                                    int64_t global_buffer) {
  AcceleratorSpace space;
  space.columns = space.rows = space.lanes = powers_of_two(least, most);
  space.matrix_cores = steps(1, most_matrix_cores, 1);
  space.vector_cores = steps(1, most_vector_cores, 1);
  space.global_buffers = {global_buffer};
  return space;
}

AcceleratorSpace step_16_space(int most_matrix_cores, int most_vector_cores, int64_t global_buffer) {
  AcceleratorSpace space;
  space.columns = space.rows = steps(16, 256, 16);
  space.lanes = steps(32, 512, 32);
  space.matrix_cores = steps(1, most_matrix_cores, 1);
  space.vector_cores = steps(1, most_vector_cores, 1);
  space.global_buffers = {global_buffer};
  return space;
}

AcceleratorSpace phaze_space(SquareMetres area_limit) {
  AcceleratorSpace space;
  space.columns = space.rows = powers_of_two(2, 256);
  space.matrix_cores = space.vector_cores = powers_of_two(1, 4096);
  for (int mib : powers_of_two(2, 128)) space.global_buffers.push_back(int64_t{mib} << 20);
  space.lanes_equal_columns = true;
  space.least_area = area_limit * 0.3;
  return space;
}

std::string_view name(AcceleratorObjective objective) {
  return kObjectives[static_cast<size_t>(objective)];
}

std::optional<AcceleratorObjective> parse_accelerator_objective(std::string_view text) {
  for (size_t i = 0; i < kObjectives.size(); ++i) {
    if (kObjectives[i] == text) return static_cast<AcceleratorObjective>(i);
  }
  return std::nullopt;
}

}  // namespace orrery::explore
