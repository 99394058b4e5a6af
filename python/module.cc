// Bindings: the command line as a function, so that Python sees exactly what the command prints.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <iostream>
#include <sstream>

#include "orrery/base/storage.h"
#include "orrery/cli/run.h"
#include "string_index.h"

namespace py = pybind11;

PYBIND11_MODULE(_core, module) {
  bind_string_index(module);
  module.def("version", [] { return std::string(orrery::version()); });
  module.def(
      "run",
      [](const std::vector<std::string>& arguments) {
        std::ostringstream out, err;
        int status;
        {
          py::gil_scoped_release others_may_run;
          status = orrery::cli::run(arguments, out, err);
        }
        return py::make_tuple(status, out.str(), err.str());
      },
      "Runs a command; returns (exit status, standard output, standard error).");
  module.def("main", [](const std::vector<std::string>& arguments) {
    py::gil_scoped_release others_may_run;
    return orrery::cli::run(arguments, std::cout, std::cerr);
  });
}
