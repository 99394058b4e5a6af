// Grades a plan without the code that made it: every claim of a plan file is computed again from the plan
// itself and the files that it was made from, by plain counts and definitions. Nothing of a planner is
// included here, not even its evaluation, so that a fault there cannot hide.
//
// A plan file is JSON with a `schema`; which checker reads it stands in one table (check.cc).
#pragma once

#include <string>
#include <vector>

#include "orrery/base/document.h"
#include "orrery/base/units.h"

namespace orrery::study {

enum class Verdict {
  Holds,
  Fails,      // the plan says what is not so
  NotProven,  // a bound that may be true, and is above what is proven here
};
const char* name(Verdict verdict);

struct Claim {
  std::string name;
  std::string claimed, recomputed;  // as a person reads them
  Verdict verdict = Verdict::Holds;
  std::string why;  // what is wrong, where it fails
};

struct CheckOptions {
  std::vector<std::string> inputs;  // in place of the files that the plan names
  Seconds bound_limit{30};          // for a lower bound of our own
};

struct Verification {
  std::string file, schema, subject;  // subject: what was checked, in a line
  std::vector<Claim> claims;
  std::vector<std::string> notes;
  bool holds() const;  // no claim fails
};

// Throws InputError for a file that is no plan, whose schema is not known or that lacks what its schema asks
// for, and for inputs that cannot be read.
Verification check_plan(const std::string& path, const CheckOptions& options = {});

// The checkers, one a kind of plan: `root` is the plan's document.
Verification check_experts_plan(const Node& root, const std::string& path, const CheckOptions& options);
Verification check_accelerator_plan(const Node& root, const std::string& path, const CheckOptions& options);

// A claimed figure against its recount: holds within `tolerance` of the larger.
Claim figure_claim(std::string name, double claimed, double recomputed, double tolerance);

}  // namespace orrery::study
