// The files of a found accelerator: every design that was evaluated, the best one as a platform, and the best
// one as other simulators take it, to be checked there.
#pragma once

#include <string>

#include "orrery/report/accelerator_report.h"

namespace orrery::report {

// One row a design, in the order of evaluation: its tuple, area, TDP, objective, makespans.
std::string designs_csv(const AcceleratorReport& report);

// The best design as an accelerator file: `predict latency --device FILE` takes it. The plan must have a
// best.
std::string found_accelerator_yaml(const AcceleratorReport& report);

// What SCALE-Sim 3 (pip install scalesim) needs to run the best design's products, one matrix core, one layer
// a distinct product: scalesim -c CFG -t TOPOLOGY -l LAYOUT -i gemm. `cycles` holds what Orrery expects its
// COMPUTE_REPORT.csv to say (`--array scalesim`): the index of the last cycle, and how often a pass runs the
// layer. Without a dataflow of the study's own: weight-stationary.
struct ScaleSimExport {
  std::string configuration, topology, layout, cycles;
};
ScaleSimExport scalesim_export(const AcceleratorReport& report);

// Timeloop's architecture file, version 0.4 (github.com/NVlabs/timeloop): DRAM, global buffer, matrix cores
// as containers of processing elements with their registers. Vector cores are not Timeloop's to map.
std::string timeloop_architecture(const AcceleratorReport& report);

// A lane a core, for each workload.
std::string accelerator_timeline(const AcceleratorReport& report);

}  // namespace orrery::report
