// `orrery validate wham`: the accelerator model, scheduler and searches against others' simulators, tables
// and silicon, and against exact answers. Parts:
//   cycles     SCALE-Sim's recorded runs; multiplications of seven published networks
//   area       Accelergy's areas; TPUv1's silicon
//   energy     Timeloop's reference outputs with its own energies an access; Eyeriss silicon; published TPUs
//   schedules  random graphs: laws that every schedule keeps, greedy beside the optimum, mirror conflicts
//   search     evaluations and seconds of every search to within 1 % of the optimum, on one cost model
//   tpuv2      the best design beside TPUv2, and whether its gain stays when costs move by 20 %
//   pipelines  one design for all stages, one a model, one a stage
// Sources: WHAM, arXiv 2404.14632; docs/wham.md.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/report/table.h"

namespace orrery::validate {

inline constexpr std::array kWhamParts = {"cycles", "area",  "energy",   "schedules",
                                          "search", "tpuv2", "pipelines"};

struct WhamValidation {
  report::Table asked;  // what is asked, and what came out
  std::vector<report::Table> tables;
  bool all_met() const;
};

struct WhamRequest {
  std::vector<std::string> parts;  // of kWhamParts; empty = all
  std::string data_folder;
  int seeds = 20;                          // of every search that draws
  std::vector<std::string> networks = {};  // of the search part: three where none are named
};

// Minutes, most of them for the seeds of every search. Throws NotFound without a data folder,
// InputError for a part that does not exist and for files that are missing or damaged, Interrupted.
WhamValidation validate_wham(const WhamRequest& request, const RunContext& context);

std::string wham_markdown(const WhamValidation& result);

}  // namespace orrery::validate
