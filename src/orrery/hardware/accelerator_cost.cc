#include "orrery/hardware/accelerator_cost.h"

#include <fmt/format.h>

namespace orrery::hardware {
namespace {

void note_capacity(const CapacityTable& table, Bytes capacity, std::string_view what,
                   std::vector<std::string>& notes) {
  if (table.holds(capacity)) return;
  bool outside = capacity < table.points().front().capacity || capacity > table.points().back().capacity;
  notes.push_back(fmt::format("the area of {} of {:g} KiB is {} the table's capacities", what,
                              capacity.value() / 1024,
                              outside ? "extrapolated beyond" : "interpolated between"));
}

SquareMetres matrix_core_area(const Accelerator& chip, const AreaTable& table) {
  return table.element(chip.word_bits, chip.matrix_registers) * chip.matrix_elements() +
         table.buffer.area(matrix_buffer(chip)) * (chip.matrix_buffers * table.memory_factor);
}

SquareMetres vector_core_area(const Accelerator& chip, const AreaTable& table) {
  return table.element(chip.word_bits, chip.vector_registers) * chip.lanes +
         table.buffer.area(vector_buffer(chip)) * table.memory_factor;
}

SquareMetres global_buffer_area(const Accelerator& chip, const AreaTable& table) {
  return table.global_buffer.area(chip.global_buffer) * table.memory_factor;
}

}  // namespace

SquareMetres core_area(const Accelerator& chip, const AreaTable& table) {
  return matrix_core_area(chip, table) * chip.matrix_cores +
         vector_core_area(chip, table) * chip.vector_cores + global_buffer_area(chip, table);
}

AreaBreakdown area(const Accelerator& chip, const AreaTable& table) {
  AreaBreakdown area;
  area.matrix_cores = matrix_core_area(chip, table) * chip.matrix_cores;
  area.vector_cores = vector_core_area(chip, table) * chip.vector_cores;
  area.global_buffer = global_buffer_area(chip, table);
  area.uncore = chip.uncore.area;
  area.notes = table.notes;
  note_capacity(table.buffer, matrix_buffer(chip), "a matrix core's buffer", area.notes);
  note_capacity(table.buffer, vector_buffer(chip), "a vector core's buffer", area.notes);
  note_capacity(table.global_buffer, chip.global_buffer, "a global buffer", area.notes);
  if (chip.word_bits != table.operand_bits) {
    area.notes.push_back(fmt::format("{}-bit elements beside memories of the {}-bit table {}", chip.word_bits,
                                     table.operand_bits, table.name));
  }
  return area;
}

PowerBreakdown thermal_design_power(const Accelerator& chip, BytesPerSecond dram, SquareMetres core,
                                    double calibration) {
  // Energies are per word of the table's width; others in proportion.
  const EnergyTable& energy = chip.energy;
  double width = static_cast<double>(chip.word_bits) / energy.word_bits;
  double cycle = (energy.multiply_accumulate + energy.registers * energy.register_accesses).value() * width;
  double clock = chip.clock.value(), table_word = energy.word_bits / 8.0;
  PowerBreakdown power;
  power.calibration = calibration;
  power.matrix_cores = Watts(chip.matrix_cores * chip.matrix_elements() * cycle * clock * calibration);
  power.vector_cores = Watts(1.0 * chip.vector_cores * chip.lanes * cycle * clock * calibration);
  power.global_buffer = Watts(chip.global_bytes_per_cycle / table_word * clock *
                              energy.global_buffer(chip.global_buffer).value() * calibration);
  power.dram = Watts(dram.value() / table_word * energy.dram.value() * calibration);
  power.leakage = Watts(energy.leakage * core.value());
  power.uncore = chip.uncore.power;
  return power;
}

double power_calibration(const Accelerator& chip, BytesPerSecond dram, SquareMetres core, Watts published) {
  PowerBreakdown power = thermal_design_power(chip, dram, core);
  double still = (power.leakage + power.uncore).value();
  if (published.value() <= still) {
    throw InputError(
        fmt::format("a power of {} is below leakage and uncore alone ({}): nothing to calibrate with",
                    format(published), format(Watts(still))));
  }
  return (published.value() - still) / power.dynamic().value();
}

}  // namespace orrery::hardware
