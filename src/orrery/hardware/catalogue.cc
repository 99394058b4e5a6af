#include "orrery/hardware/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include "orrery/base/document.h"
#include "orrery/base/storage.h"
#include "orrery/base/text.h"
#include "orrery/hardware/accelerator_reader.h"
#include "orrery/hardware/device_reader.h"
#include "orrery/hardware/prices.h"

namespace orrery::hardware {
namespace {

// Words that say nothing about which GPU is meant.
constexpr std::array<std::string_view, 21> kEmptyWords = {
    "nvidia",     "amd",   "geforce", "instinct", "tesla",       "quadro", "radeon",
    "generation", "gen",   "edition", "gpu",      "tensor",      "core",   "oam",
    "hbm2",       "hbm2e", "hbm3",    "hbm3e",    "accelerator", "gb",     "gib"};
constexpr size_t kLongestName = 200;

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c));
}
bool is_number(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), is_digit);
}

// "80", "80g" and "80gib" mean what "80gb" does; 4090 and the like are models.
std::string normal_token(std::string word) {
  size_t digits = 0;
  while (digits < word.size() && is_digit(word[digits])) ++digits;
  std::string_view suffix = std::string_view(word).substr(digits);
  bool memory =
      digits >= 1 && digits <= 3 && (suffix.empty() || suffix == "g" || suffix == "gb" || suffix == "gib");
  if (memory) return word.substr(0, digits) + "gb";
  if (word.size() > 3 && word.starts_with("sxm") && is_number(std::string_view(word).substr(3))) return "sxm";
  return word;
}

void add_token(std::string word, std::vector<std::string>& tokens) {
  if (word.empty()) return;
  // "h100sxm5", "a100pcie", "rtx4090", "h200nvl": two words written as one.
  for (std::string_view form : {"sxm", "pcie", "nvl"}) {
    size_t at = word.find(form);
    if (at != std::string::npos && at > 0 && is_digit(word[at - 1])) {
      add_token(word.substr(0, at), tokens);
      add_token(word.substr(at), tokens);
      return;
    }
  }
  if (word.starts_with("rtx") && word.size() > 3) {
    tokens.push_back("rtx");
    add_token(word.substr(3), tokens);
    return;
  }
  if (std::find(kEmptyWords.begin(), kEmptyWords.end(), word) != kEmptyWords.end()) return;
  tokens.push_back(normal_token(std::move(word)));
}

bool holds_all(const std::vector<std::string>& of, const std::vector<std::string>& words) {
  return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
    return std::find(of.begin(), of.end(), word) != of.end();
  });
}

std::vector<std::string> sorted(std::vector<std::string> words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

// The shortest known name that goes on where the word stops ("h10"), else the nearest by edits.
std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
  std::string lowered = lower_case(word.substr(0, kLongestName));
  const std::string* shortest = nullptr;
  for (const std::string& name : known) {
    if (lowered.size() >= 2 && name.starts_with(lowered) && (!shortest || name.size() < shortest->size()))
      shortest = &name;
  }
  return shortest ? fmt::format("; did you mean '{}'?", *shortest) : did_you_mean(word, known);
}

bool is_path(std::string_view text) {
  return text.find('/') != std::string_view::npos || text.ends_with(".yaml") || text.ends_with(".yml") ||
         text.ends_with(".json");
}

std::vector<CatalogueEntry> read_entries(const std::string& folder) {
  std::vector<CatalogueEntry> entries;
  std::error_code failure;
  for (const auto& file : std::filesystem::directory_iterator(folder, failure)) {
    if (file.path().extension() != ".yaml") continue;
    Node root = read_document(file.path().string());
    CatalogueEntry entry;
    entry.name = file.path().stem().string();
    entry.title = root.at("name").text();
    if (const Node* aliases = root.find("aliases")) {
      for (const Node& alias : aliases->items()) entry.aliases.push_back(alias.text());
    }
    entry.path = file.path().string();
    entries.push_back(std::move(entry));
  }
  if (failure) throw InputError(fmt::format("{}: {}", folder, failure.message()));
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

const CatalogueEntry* exactly(const std::vector<CatalogueEntry>& entries, std::string_view name) {
  std::string lowered = lower_case(name.substr(0, kLongestName));
  for (const CatalogueEntry& entry : entries) {
    if (entry.name == lowered ||
        std::find(entry.aliases.begin(), entry.aliases.end(), lowered) != entry.aliases.end())
      return &entry;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> name_tokens(std::string_view name) {
  std::vector<std::string> tokens;
  std::string word;
  for (char c : lower_case(name.substr(0, kLongestName))) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += c;
    } else {
      add_token(std::move(word), tokens);
      word.clear();
    }
  }
  add_token(std::move(word), tokens);
  return tokens;
}

std::string CheckedOn::text() const {
  return models ? "models" : kernels ? "kernels" : "none";
}

Catalogue::Catalogue(const std::string& data_folder)
    : folder_(data_folder),
      entries_(read_entries(folder_ + "/gpus")),
      accelerators_(read_entries(folder_ + "/accelerators")) {}

const Catalogue& Catalogue::shipped() {
  static const Catalogue kShipped(data_folder());
  return kShipped;
}

const CatalogueEntry& Catalogue::resolve(std::string_view name) const {
  std::vector<std::string> wanted = sorted(name_tokens(name));
  std::vector<const CatalogueEntry*> partial;
  for (const CatalogueEntry& entry : entries_) {
    std::vector<std::string> title = name_tokens(entry.name);
    if (wanted == sorted(title)) return entry;
    for (const std::string& alias : entry.aliases) {
      if (wanted == sorted(name_tokens(alias))) return entry;
    }
    if (!wanted.empty() && holds_all(title, wanted)) partial.push_back(&entry);
  }
  if (partial.size() == 1) return *partial.front();
  if (partial.size() > 1) {
    std::vector<std::string> names;
    for (const CatalogueEntry* entry : partial) names.push_back(entry->name);
    throw InputError(fmt::format("GPU '{}' can be {}; give one of them", printable(name), join(names, ", ")));
  }
  std::vector<std::string> known;
  for (const CatalogueEntry& entry : entries_) {
    known.push_back(entry.name);
    known.insert(known.end(), entry.aliases.begin(), entry.aliases.end());
  }
  for (const CatalogueEntry& entry : accelerators_) known.push_back(entry.name);
  throw InputError(
      fmt::format("unknown GPU '{}'{}; 'orrery show gpus' lists all, and a .yaml file describes your own",
                  printable(name), suggestion(name, known)));
}

Device Catalogue::device(std::string_view name_or_path) const {
  bool own = is_path(name_or_path);
  const CatalogueEntry* accelerator = own ? nullptr : exactly(accelerators_, name_or_path);
  std::string path = own           ? std::string(name_or_path)
                     : accelerator ? accelerator->path
                                   : resolve(name_or_path).path;
  Node root = read_document(path);
  Device device = is_accelerator(root) ? read_accelerator(root)
                                       : read_device(root, read_families(folder_ + "/families.yaml"));
  if (!own) device.name = std::filesystem::path(path).stem().string();
  device.price = price_of(device.name, folder_);
  return device;
}

CheckedOn Catalogue::checked_on(std::string_view device_name) const {
  CheckedOn checked;
  std::string path = folder_ + "/weights/provenance.yaml";
  if (!file_exists(path)) return checked;
  Node root = read_document(path);
  const Node* gpus = root.find("gpus");
  if (!gpus) return checked;
  for (const Node& gpu : gpus->items()) {
    if (lower_case(gpu.at("name").text()) != lower_case(device_name)) continue;
    const Node* kernels = gpu.find("kernels");
    const Node* models = gpu.find("models");
    checked.kernels = kernels && !kernels->items().empty();
    checked.models = models && !models->items().empty();
    if (kernels) {
      for (const Node& type : kernels->items()) checked.data_types.push_back(type.text());
    }
  }
  return checked;
}

}  // namespace orrery::hardware
