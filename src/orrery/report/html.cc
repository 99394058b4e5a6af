#include "orrery/report/html.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

namespace orrery::report {

// Generated from the files at build time: the name of each and its content.
extern const std::pair<std::string_view, std::string_view> kAssets[];
extern const size_t kAssetCount;

std::string_view asset(std::string_view name) {
  for (size_t i = 0; i < kAssetCount; ++i) {
    if (kAssets[i].first == name) return kAssets[i].second;
  }
  return {};
}

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 32 || c == '\n' || c == '\t') out += c;
    }
  }
  return out;
}

std::string page(const PageParts& parts) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n";
  out += "<title>" + escape(parts.title) + "</title>\n";
  for (std::string_view style : parts.styles) out += "<style>\n" + std::string(style) + "</style>\n";
  // Before anything is drawn: what needs scripts shows only where they run.
  out += "<script>document.documentElement.classList.add('js')</script>\n</head>\n<body>\n" + parts.body;
  for (const PageParts::Data& data : parts.data) {
    out += "<script type=\"application/json\" id=\"" + escape(data.id) + "\">";
    for (char c : data.json) out += c == '<' ? std::string("\\u003c") : std::string(1, c);
    out += "</script>\n";
  }
  for (std::string_view script : parts.scripts) out += "<script>\n" + std::string(script) + "</script>\n";
  return out + "</body>\n</html>\n";
}

struct ShownJson::Document {
  nlohmann::ordered_json root;
  const nlohmann::ordered_json* find(const std::string& pointer) const {
    nlohmann::ordered_json::json_pointer at(pointer);
    return root.contains(at) ? &root.at(at) : nullptr;
  }
};

ShownJson::ShownJson(std::string_view json, std::string attribute)
    : document_(std::make_unique<Document>(Document{nlohmann::ordered_json::parse(json)})),
      attribute_(std::move(attribute)) {}
ShownJson::~ShownJson() = default;

bool ShownJson::known(const std::string& pointer) const {
  const auto* found = document_->find(pointer);
  return found && !found->is_null();
}

bool ShownJson::flag(const std::string& pointer) const {
  const auto* found = document_->find(pointer);
  return found && found->is_boolean() && found->get<bool>();
}

size_t ShownJson::size(const std::string& pointer) const {
  const auto* found = document_->find(pointer);
  return found && found->is_array() ? found->size() : 0;
}

double ShownJson::value(const std::string& pointer) const {
  const auto* found = document_->find(pointer);
  return found && found->is_number() ? found->get<double>() : std::numeric_limits<double>::quiet_NaN();
}

std::string ShownJson::raw(const std::string& pointer) const {
  const auto* found = document_->find(pointer);
  return found && found->is_string() ? found->get<std::string>() : std::string();
}

std::string ShownJson::text(const std::string& pointer) const {
  return escape(raw(pointer));
}

std::string ShownJson::span(const std::string& pointer, double scale, const std::string& shown) const {
  std::string factor = scale == 1 ? std::string() : fmt::format(" data-scale=\"{}\"", scale);
  return "<span " + attribute_ + "=\"" + escape(pointer) + "\"" + factor + ">" + shown + "</span>";
}

std::string ShownJson::number(const std::string& pointer, double scale, int decimals) const {
  double v = value(pointer) * scale;
  if (!std::isfinite(v)) return "<span class=\"none\">–</span>";
  return span(pointer, scale, show(v, decimals));
}

std::string ShownJson::banded(const std::string& pointer, const std::string& unit, double scale) const {
  std::string at = pointer + "/value" + unit, margin_at = pointer + "/margin" + unit;
  double v = value(at) * scale, m = value(margin_at) * scale;
  if (!std::isfinite(v)) return "<span class=\"none\">–</span>";
  std::string shown = show(number_with_margin(v, m));
  size_t split = shown.find(" ±");
  if (split == std::string::npos) return span(at, scale, shown);
  constexpr size_t kSignBytes = 3;  // " ±" in UTF-8
  return span(at, scale, shown.substr(0, split)) + " <span class=\"margin\">±" +
         span(margin_at, scale, shown.substr(split + kSignBytes)) + "</span>";
}

}  // namespace orrery::report
