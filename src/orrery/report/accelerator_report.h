// A found accelerator as `orrery plan accelerator` gives it: one value, shown as text, JSON, a page and
// files.
#pragma once

#include <string>
#include <vector>

#include "orrery/explore/accelerator_plan.h"
#include "orrery/explore/study_file.h"
#include "orrery/report/run_info.h"
#include "orrery/report/terminal_table.h"

namespace orrery::report {

struct AcceleratorReport {
  std::string command, search;  // search: "exact", "pruner", ...
  uint64_t seed = 1;
  explore::StudySpec spec;
  explore::AcceleratorStudy study;
  explore::AcceleratorPlan plan;
  std::vector<std::string> notes;  // of the study's readers
};

inline constexpr const char* kAcceleratorPlanSchema = "orrery.accelerator-plan/1";

// The best design, or why there is none.
std::string verdict_sentence(const AcceleratorReport& report);
// The scope of what is claimed, in a sentence: over this grid, this cost model, this scheduler.
std::string certificate_sentence(const AcceleratorReport& report);
// What binds the best design, in a sentence; "" where there is none.
std::string bound_by_sentence(const AcceleratorReport& report);
// What a pass takes where operators that run at once share DRAM, and what is left of the gain over the
// reference; "" where nothing was found.
std::string shared_dram_sentence(const AcceleratorReport& report);
// Whether it stays the best under the moved parameters, and whether it stays ahead of the reference.
std::string sensitivity_sentence(const AcceleratorReport& report);

std::string accelerator_text(const AcceleratorReport& report, const TerminalStyle& style);
std::string accelerator_json(const AcceleratorReport& report, const RunInfo& run, int indent = 2);

struct AcceleratorHtmlOptions {
  std::vector<std::string> files;  // written beside the page
};
std::string accelerator_html(const AcceleratorReport& report, const RunInfo& run,
                             const AcceleratorHtmlOptions& options = {});

}  // namespace orrery::report
