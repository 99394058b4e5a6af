#include "orrery/report/run_info.h"

#include <unistd.h>

#include <array>
#include <ctime>

namespace orrery::report {

RunInfo run_info(Seconds duration) {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return {duration, host.data(), date.data()};
}

}  // namespace orrery::report
