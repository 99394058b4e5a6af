// What the `validate` commands share: where the measured data lie, and their answer as JSON.
#pragma once

#include <string>
#include <vector>

#include "orrery/report/table.h"

namespace orrery::cli {

// `given`, or the folder in ORRERY_DATA, or nothing.
std::string data_folder(const std::string& given);

std::string validation_json(const char* schema, const report::Table& asked,
                            const std::vector<report::Table>& tables);

}  // namespace orrery::cli
