// The accelerator template that mined and published designs share: tensor cores (systolic arrays), vector
// cores, one global buffer. columns = X = width = PE_x, rows = Y = depth = PE_y; weight-stationary keeps the
// contraction on rows, n on columns.
#pragma once

#include <array>
#include <string>

#include "orrery/base/units.h"

namespace orrery::hardware {

struct Accelerator {
  int matrix_cores = 1, columns = 128, rows = 128;
  int vector_cores = 1, lanes = 128;
  Bytes matrix_buffer, vector_buffer;  // private to a core
  Bytes global_buffer;
  std::array<int, 3> words_per_cycle = {
      256, 4096, 1024};  // buffer → array (a core), global → buffers (chip), DRAM → global
  int word_bits = 16;
  Hertz clock{1.05e9};
  std::string technology = "22nm";
};

}  // namespace orrery::hardware
