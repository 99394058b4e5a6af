#include "orrery/report/latency_html.h"

#include <gtest/gtest.h>

#include <limits>
#include <regex>

#include "orrery/hardware/catalogue.h"
#include "orrery/report/html.h"
#include "orrery/report/latency_sample.h"

namespace orrery::report {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// What a reader sees: the page without scripts, styles, data and tags.
std::string visible(std::string page) {
  for (const char* element : {"script", "style"}) {
    std::string open = std::string("<") + element, close = std::string("</") + element + ">";
    for (size_t at = page.find(open); at != std::string::npos; at = page.find(open, at)) {
      page.erase(at, page.find(close, at) + close.size() - at);
    }
  }
  std::string out;
  bool tag = false;
  for (char c : page) {
    if (c == '<') tag = true;
    if (!tag) out += c;
    if (c == '>') tag = false;
  }
  return out;
}

size_t count(const std::string& text, const std::string& word) {
  size_t n = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

TEST(LatencyHtml, sections_stand_in_the_order_of_a_decision) {
  std::string page = latency_html(sample_serving_report(), sample_validation(), {});
  size_t before = 0;
  for (const char* id :
       {"class=\"verdict\"", "id=\"devices\"", "id=\"trust\"", "id=\"memory\"", "id=\"roofline\"",
        "id=\"classes\"", "id=\"curves\"", "id=\"timeline\"", "id=\"sources\""}) {
    size_t at = page.find(id);
    ASSERT_NE(at, std::string::npos) << id;
    EXPECT_GT(at, before) << id;
    before = at;
  }
}

TEST(LatencyHtml, asks_nothing_of_the_network) {
  std::string page = latency_html(sample_serving_report(), {}, {},
                                  {.json_file = "latency.json", .timeline_file = "timeline.json"});
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  for (const char* tag :
       {"<img", "<iframe", "<script src", "@import", "<link rel=\"stylesheet", "url(http"}) {
    EXPECT_EQ(page.find(tag), std::string::npos) << tag;
  }
}

TEST(LatencyHtml, hostile_names_stay_text) {
  schedule::LatencyReport report = hostile_report();
  LatencyValidation validation = sample_validation();
  validation.series[0].what = "</td><script>alert(3)</script>";
  std::string plain = latency_html(sample_serving_report(), sample_validation(), {});
  std::string page =
      latency_html(report, validation, {},
                   {.json_file = "\"><script>alert(4)</script>", .timeline_file = "javascript'\""});
  EXPECT_EQ(count(page, "<script"), count(plain, "<script"));
  EXPECT_EQ(count(page, "</script"), count(plain, "</script"));
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("<!--"), std::string::npos);
}

TEST(LatencyHtml, a_class_without_measurements_gets_a_grey_box) {
  std::string with = latency_html(sample_serving_report({"h100-sxm5-80gb"}), sample_validation(), {});
  std::string without = latency_html(sample_serving_report({"mi300x"}), sample_validation(), {});
  EXPECT_EQ(with.find("card unknown"), std::string::npos);
  EXPECT_NE(without.find("card unknown"), std::string::npos);
  EXPECT_EQ(without.find("data-chart=\"validation\""), std::string::npos);
}

TEST(LatencyHtml, nan_and_infinity_are_never_shown) {
  schedule::LatencyReport report = sample_serving_report();
  auto& answer = report.devices[0];
  answer.ttft = {Seconds(kNan), Seconds(kNan), Seconds(kNan), 0.9};
  answer.tokens_per_second_per_device.value = std::numeric_limits<double>::infinity();
  answer.memory.rows[0].bytes = Bytes(kNan);
  answer.decode->operators[0].time = Seconds(kNan);
  answer.decode->layer.events[0].duration = Seconds(kNan);
  std::regex word("\\b(nan|inf|infinity|null)\\b", std::regex::icase);
  std::string text = visible(latency_html(report, sample_validation(), {}));
  std::smatch found;
  EXPECT_FALSE(std::regex_search(text, found, word))
      << found.prefix().str().substr(found.prefix().str().size() - 200);
}

TEST(LatencyHtml, a_report_of_all_gpus_keeps_to_its_size) {
  std::vector<std::string> all;
  for (const auto& entry : hardware::Catalogue::shipped().entries()) all.push_back(entry.name);
  schedule::LatencyReport report = sample_serving_report(all);
  for (auto& answer : report.devices) {  // a model with far more distinct operators than any
    for (auto* phase : {&answer.prefill, &answer.decode}) {
      if (!*phase) continue;
      auto operators = (*phase)->operators;
      for (int copy = 0; copy < 20; ++copy)
        (*phase)->operators.insert((*phase)->operators.end(), operators.begin(), operators.end());
    }
  }
  std::string page = latency_html(report, sample_validation(), {});
  EXPECT_LE(page.size(), kLargestPage) << visible(page).size();
}

TEST(LatencyHtml, an_empty_report_is_still_a_page) {
  schedule::LatencyReport report;
  EXPECT_NE(latency_html(report, {}, {}).find("</html>"), std::string::npos);
  report.devices.resize(1);
  EXPECT_NE(latency_html(report, {}, {}).find("</html>"), std::string::npos);
}

TEST(Html, escape_leaves_no_way_out_of_text_or_attribute) {
  EXPECT_EQ(escape("<a href=\"x\" on='y'>&\x01</a>"),
            "&lt;a href=&quot;x&quot; on=&#39;y&#39;&gt;&amp;&lt;/a&gt;");
}

}  // namespace
}  // namespace orrery::report
