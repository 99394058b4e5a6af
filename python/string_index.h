// orrery.StringIndex: the index of strings for Python.
#pragma once

#include <pybind11/pybind11.h>

void bind_string_index(pybind11::module_& module);
