// A file of facts as JSON, value for value: what `show ... NAME --json` prints.
#pragma once

#include <string>

namespace orrery::cli {

std::string document_as_json(const std::string& path);

}  // namespace orrery::cli
