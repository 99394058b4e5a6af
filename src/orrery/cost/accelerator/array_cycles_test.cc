#include "orrery/cost/accelerator/array_cycles.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "orrery/base/csv.h"
#include "orrery/base/random.h"
#include "orrery/base/storage.h"
#include "orrery/cost/accelerator/matrix_work.h"

namespace orrery::cost {
namespace {

using graph::GemmSize;

constexpr GemmSize kResNetFirst{1, 12544, 64, 147}, kLlamaFeedForward{1, 4096, 11008, 4096};
constexpr Dataflow kThree[] = {Dataflow::WeightStationary, Dataflow::OutputStationary,
                               Dataflow::InputStationary};

double cycles(const GemmSize& s, ArrayMode mode, Dataflow d, Array array = {128, 128}) {
  return run_on_array(s, array, mode, d).cycles;
}

TEST(ArrayCycles, equal_the_worked_example) {
  auto pipelined = [](const GemmSize& s, Dataflow d) { return cycles(s, ArrayMode::Pipelined, d); };
  auto scalesim = [](const GemmSize& s, Dataflow d) { return cycles(s, ArrayMode::ScaleSim, d); };
  EXPECT_EQ(pipelined(kResNetFirst, Dataflow::WeightStationary), 25470);
  EXPECT_EQ(pipelined(kResNetFirst, Dataflow::OutputStationary), 14788);
  EXPECT_EQ(pipelined(kResNetFirst, Dataflow::InputStationary), 25406);
  EXPECT_EQ(pipelined(kResNetFirst, Dataflow::Best), 14788);
  for (Dataflow d : kThree) EXPECT_EQ(pipelined(kLlamaFeedForward, d), 11272574);
  EXPECT_EQ(scalesim(kResNetFirst, Dataflow::WeightStationary), 25852);
  EXPECT_EQ(scalesim(kResNetFirst, Dataflow::OutputStationary), 39298);
  EXPECT_EQ(scalesim(kResNetFirst, Dataflow::InputStationary), 87416);
  EXPECT_EQ(scalesim(kLlamaFeedForward, Dataflow::WeightStationary), 12323456);
  EXPECT_EQ(scalesim(kLlamaFeedForward, Dataflow::OutputStationary), 11971200);
  EXPECT_EQ(scalesim(kLlamaFeedForward, Dataflow::InputStationary), 11663360);
  EXPECT_EQ(pipelined({1, 1, 4096, 4096}, Dataflow::WeightStationary), 131327);
  EXPECT_EQ(scalesim({1, 1, 4096, 4096}, Dataflow::WeightStationary), 392192);
  EXPECT_EQ(pipelined({1, 1, 128, 128}, Dataflow::WeightStationary), 383);  // one fold: nothing to overlap
  EXPECT_EQ(scalesim({1, 1, 128, 128}, Dataflow::WeightStationary), 383);
}

TEST(ArrayCycles, lie_between_the_work_and_the_serial_folds) {
  Random random(Seed{6});
  for (int i = 0; i < 20000; ++i) {
    auto size = [&](int64_t most) {
      return static_cast<int64_t>(random.index(static_cast<uint64_t>(most))) + 1;
    };
    GemmSize s{size(3), size(3000), size(3000), size(3000)};
    Array array{static_cast<int>(size(256)), static_cast<int>(size(256))};
    double floor = multiply_accumulates(s) / (1.0 * array.rows * array.columns);
    for (Dataflow d : kThree) {
      ArrayRun overlapped = run_on_array(s, array, ArrayMode::Pipelined, d);
      double serial = cycles(s, ArrayMode::ScaleSim, d, array);
      EXPECT_GE(overlapped.cycles, floor);
      bool covered = d != Dataflow::OutputStationary || (overlapped.folds >= 2 && s.k >= array.rows);
      if (covered) {
        EXPECT_LE(overlapped.cycles, serial) << s.m << " " << s.n << " " << s.k;
      }
    }
  }
}

TEST(ArrayCycles, weight_stationary_of_a_transposed_product_is_input_stationary) {
  for (ArrayMode mode : {ArrayMode::Pipelined, ArrayMode::ScaleSim}) {
    EXPECT_EQ(cycles({1, 500, 70, 300}, mode, Dataflow::WeightStationary, {128, 64}),
              cycles({1, 70, 500, 300}, mode, Dataflow::InputStationary, {128, 64}));
  }
  EXPECT_EQ(cycles({1, 64, 12544, 147}, ArrayMode::ScaleSim, Dataflow::InputStationary), 25852);
}

TEST(ArrayCycles, either_way_is_the_better_of_both_and_keeps_whose_words_are_whose) {
  GemmSize wide{1, 8, 4096, 1024};  // few rows, many columns
  Array deep{256, 64};
  ArrayRun given = run_on_array(wide, deep, ArrayMode::Pipelined, Dataflow::WeightStationary);
  ArrayRun either = run_either_way(wide, deep, ArrayMode::Pipelined, Dataflow::WeightStationary);
  ASSERT_TRUE(either.transposed);
  EXPECT_LT(either.cycles, given.cycles);
  EXPECT_EQ(either.lhs_reads, 8.0 * 1024);     // now the stationary one: read once
  EXPECT_EQ(either.rhs_reads, 4096.0 * 1024);  // streams past one column of folds
}

TEST(ArrayCycles, batches_with_weights_of_their_own_share_no_fold) {
  GemmSize one{1, 100, 60, 50}, many{12, 100, 60, 50};
  for (Dataflow d : kThree) {
    EXPECT_EQ(cycles(many, ArrayMode::ScaleSim, d), 12 * cycles(one, ArrayMode::ScaleSim, d));
    EXPECT_GE(cycles(many, ArrayMode::Pipelined, d), 12 * 50);
    EXPECT_LT(cycles(many, ArrayMode::Pipelined, d), 12 * cycles(one, ArrayMode::Pipelined, d));
  }
}

TEST(ArrayCycles, packed_groups_take_rows_and_columns_of_their_own) {
  GemmSize depthwise{96, 3136, 1, 9};
  GemmSize pack = packed(depthwise, {128, 128});
  EXPECT_EQ(pack.batch, 7);  // 14 groups of 9 rows
  EXPECT_EQ(pack.k, 14 * 9);
  EXPECT_EQ(pack.n, 14);
  EXPECT_EQ(packed({8, 10, 100, 70}, {128, 128}).batch, 8);  // nothing fits twice
  EXPECT_EQ(packed({3, 10, 1, 1}, {128, 128}).batch, 1);     // no more than there are
}

// dims of scalesim.csv: MxNxK, or IHxIWxFHxFWxCxNxStride without padding, whose output height is
// ceil((IH - FH + s) / s).
GemmSize size_of(std::string_view kind, const std::string& dims) {
  std::vector<int64_t> d;
  std::stringstream text(dims);
  for (std::string part; std::getline(text, part, 'x');) d.push_back(std::stoll(part));
  if (kind == "gemm") return {1, d.at(0), d.at(1), d.at(2)};
  int64_t stride = d.at(6), height = (d[0] - d[2] + 2 * stride - 1) / stride,
          width = (d[1] - d[3] + 2 * stride - 1) / stride;
  return {1, height * width, d[5], d[2] * d[3] * d[4]};
}

TEST(ArrayCycles, equal_every_scalesim_run) {
  const char* data = std::getenv("ORRERY_DATA");
  std::string path = data ? std::string(data) + "/wham/scalesim.csv" : "";
  if (!data || !file_exists(path)) GTEST_SKIP() << "ORRERY_DATA names no folder with wham/scalesim.csv";
  CsvTable runs = read_csv(path);
  size_t compared = 0, reads = 0;
  for (size_t row = 0; row < runs.rows(); ++row) {
    if (runs.cell(row, runs.at("bandwidth_words_per_cycle")) != "calc") continue;
    auto number = [&](const char* column) { return runs.number(row, runs.at(column)); };
    GemmSize s = size_of(runs.cell(row, runs.at("kind")), std::string(runs.cell(row, runs.at("dims"))));
    Array array{static_cast<int>(number("rows")), static_cast<int>(number("cols"))};
    Dataflow dataflow = *parse_dataflow(runs.cell(row, runs.at("dataflow")));
    ArrayRun run = run_on_array(s, array, ArrayMode::ScaleSim, dataflow);
    EXPECT_EQ(run.cycles, number("cycles") + 1) << "row " << row;
    ++compared;
    if (dataflow == Dataflow::InputStationary) continue;
    EXPECT_EQ(run.lhs_reads, number("sram_ifmap_reads")) << "row " << row;
    EXPECT_EQ(run.rhs_reads, number("sram_filter_reads")) << "row " << row;
    if (dataflow == Dataflow::WeightStationary) {
      EXPECT_EQ(run.out_writes, number("sram_ofmap_writes")) << "row " << row;
    }
    ++reads;
  }
  EXPECT_EQ(compared, 233u);
  EXPECT_EQ(reads, 212u);
}

}  // namespace
}  // namespace orrery::cost
