#include "orrery/report/latency_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "orrery/base/storage.h"
#include "orrery/report/latency_html.h"
#include "orrery/report/latency_json.h"
#include "orrery/report/latency_sample.h"
#include "orrery/report/latency_words.h"
#include "orrery/report/perfetto.h"

namespace orrery::report {
namespace {

constexpr TerminalStyle kPlain{120, false};

void numbers_of(const nlohmann::json& json, std::vector<double>& out) {
  if (json.is_number()) out.push_back(json.get<double>());
  if (json.is_structured()) {
    for (const auto& item : json) numbers_of(item, out);
  }
}

// True when some number of the JSON, in one of the units that people read, shows as the digits of `token`.
bool stands_in(const std::string& token, const std::vector<double>& numbers) {
  std::string digits = token;
  std::erase(digits, ',');
  size_t point = digits.find('.');
  int decimals = point == std::string::npos ? 0 : int(digits.size() - point - 1);
  double shown = std::stod(digits), half = 0.5001 * std::pow(10, -decimals);
  for (double number : numbers) {
    for (double scale : {1.0, 1e2, 1e3, 1e6, 1e-3, 1e-6, 1e-9, 1e-12, 1.0 / 1024}) {
      if (std::abs(number * scale - shown) <= half) return true;
    }
    double below = number / 1024 - shown;  // contexts round down
    if (below >= 0 && below < std::pow(10, -decimals)) return true;
  }
  return false;
}

TEST(LatencyText, every_number_stands_in_the_json) {
  for (const auto& report : {sample_serving_report(), sample_training_report()}) {
    auto json = nlohmann::json::parse(latency_json(report, {}));
    std::vector<double> numbers = {static_cast<double>(report.devices.size())};
    for (const auto& answer : report.devices) numbers.push_back(numbers.back() - !answer.memory.fits);
    numbers_of(json, numbers);
    // Verdict and subject repeat the figures as sentences; names and notes carry digits of their own.
    json.erase("verdict");
    json.erase("subject");
    std::string names = json.dump();
    for (const std::string& text : {latency_text(report, kPlain), memory_text(report, kPlain)}) {
      std::regex token("[0-9][0-9,]*(\\.[0-9]+)?");
      for (std::sregex_iterator it(text.begin(), text.end(), token), end; it != end; ++it) {
        std::string found = it->str();
        if (found.ends_with(',')) found.pop_back();
        EXPECT_TRUE(stands_in(found, numbers) || names.find(found) != std::string::npos) << found << " in\n"
                                                                                         << text;
      }
    }
  }
}

TEST(LatencyText, the_decision_table_takes_at_most_120_columns) {
  for (const auto& report : {sample_serving_report(), sample_training_report()}) {
    std::istringstream in(latency_text(report, kPlain));
    int blocks = 0;
    for (std::string line; std::getline(in, line);) {
      EXPECT_LE(display_width(line), 120) << line;
      blocks += line.starts_with("GPU");
    }
    EXPECT_EQ(blocks, 1);
  }
}

TEST(LatencyText, what_does_not_fit_says_what_is_short_and_what_would_fit) {
  std::string text = latency_text(sample_serving_report(), kPlain);
  EXPECT_TRUE(std::regex_search(
      text,
      std::regex("T4 +NO +16\\.1 GB of weights, [0-9.]+ GB short; needs 2 x T4: --tensor-parallel 2\n")))
      << text;
}

TEST(LatencyText, nan_and_infinity_are_never_printed) {
  auto report = sample_serving_report();
  auto& answer = report.devices[0];
  double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  answer.ttft = {Seconds(nan), Seconds(nan), Seconds(infinity), 0.9};
  answer.tokens_per_second_per_device = {0, infinity, infinity, 0.9};
  answer.dollars_per_million_tokens = nan;
  answer.joules_per_token = Interval<double>{nan, nan, nan, 0.9};
  answer.memory.rows[0].bytes = Bytes(nan);
  answer.decode->operators[0].time = Seconds(nan);
  answer.over_batch[0].tokens_per_second = infinity;
  std::regex word("\\b(nan|inf|infinity)\\b", std::regex::icase);
  for (const std::string& text :
       {latency_text(report, kPlain), memory_text(report, kPlain), latency_json(report, {})}) {
    EXPECT_FALSE(std::regex_search(text, word)) << text.substr(0, 3000);
  }
}

TEST(LatencyText, a_report_without_devices_or_forecasts_is_still_text) {
  schedule::LatencyReport empty;
  EXPECT_FALSE(latency_text(empty, kPlain).empty());
  empty.devices.resize(2);
  EXPECT_FALSE(latency_text(empty, kPlain).empty());
  empty.serving = false;
  EXPECT_FALSE(latency_text(empty, kPlain).empty());
  EXPECT_FALSE(memory_text(empty, kPlain).empty());
}

TEST(LatencyText, context_lengths_are_named_as_people_name_them) {
  EXPECT_EQ(tokens_label(131072), "128k");
  EXPECT_EQ(tokens_label(8192), "8k");
  EXPECT_EQ(tokens_label(2304), "2,304");
  EXPECT_EQ(tokens_label(100000), "97k");
  EXPECT_EQ(tokens_label(7088), "6.9k");
  EXPECT_EQ(tokens_label(0), "0");
}

// For the test in a browser and for a person's eyes: the sample in all its forms, in the folder that the
// variable names.
TEST(LatencySample, is_written_where_asked) {
  const char* folder = std::getenv("ORRERY_SAMPLE_OUT");
  if (!folder) GTEST_SKIP() << "ORRERY_SAMPLE_OUT is not set";
  RunInfo run{Seconds(0.084), "host", "2025-01-31T12:00:00Z"};
  for (const auto& [name, report] : {std::pair{"serving", sample_serving_report()},
                                     {"training", sample_training_report()},
                                     {"hostile", hostile_report()}}) {
    std::string base = std::string(folder) + "/" + name;
    write_file(base + ".txt", latency_text(report, kPlain) + "\n" + memory_text(report, kPlain));
    write_file(base + ".json", latency_json(report, run));
    write_file(base + ".html", latency_html(report, sample_validation(), run,
                                            {.json_file = std::string(name) + ".json",
                                             .timeline_file = std::string(name) + ".timeline.json"}));
    write_file(base + ".timeline.json", perfetto_json(report));
  }
}

}  // namespace
}  // namespace orrery::report
