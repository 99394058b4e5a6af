// The fitted constants of the operator models, one file with a section for each law. Format (JSON):
//   {"format": "orrery-weights", "version": 1,
//    "sections": {"gemm": {"provenance": {"gpus": ["H100-SXM5-80GB", ...], "dtypes": [...], "rows": 1234,
//    "seed": 1,
//                                         "command": "orrery fit ...", "source": "..."},
//                          "parameters": ...}, ...}}
// What stands in `parameters` belongs to the law alone. A section is cut out as text when the file is read
// and parsed by its law when that is first needed, so that loading costs a scan. Immutable after reading;
// safe to share between threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::cost {

struct Provenance {
  std::vector<std::string> gpus;  // titles, as the measured files write them: "H100-SXM5-80GB"
  std::vector<std::string> dtypes;
  int64_t rows = 0, seed = 0;
  std::string command, source;
};

class Weights {
 public:
  // Throws InputError for a file that is missing, is no weights file, or has another version.
  static std::shared_ptr<const Weights> read(const std::string& path);
  static std::shared_ptr<const Weights> parse(std::string text, std::string file);
  // data/weights/default.json, read once.
  static std::shared_ptr<const Weights> shipped();
  static std::string shipped_path();

  bool has(std::string_view law) const { return sections_.contains(law); }
  // The law's `parameters` as JSON text, and the file that they stand in. Throws InputError when there is no
  // such section.
  std::string_view parameters(std::string_view law) const;
  const std::string& file_of(std::string_view law) const;
  const Provenance& provenance(std::string_view law) const;
  std::vector<std::string> laws() const;
  // Whether rows of this GPU (any of the names) are among those that a law was fitted on.
  bool saw(const std::vector<std::string>& names) const;
  // "default.json, fitted on A100-SXM4-80GB, H100-SXM5-80GB, L40S"
  std::string title() const;
  uint64_t fingerprint() const { return fingerprint_; }
  const std::string& file() const { return file_; }

 private:
  struct Section {
    std::string_view parameters;
    std::string beside;  // path of the file that holds them, or empty
    mutable std::string content;
    mutable std::once_flag loaded;
    Provenance provenance;
  };
  const Section& section(std::string_view law) const;
  std::string text_, file_;
  std::map<std::string, Section, std::less<>> sections_;
  uint64_t fingerprint_ = 0;
};

// The members of a JSON object as (key, raw value text), nested values uncut. Throws InputError where the
// text is no object.
std::vector<std::pair<std::string, std::string_view>> json_members(std::string_view object,
                                                                   const std::string& file);

// Nine significant digits: what weight files carry, so that a file read and written again is the same.
double rounded(double x);

}  // namespace orrery::cost
