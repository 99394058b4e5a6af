// Timeloop's reference outputs for one convolution on three designs, and our counts of the same mappings with
// its own energies an access.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orrery/cost/accelerator/loop_nest.h"
#include "orrery/report/table.h"

namespace orrery::validate {

struct TimeloopComponent {
  std::string name;
  double theirs = 0, ours = 0;  // fJ a multiplication
  double difference() const { return ours / theirs - 1; }
};
struct TimeloopDesign {
  std::string name;
  double their_cycles = 0, our_cycles = 0;
  double their_microjoules = 0, our_microjoules = 0;
  std::vector<TimeloopComponent> components;  // memories from the outside in, then the multiplier
};

// Of wham/timeloop-reference.csv and wham/timeloop-mappings.txt in the folder of measured data. Throws
// InputError for files that are missing or damaged.
std::vector<TimeloopDesign> compare_with_timeloop(const std::string& data_folder);
// A mapping as Timeloop prints it: the loop nests by name of the design.
struct TimeloopMapping {
  std::string design;
  cost::LoopNest nest;
};
std::vector<TimeloopMapping> parse_timeloop_mappings(std::string_view text, const std::string& file,
                                                     int64_t stride);

report::Table timeloop_table(const std::vector<TimeloopDesign>& designs);

}  // namespace orrery::validate
