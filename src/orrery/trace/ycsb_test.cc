#include "orrery/trace/ycsb.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "orrery/base/error.h"
#include "orrery/trace/readers/ycsb_properties.h"

namespace orrery::trace {
namespace {

TEST(Ycsb, standard_mixes_have_their_shares) {
  constexpr int kOperations = 50'000;
  for (char letter = 'A'; letter <= 'F'; ++letter) {
    const YcsbWorkload workload = ycsb_workload(letter, 1000, kOperations);
    OperationStream stream(workload, Seed{letter + 0u});
    std::array<double, 6> seen{};
    for (int i = 0; i < kOperations; ++i) {
      const Operation operation = stream.next();
      seen[static_cast<size_t>(operation.kind)] += 1.0 / kOperations;
      ASSERT_LT(operation.key, stream.items());
      if (operation.kind == OperationKind::Scan) {
        ASSERT_GE(operation.scan_length, 1u);
        ASSERT_LE(operation.scan_length, 100u);
      }
    }
    EXPECT_NEAR(seen[0], workload.read, .01) << letter;
    EXPECT_NEAR(seen[1], workload.update, .01) << letter;
    EXPECT_NEAR(seen[2], workload.insert, .01) << letter;
    EXPECT_NEAR(seen[3], workload.scan, .01) << letter;
    EXPECT_NEAR(seen[4], workload.read_modify_write, .01) << letter;
  }
  EXPECT_THROW(ycsb_workload('G', 1, 1), InputError);
}

TEST(Ycsb, inserts_number_new_keys_in_order_and_the_seed_decides_all) {
  YcsbWorkload workload{.records = 10, .read = .2, .update = 0, .insert = .8};
  OperationStream first(workload, Seed{4}), second(workload, Seed{4});
  uint64_t next = 10;
  for (int i = 0; i < 1000; ++i) {
    const Operation a = first.next(), b = second.next();
    EXPECT_EQ(a.key, b.key);
    EXPECT_EQ(a.kind, b.kind);
    if (a.kind == OperationKind::Insert) {
      EXPECT_EQ(a.key, next++);
    }
  }
}

TEST(Ycsb, shares_that_make_no_sense_are_refused) {
  EXPECT_THROW(OperationStream({.records = 0}, Seed{}), InputError);
  EXPECT_THROW(OperationStream({.read = -1}, Seed{}), InputError);
  EXPECT_THROW(OperationStream({.read = 0, .update = 0}, Seed{}), InputError);
  EXPECT_THROW(OperationStream({.shortest_scan = 0}, Seed{}), InputError);
}

TEST(YcsbProperties, a_file_as_ycsb_ships_it) {
  const YcsbProperties read = parse_ycsb_properties(
      "# Workload E\n"
      "! another comment\n"
      "recordcount = 5000\r\n"
      "operationcount:7\n"
      "workload=site.ycsb.workloads.CoreWorkload\n"
      "  readproportion   0\n"
      "updateproportion=0\nscanproportion=0.9\\\n   5\ninsertproportion=0.05\n"
      "requestdistribution=zipfian\nmaxscanlength=100\nscanlengthdistribution=uniform\nfieldcount=10\n",
      "workloade");
  EXPECT_EQ(read.workload.records, 5000u);
  EXPECT_EQ(read.workload.operations, 7u);
  EXPECT_EQ(read.workload.read, 0);
  EXPECT_EQ(read.workload.scan, .95);
  EXPECT_EQ(read.workload.insert, .05);
  EXPECT_EQ(read.workload.longest_scan, 100u);
  EXPECT_EQ(read.workload.requests.distribution, KeyDistribution::Zipfian);
  EXPECT_EQ(read.ignored, std::vector<std::string>{"fieldcount"});
}

TEST(YcsbProperties, errors_name_the_place) {
  const auto message = [](const std::string& text) {
    try {
      parse_ycsb_properties(text, "w");
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_EQ(message("recordcount=10\nreadproportion = much\n").rfind("w:2:18:", 0), 0u)
      << message("recordcount=10\nreadproportion = much\n");
  EXPECT_EQ(message("recordcount=0").rfind("w:1:13:", 0), 0u);
  EXPECT_EQ(message("requestdistribution=zipf").rfind("w:1:21:", 0), 0u);
  EXPECT_EQ(message("workload=x.TimeSeriesWorkload").rfind("w:1:10:", 0), 0u);
  EXPECT_EQ(message("minscanlength=9\nmaxscanlength=3").rfind("w:1:15:", 0), 0u);
  EXPECT_EQ(message("readproportion=0\nupdateproportion=0").rfind("w: all", 0), 0u)
      << message("readproportion=0\nupdateproportion=0");
  EXPECT_EQ(message("a=\\u00e9").rfind("w:1:3:", 0), 0u);
  EXPECT_EQ(message(std::string("a=b\0c", 5)).rfind("w:1:4:", 0), 0u);
  EXPECT_EQ(message("readproportion=nan").rfind("w:1:16:", 0), 0u);
}

TEST(YcsbProperties, the_exponential_comes_from_its_two_figures) {
  const YcsbProperties read = parse_ycsb_properties("exponential.percentile=90\nexponential.frac=0.5\n", "w");
  EXPECT_NEAR(read.workload.requests.rate, -std::log(.1) / .5, 1e-12);
}

}  // namespace
}  // namespace orrery::trace
