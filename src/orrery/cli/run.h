// The command line as a function: parses, calls the library, prints. main() and the Python module both call
// it.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace orrery::cli {

// Arguments without the program's name. Returns the exit status: 0 done; 1 what was asked for does not exist;
// 2 bad input or usage; 3 a fault of ours; 130 interrupted.
int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace orrery::cli
