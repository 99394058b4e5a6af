#include "orrery/trace/readers/ycsb_properties.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>

#include "orrery/base/error.h"
#include "orrery/base/storage.h"
#include "orrery/base/text.h"

namespace orrery::trace {
namespace {

struct Property {
  std::string key, value;
  Place place;  // of the value
};

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\f' || c == '\r';
}

// One pass over the text, as java.util.Properties.load reads it.
class PropertiesParser {
 public:
  PropertiesParser(const std::string& text, const std::string& file) : text_(text), file_(file) {}

  std::vector<Property> parse() {
    std::vector<Property> all;
    while (at_ < text_.size()) {
      skip_blanks();
      if (at_ >= text_.size()) break;
      if (text_[at_] == '\n') {
        step();
      } else if (text_[at_] == '#' || text_[at_] == '!') {
        while (at_ < text_.size() && text_[at_] != '\n') step();
      } else {
        all.push_back(property());
      }
    }
    return all;
  }

 private:
  void step() {
    if (text_[at_] == '\n') ++line_, column_ = 0;
    ++at_, ++column_;
  }
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) step();
  }
  Place here() const { return {file_, line_, column_}; }

  Property property() {
    Property property;
    property.key = token(true);
    skip_blanks();
    if (at_ < text_.size() && (text_[at_] == '=' || text_[at_] == ':')) step();
    skip_blanks();
    property.place = here();
    property.value = token(false);
    while (!property.value.empty() && is_blank(property.value.back())) property.value.pop_back();
    return property;
  }

  std::string token(bool key) {
    std::string out;
    while (at_ < text_.size() && text_[at_] != '\n') {
      const char c = text_[at_];
      if (key && (c == '=' || c == ':' || is_blank(c))) break;
      if (c == '\0') throw InputError(here(), "a NUL byte; expected the text of a YCSB properties file");
      if (c == '\\') {
        escape(out);
      } else {
        out += c;
        step();
      }
    }
    return out;
  }

  void escape(std::string& out) {
    const Place place = here();
    step();
    if (at_ < text_.size() && text_[at_] == '\r') step();
    if (at_ >= text_.size()) return;
    const char c = text_[at_];
    step();
    if (c == '\n') {
      skip_blanks();
    } else if (c == 'u') {
      unsigned code = 0;
      const auto [end, error] =
          std::from_chars(text_.data() + at_, text_.data() + std::min(at_ + 4, text_.size()), code, 16);
      if (error != std::errc() || end != text_.data() + at_ + 4 || code > 0x7f)
        throw InputError(place,
                         "an escape that is no ASCII character; expected \\u and four hex digits up to 007f");
      for (int i = 0; i < 4; ++i) step();
      out += static_cast<char>(code);
    } else {
      out += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
    }
  }

  const std::string& text_;
  const std::string& file_;
  size_t at_ = 0;
  int line_ = 1, column_ = 1;
};

[[noreturn]] void fail(const Property& property, const std::string& expected) {
  throw InputError(property.place,
                   property.key + " is '" + printable(property.value, 60) + "'; expected " + expected);
}

double number(const Property& property, double low, double high) {
  double value = 0;
  const char* end = property.value.data() + property.value.size();
  const auto [stop, error] = std::from_chars(property.value.data(), end, value);
  if (error != std::errc() || stop != end || !(value >= low && value <= high))
    fail(property, "a number from " + std::to_string(low) + " to " + std::to_string(high));
  return value;
}

uint64_t count(const Property& property, uint64_t low, uint64_t high) {
  uint64_t value = 0;
  const char* end = property.value.data() + property.value.size();
  const auto [stop, error] = std::from_chars(property.value.data(), end, value);
  if (error != std::errc() || stop != end || value < low || value > high)
    fail(property, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  return value;
}

void read_distribution(const Property& property, YcsbWorkload& workload) {
  const std::optional<KeyDistribution> found = find_key_distribution(property.value);
  if (!found) fail(property, "uniform, zipfian, latest, exponential, hotspot or sequential");
  workload.requests.distribution = *found;
}

using Reader = std::function<void(const Property&, YcsbWorkload&)>;

Reader share_of(double YcsbWorkload::*share) {
  return
      [share](const Property& property, YcsbWorkload& workload) { workload.*share = number(property, 0, 1); };
}

// What says something about the keys and operations; names and defaults are those of YCSB's CoreWorkload.
const std::map<std::string, Reader, std::less<>>& readers() {
  constexpr uint64_t kMost = uint64_t{1} << 40;
  constexpr uint64_t kLongestScan = 1'000'000'000;
  static const std::map<std::string, Reader, std::less<>> table = {
      {"recordcount", [](const Property& p, YcsbWorkload& w) { w.records = count(p, 1, kMost); }},
      {"operationcount", [](const Property& p, YcsbWorkload& w) { w.operations = count(p, 0, kMost); }},
      {"readproportion", share_of(&YcsbWorkload::read)},
      {"updateproportion", share_of(&YcsbWorkload::update)},
      {"insertproportion", share_of(&YcsbWorkload::insert)},
      {"scanproportion", share_of(&YcsbWorkload::scan)},
      {"readmodifywriteproportion", share_of(&YcsbWorkload::read_modify_write)},
      {"requestdistribution", read_distribution},
      {"minscanlength",
       [](const Property& p, YcsbWorkload& w) {
         w.shortest_scan = static_cast<uint32_t>(count(p, 1, kLongestScan));
       }},
      {"maxscanlength",
       [](const Property& p, YcsbWorkload& w) {
         w.longest_scan = static_cast<uint32_t>(count(p, 1, kLongestScan));
       }},
      {"scanlengthdistribution",
       [](const Property& p, YcsbWorkload& w) {
         if (p.value != "uniform" && p.value != "zipfian") fail(p, "uniform or zipfian");
         w.zipfian_scans = p.value == "zipfian";
       }},
      {"hotspotdatafraction",
       [](const Property& p, YcsbWorkload& w) { w.requests.hot_items = number(p, 1e-9, 1); }},
      {"hotspotopnfraction",
       [](const Property& p, YcsbWorkload& w) { w.requests.hot_requests = number(p, 0, 1); }},
      {"workload",
       [](const Property& p, YcsbWorkload&) {
         constexpr std::string_view kCore = "CoreWorkload";
         if (!std::string_view(p.value).ends_with(kCore))
           fail(p, "a CoreWorkload; no other class is known here");
       }},
  };
  return table;
}

// YCSB gives the exponential by two figures: this percentile of the requests falls within this share of the
// items.
void apply_exponential(const Property* percentile, const Property* fraction, YcsbWorkload& workload) {
  const double share = percentile ? number(*percentile, 1e-3, 99.9999) / 100 : .95;
  const double range = fraction ? number(*fraction, 1e-6, 1e6) : .8571428571;
  workload.requests.rate = -std::log1p(-share) / range;
}

}  // namespace

YcsbProperties parse_ycsb_properties(const std::string& text, const std::string& file) {
  YcsbProperties result;
  YcsbWorkload& workload = result.workload;
  workload.requests.distribution = KeyDistribution::Uniform;  // CoreWorkload's default
  workload.longest_scan = 1000;                               // likewise
  std::map<std::string, Property> last;                       // a later line replaces an earlier one
  for (Property& property : PropertiesParser(text, file).parse()) last[property.key] = property;
  const auto find = [&](const char* key) {
    const auto found = last.find(key);
    return found == last.end() ? nullptr : &found->second;
  };
  for (const auto& [key, property] : last) {
    const auto reader = readers().find(key);
    if (reader != readers().end()) {
      reader->second(property, workload);
    } else if (!key.starts_with("exponential.")) {
      result.ignored.push_back(key);
    }
  }
  apply_exponential(find("exponential.percentile"), find("exponential.frac"), workload);
  if (workload.longest_scan < workload.shortest_scan)
    fail(*(find("minscanlength") ? find("minscanlength") : find("maxscanlength")),
         "minscanlength up to maxscanlength");
  const double total =
      workload.read + workload.update + workload.insert + workload.scan + workload.read_modify_write;
  if (!(total > 0)) throw InputError(Place{file, 0, 0}, "all proportions are 0; expected one that is not");
  return result;
}

YcsbProperties read_ycsb_properties(const std::string& path) {
  return parse_ycsb_properties(read_file(path, uint64_t{16} << 20), path);
}

}  // namespace orrery::trace
