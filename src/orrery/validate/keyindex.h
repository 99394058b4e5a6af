// The string index's training against what it must equal: fresh fits, exact integers, plain searches; and how
// much the memo saves, in microseconds and in throughput of two structures from the literature.
#pragma once

#include <string>
#include <vector>

#include "orrery/base/run_context.h"
#include "orrery/report/table.h"
#include "orrery/trace/key_set.h"

namespace orrery::validate {

struct KeyIndexValidationRequest {
  // A folder of key files, one key a line (as scripts/fetch-keys.sh makes it); empty: the words of this
  // machine if it has them, and synthetic keys, which say so.
  std::string folder;
  size_t most_keys = 1'000'000;  // of a file: a run of consecutive ones from its middle
  size_t groups = 200;           // tried a data set
};

struct KeyIndexValidationResult {
  std::vector<report::Table> tables;
  bool all_met =
      true;  // the checks of exactness and the speed targets; figures without a target do not count
};

// Some minutes at most.
KeyIndexValidationResult validate_keyindex(const KeyIndexValidationRequest& request,
                                           const RunContext& context);

// The key sets of a request.
std::vector<trace::KeySet> validation_keys(const KeyIndexValidationRequest& request);

// One part each; they set all_met to false where a target is missed.
report::Table keyindex_exactness(const std::vector<trace::KeySet>& sets, size_t groups, bool& all_met);
report::Table keyindex_deletes(const std::vector<trace::KeySet>& sets, bool& all_met);
report::Table keyindex_windows(const std::vector<trace::KeySet>& sets);
report::Table keyindex_training_speed(const std::vector<trace::KeySet>& sets, bool& all_met);
report::Table keyindex_throughput(const std::vector<trace::KeySet>& sets, bool& all_met);
report::Table keyindex_accelerator(const std::vector<trace::KeySet>& sets, bool& all_met);

}  // namespace orrery::validate
