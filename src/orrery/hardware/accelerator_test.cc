#include "orrery/hardware/accelerator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "orrery/base/csv.h"
#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"
#include "orrery/hardware/accelerator_cost.h"
#include "orrery/hardware/accelerator_reader.h"
#include "orrery/hardware/catalogue.h"

namespace orrery::hardware {
namespace {

constexpr double kMebi = 1024.0 * 1024.0, kMicro = 1e12;  // m2 to um2

Accelerator tuple(int matrix_cores, int columns, int rows, int vector_cores, int lanes,
                  double global_mebibytes) {
  Accelerator chip;
  chip.matrix_cores = matrix_cores;
  chip.columns = columns;
  chip.rows = rows;
  chip.vector_cores = vector_cores;
  chip.lanes = lanes;
  chip.global_buffer = Bytes(global_mebibytes * kMebi);
  return chip;
}

double um2(const Accelerator& chip, const AreaTable& table) {
  return core_area(chip, table).value() * kMicro;
}

TEST(AreaLaw, gives_the_published_designs_to_the_thousandth) {
  AreaTable w16 = area_table("cacti22-w16");
  EXPECT_NEAR(um2(tuple(2, 128, 128, 2, 128, 32), w16), 72760077.903, 1e-3);
  EXPECT_NEAR(um2(tuple(2, 128, 128, 2, 1024, 32), w16), 74182351.387, 1e-3);
  EXPECT_NEAR(um2(tuple(1, 256, 256, 1, 256, 32), w16), 98402227.679, 1e-3);
  EXPECT_NEAR(um2(tuple(8, 128, 128, 2, 128, 128), w16), 278826676.312, 1e-3);
}

TEST(AreaLaw, one_shape_under_both_tables_and_widths) {
  AreaTable w16 = area_table("cacti22-w16"), w8 = area_table("cacti22-w8");
  Accelerator chip = tuple(1, 256, 8, 1, 256, 2);
  EXPECT_NEAR(um2(chip, w16), 5165248.565, 1e-3);  // derived buffers of 32 and 4 KiB
  chip.matrix_buffer = chip.vector_buffer = Bytes(64 * 1024);
  EXPECT_NEAR(um2(chip, w8), 5063781.66, 1e-2);
  chip.word_bits = 8;
  EXPECT_NEAR(um2(chip, w8), 4188614.946, 1e-3);
  EXPECT_NEAR(um2(chip, w16), 4445290.946, 0.05);  // its elements by the line, not by the table's rounding
}

TEST(AreaLaw, half_the_bits_halve_the_arithmetic_of_an_element) {
  AreaTable w16 = area_table("cacti22-w16"), w8 = area_table("cacti22-w8");
  double wide = w16.element(16, Bytes(0)).value() * kMicro, narrow = w8.element(8, Bytes(0)).value() * kMicro;
  EXPECT_NEAR(narrow, wide / 2, 1e-6);
  EXPECT_NEAR(w8.element(8, Bytes(32)).value() * kMicro, 380.19472, 1e-9);
}

TEST(AreaLaw, equals_every_row_of_the_accelergy_areas) {
  const char* data = std::getenv("ORRERY_DATA");
  std::string path = data ? std::string(data) + "/wham/accelergy-areas.csv.gz" : "";
  if (!data || !file_exists(path))
    GTEST_SKIP() << "ORRERY_DATA names no folder with wham/accelergy-areas.csv.gz";
  CsvTable rows = read_csv(path);
  AreaTable table = area_table("cacti22-w16");
  double worst = 0;
  for (size_t row = 0; row < rows.rows(); ++row) {
    auto of = [&](const char* column) {
      return static_cast<int>(rows.integer(row, rows.at(column), 1, 1 << 20));
    };
    Accelerator chip =
        tuple(of("num_tc"), of("tc_width"), of("tc_depth"), of("num_vc"), of("vc_width"), of("glb_MiB"));
    worst = std::max(worst, std::abs(um2(chip, table) - rows.number(row, rows.at("area_um2"))));
  }
  EXPECT_GT(rows.rows(), 26000u);
  EXPECT_LT(worst, 1e-3);
}

TEST(AreaLaw, capacities_between_and_beyond_the_table_grow_with_it_and_are_noted) {
  AreaTable table = area_table("cacti22-w16");
  double last = 0;
  for (double mebibytes = 0.5; mebibytes <= 1024; mebibytes *= 1.19) {
    double area = table.global_buffer.area(Bytes(mebibytes * kMebi)).value();
    EXPECT_GT(area, last);
    last = area;
  }
  EXPECT_TRUE(area(tuple(1, 128, 128, 1, 128, 32), table).notes.empty());
  EXPECT_EQ(area(tuple(1, 128, 128, 1, 128, 24), table).notes.size(), 1u);
}

TEST(AreaLaw, another_node_scales_logic_and_memories_apart_and_says_so) {
  AreaTable small = at_process(area_table("cacti22-w16"), 11);
  AreaBreakdown at22 = area(tuple(1, 128, 128, 1, 128, 32), area_table("cacti22-w16")),
                at11 = area(tuple(1, 128, 128, 1, 128, 32), small);
  EXPECT_NEAR(at11.global_buffer / at22.global_buffer, std::pow(0.5, 1.6), 1e-12);
  EXPECT_NEAR(small.element(16, Bytes(32)) / area_table("cacti22-w16").element(16, Bytes(32)), 0.25, 1e-12);
  EXPECT_EQ(at11.notes.size(), 1u);
  EXPECT_EQ(at_process(area_table("cacti22-w16"), 5).notes.size(), 2u);
}

TEST(AreaLaw, a_tpuv1_multiplier_is_twice_as_large_in_silicon) {
  // 24 % of at most 331 mm2 at 28 nm for 65,536 8-bit multipliers, scaled by the square to 22 nm.
  double silicon = 0.24 * 331e6 / 65536 * std::pow(22.0 / 28, 2);
  double law = area_table("cacti22-w8").element(8, Bytes(32)).value() * kMicro;
  EXPECT_NEAR(silicon, 748, 1);
  EXPECT_NEAR(silicon / law, 2.0, 0.1);
}

double tdp(const Device& device, double calibration = 1) {
  const Accelerator& chip = *device.accelerator();
  SquareMetres core = core_area(chip, area_table(chip.area_table));
  return thermal_design_power(chip, device.memory_bandwidth, core, calibration).total().value();
}

TEST(Power, of_the_tpuv2_tuple_sums_everything_busy) {
  Device device = Catalogue::shipped().device("tpuv2");
  EXPECT_NEAR(tdp(device), 112.93, 0.005);
  const Accelerator& chip = *device.accelerator();
  SquareMetres core = core_area(chip, area_table(chip.area_table));
  double factor = power_calibration(chip, device.memory_bandwidth, core, device.tdp);
  EXPECT_NEAR(tdp(device, factor), 280, 1e-9);
  EXPECT_THROW(power_calibration(chip, device.memory_bandwidth, core, Watts(60)), InputError);
}

TEST(Power, calibrated_once_orders_the_tpus_as_published) {
  Device v2 = Catalogue::shipped().device("tpuv2");
  const Accelerator& chip = *v2.accelerator();
  double factor =
      power_calibration(chip, v2.memory_bandwidth, core_area(chip, area_table(chip.area_table)), v2.tdp);
  auto power = [&](const char* name) { return tdp(Catalogue::shipped().device(name), factor); };
  EXPECT_LT(power("tpuv1"), power("tpuv2"));
  EXPECT_LT(power("tpuv2"), power("tpuv3"));
}

TEST(AcceleratorFile, every_shipped_one_is_read_written_and_read_again) {
  for (const CatalogueEntry& entry : Catalogue::shipped().accelerators()) {
    Device device = Catalogue::shipped().device(entry.name);
    ASSERT_TRUE(device.accelerator()) << entry.name;
    Device again = read_accelerator(parse_yaml(accelerator_yaml(device), "again.yaml"));
    EXPECT_EQ(tuple_text(*again.accelerator()), tuple_text(*device.accelerator())) << entry.name;
    EXPECT_NEAR(tdp(again), tdp(device), 1e-9) << entry.name;
  }
  EXPECT_GE(Catalogue::shipped().accelerators().size(), 10u);
}

std::string accelerator_with(const std::string& line) {
  std::string text =
      "name: Mine\nmatrix_cores: 1\nrows: 128\ncolumns: 128\nvector_cores: 1\nlanes: 128\nglobal_buffer: 32 "
      "MiB\n"
      "clock: 1 GHz\nmemory: 16 GiB\nmemory_bandwidth: 700 GB/s\nsources: {me: my own}\n";
  std::string key = line.substr(0, line.find(':'));
  size_t at = text.find(key + ":");
  if (at != std::string::npos) text.erase(at, text.find('\n', at) - at + 1);
  return text + line + "\n";
}

TEST(AcceleratorFile, refuses_what_no_chip_is_with_its_place) {
  auto refusal = [](const std::string& line) {
    return error_of([&] { read_accelerator(parse_yaml(accelerator_with(line), "mine.yaml")); });
  };
  EXPECT_EQ(refusal("lanes: 64"), "");
  EXPECT_NE(refusal("rows: 0").find("mine.yaml:11:7"), std::string::npos) << refusal("rows: 0");
  EXPECT_NE(refusal("clock: 1").find("no unit"), std::string::npos);
  EXPECT_NE(refusal("clock: 700 GHz").find("10 GHz"), std::string::npos);
  EXPECT_NE(refusal("memory_bandwidth: -1 GB/s").find("above zero"), std::string::npos);
  EXPECT_NE(refusal("matrix_buffer: 1 KiB").find("below the"), std::string::npos);
  EXPECT_NE(refusal("area_table: cacti7").find("cacti22-w16"), std::string::npos)
      << refusal("area_table: cacti7");
  EXPECT_NE(refusal("area_table: wham-default").find("expected a table of kind 'area'"), std::string::npos)
      << refusal("area_table: wham-default");
  EXPECT_NE(refusal("columms: 8").find("columns"), std::string::npos);
  EXPECT_NE(refusal("sources: {}").find("source"), std::string::npos);
  EXPECT_NE(refusal("accumulator_bits: 8").find("mine.yaml:12:19"), std::string::npos)
      << refusal("accumulator_bits: 8");
}

}  // namespace
}  // namespace orrery::hardware
