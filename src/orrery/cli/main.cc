#include <iostream>

#include "orrery/cli/run.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  int status = orrery::cli::run({argv + 1, argv + argc}, std::cout, std::cerr);
  std::cout.flush();
  return status;
}
