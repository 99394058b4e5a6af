#include "orrery/cost/operator_model.h"

namespace orrery::cost {

const char* name(Bound bound) {
  switch (bound) {
    case Bound::Compute:
      return "compute";
    case Bound::Memory:
      return "memory";
    case Bound::Cache:
      return "cache";
    case Bound::Launch:
      return "launch";
    case Bound::Power:
      return "power";
    case Bound::Link:
      return "link";
  }
  return "";
}

}  // namespace orrery::cost
