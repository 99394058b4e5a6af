// Pages that stand alone: one file with its style, scripts and data inside, which opens offline and asks the
// network for nothing (its content policy forbids it). Text reaches a page through escape() alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "orrery/report/table.h"

namespace orrery::report {

// Safe as text and inside of quoted attributes; control characters are dropped.
std::string escape(std::string_view text);

struct PageParts {
  std::string title, body;  // title: text; body: HTML
  struct Data {
    std::string id, json;
  };
  std::vector<Data> data;                         // <script type="application/json" id=...>
  std::vector<std::string_view> styles, scripts;  // from asset()
};
std::string page(const PageParts& parts);

// A file of src/orrery/report/page, or the chart library, built into the program: "report.css", "chart.js".
std::string_view asset(std::string_view name);

// A JSON document that a page shows. Every number comes out with the JSON pointer that it stands at in an
// attribute, so that a test, and a reader, can compare the two. What is absent or null shows as "–".
class ShownJson {
 public:
  explicit ShownJson(std::string_view json, std::string attribute = "data-json");
  ~ShownJson();
  ShownJson(const ShownJson&) = delete;
  ShownJson& operator=(const ShownJson&) = delete;

  bool known(const std::string& pointer) const;    // there, and not null
  bool flag(const std::string& pointer) const;     // true where a true stands
  size_t size(const std::string& pointer) const;   // of a list; 0 where there is none
  double value(const std::string& pointer) const;  // NaN where there is no number
  std::string raw(
      const std::string& pointer) const;  // a text as it is, "" where there is none: not for a page
  std::string text(const std::string& pointer) const;  // the same, escaped

  // <span data-json="/a/b" data-scale="1000">61.2</span>: value times scale.
  std::string number(const std::string& pointer, double scale = 1, int decimals = kSignificant) const;
  // "61 ±5" of an interval object; `unit` is the suffix of its fields ("_s").
  std::string banded(const std::string& pointer, const std::string& unit, double scale) const;

 private:
  std::string span(const std::string& pointer, double scale, const std::string& shown) const;
  struct Document;
  std::unique_ptr<Document> document_;
  std::string attribute_;
};

}  // namespace orrery::report
