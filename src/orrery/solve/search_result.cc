#include "orrery/solve/search_result.h"

namespace orrery::solve {

const char* name(Stop stop) {
  switch (stop) {
    case Stop::Proven:
      return "proven optimal";
    case Stop::GapReached:
      return "gap reached";
    case Stop::WorkLimit:
      return "work limit";
    case Stop::TimeLimit:
      return "time limit";
    case Stop::Interrupted:
      return "interrupted";
    case Stop::Infeasible:
      return "infeasible";
  }
  return "";
}

}  // namespace orrery::solve
