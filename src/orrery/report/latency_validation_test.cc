#include "orrery/report/latency_validation.h"

#include <gtest/gtest.h>

#include "orrery/base/error.h"
#include "orrery/base/storage.h"

namespace orrery::report {
namespace {

std::string temporary(const std::string& content) {
  std::string path = testing::TempDir() + "/validation-test.json";
  write_file(path, content);
  return path;
}

TEST(LatencyValidation, reads_what_it_writes) {
  LatencyValidation validation;
  validation.series.push_back({"h100-sxm5-80gb",
                               "Hopper",
                               "GEMM bf16",
                               "kernels",
                               "GPU left out of the fit",
                               8800,
                               0.081,
                               0.052,
                               0.07,
                               -0.01,
                               0.9,
                               {{Seconds(1.23456789e-5), Seconds(1.2e-5), Seconds(1e-5), Seconds(1.5e-5)}}});
  LatencyValidation read = read_validation(temporary(validation_json(validation)));
  ASSERT_EQ(read.series.size(), 1u);
  EXPECT_EQ(read.series[0].architecture, "Hopper");
  EXPECT_EQ(read.series[0].rows, 8800);
  EXPECT_DOUBLE_EQ(read.series[0].bias, -0.01);
  ASSERT_EQ(read.series[0].points.size(), 1u);
  EXPECT_NEAR(read.series[0].points[0].measured.value(), 1.23456789e-5, 1e-9);
}

TEST(LatencyValidation, refuses_another_form_with_its_place) {
  EXPECT_THROW(read_validation(temporary(R"({"schema": "other/1", "series": []})")), InputError);
  EXPECT_THROW(read_validation(temporary(R"({"schema": "orrery.validation/1"})")), InputError);
}

}  // namespace
}  // namespace orrery::report
