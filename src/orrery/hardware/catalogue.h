// The shipped GPUs, found by the names that people, drivers and clouds use: "h100", "H100 SXM", "NVIDIA
// A100-SXM4-80GB", "GeForce RTX 4090", "mi300x". A file of one's own is given by its path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orrery/hardware/device.h"

namespace orrery::hardware {

struct CatalogueEntry {
  std::string name;   // "h100-sxm5-80gb"
  std::string title;  // "H100-SXM5-80GB"
  std::vector<std::string> aliases;
  std::string path;
};

// What a model's error on this device was measured against (data/weights/provenance.yaml); all false where
// there is nothing.
struct CheckedOn {
  bool kernels = false, models = false;
  std::vector<std::string> data_types;  // of the measured kernels
  std::string text() const;             // "models", "kernels" or "none": models count for more
};

class Catalogue {
 public:
  explicit Catalogue(const std::string& data_folder);  // throws InputError when a shipped file is damaged
  static const Catalogue& shipped();                   // of data_folder(), read once

  const std::vector<CatalogueEntry>& entries() const { return entries_; }            // GPUs, sorted by name
  const std::vector<CatalogueEntry>& accelerators() const { return accelerators_; }  // sorted by name

  // The GPU that a name means. Throws InputError (exit status 2) when none does, with the nearest, or when
  // several do, with the list of them.
  const CatalogueEntry& resolve(std::string_view name) const;

  // A device by name, or by path where the text holds a '/' or ends with .yaml, .yml or .json; accelerators
  // go by their exact name or alias. Prices are filled in.
  Device device(std::string_view name_or_path) const;

  CheckedOn checked_on(std::string_view device_name) const;

 private:
  std::string folder_;
  std::vector<CatalogueEntry> entries_, accelerators_;
};

// How names are compared: lower case, without vendor and product words, "a100 pcie 40gb" for "NVIDIA
// A100-PCIE-40GB".
std::vector<std::string> name_tokens(std::string_view name);

}  // namespace orrery::hardware
