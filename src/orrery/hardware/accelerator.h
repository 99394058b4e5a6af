// The accelerator template that mined and published designs share: matrix cores (systolic arrays), vector
// cores, one global buffer. columns = X = width = PE_x, rows = Y = depth = PE_y; weight-stationary keeps the
// contraction on rows and n on columns. One operator occupies one core of each kind that it needs; cores
// share the global buffer and the DRAM (WHAM, arXiv 2404.14632, section 3; PHAZE, arXiv 2407.13143).
#pragma once

#include <string>

#include "orrery/base/units.h"
#include "orrery/hardware/technology.h"

namespace orrery::hardware {

// The part of a chip that the template leaves out: PHYs of memory and links, control, clock tree. Never
// inside the area law; reports print core and chip apart.
struct Uncore {
  SquareMetres area;
  Watts power;
};

// Capacities of 0 follow from the rule of the releases; see matrix_buffer and vector_buffer below.
struct Accelerator {
  int matrix_cores = 1, columns = 128, rows = 128;
  int vector_cores = 1, lanes = 128;
  Bytes matrix_registers{32}, vector_registers{12};  // per processing element
  Bytes matrix_buffer, vector_buffer;  // private to a core, and per operand where there are several
  int matrix_buffers = 1;              // buffers of a matrix core that the area pays for
  Bytes global_buffer = Bytes(32.0 * 1024 * 1024);
  double global_bytes_per_cycle = 4096;  // global buffer to cores, the whole chip
  int word_bits = 16, accumulator_bits = 32;
  Hertz clock{1.05e9};
  std::string area_table = "cacti22-w16";  // in data/technologies
  EnergyTable energy;                      // no name: not known
  Uncore uncore;

  double matrix_elements() const {
    return static_cast<double>(rows) * columns;
  }  // processing elements of a core
  double word_bytes() const { return word_bits / 8.0; }
};

// The private buffer that `elements` processing elements need at least: max(1, elements / 64) KiB.
Bytes derived_buffer(double elements);
// A core's private buffer: as given, or derived.
Bytes matrix_buffer(const Accelerator&);
Bytes vector_buffer(const Accelerator&);

// Bytes a cycle from the global buffer to one core: 16 bytes a row or column of its longer side, at least 4,
// at most the chip's; a vector core is a single row of lanes.
double core_bytes_per_cycle(const Accelerator&, int longer_side);

// "2 x 128x128, 2 x 128, 32 MiB": matrix cores by columns and rows, vector cores by lanes, global buffer.
std::string tuple_text(const Accelerator&);

}  // namespace orrery::hardware
