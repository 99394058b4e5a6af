// What a design of the accelerator template takes: area by part, and the power that it must be able to draw.
//
//   area = S_G(G) + n_tc·(rows·columns·PE(bits, registers) + m·S_L(L_tc)) + n_vc·(lanes·PE + S_L(L_vc))
//   TDP  = Σ PEs·(e_mac + a·e_reg)·f + words of the global buffer a second·e_G + words of DRAM a second·e_D
//          + leakage·area + uncore
// TDP is the sum of everything busy at once, never the average of a run.
#pragma once

#include <string>
#include <vector>

#include "orrery/hardware/accelerator.h"
#include "orrery/hardware/technology.h"

namespace orrery::hardware {

struct AreaBreakdown {
  SquareMetres matrix_cores, vector_cores, global_buffer, uncore;
  std::vector<std::string> notes;  // what was interpolated, extrapolated, scaled
  SquareMetres core() const { return matrix_cores + vector_cores + global_buffer; }
  SquareMetres chip() const { return core() + uncore; }
};

AreaBreakdown area(const Accelerator&, const AreaTable&);
// The same, without notes: for searches.
SquareMetres core_area(const Accelerator&, const AreaTable&);

struct PowerBreakdown {
  Watts matrix_cores, vector_cores, global_buffer, dram, leakage, uncore;
  double calibration = 1;  // factor on the dynamic parts, already in them
  Watts dynamic() const { return matrix_cores + vector_cores + global_buffer + dram; }
  Watts total() const { return dynamic() + leakage + uncore; }
};

// calibration: a factor on the dynamic part for what the template leaves out (clock tree, ports, voltage
// margin).
PowerBreakdown thermal_design_power(const Accelerator&, BytesPerSecond dram, SquareMetres core,
                                    double calibration = 1);

// The factor with which a design lands on its published power. Throws InputError where leakage and uncore
// alone exceed it.
double power_calibration(const Accelerator&, BytesPerSecond dram, SquareMetres core, Watts published);

}  // namespace orrery::hardware
