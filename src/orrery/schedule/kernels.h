// Batch files of kernels: every row of a CSV is priced and written again, in order, with latency_ms, low_ms
// and high_ms behind it. Columns that mean nothing here pass through; columns of those three names in the
// input become measured_latency_ms, .... A row that cannot be priced is an error with its place, not a gap.
//
// What a row is, by its filled columns:
//   in_channels   a convolution: batch, in_channels, out_channels, kernel_size, input_size, stride, padding;
//   and, where
//                 they are not square or have groups, kernel_width, input_width, groups
//   num_heads     attention: phase (context, generation), batch_size, input_length, step (cached tokens),
//                 num_key_value_heads, head_dim
//   m, n, k       a matrix product (op: bmm, linear, gemm or absent), with b or batch as its count
//   b, h          a vector operator named by op: b rows of h columns
// Layouts of matrix products: neusight multiplies m×n by n×k, so n is the contraction, and rows are FP32
// unless dtype says otherwise, measured from the host (a call costs its launch); mnk multiplies m×k by k×n,
// BF16 unless dtype says otherwise, as serving engines record them: from a captured graph.
#pragma once

#include <optional>
#include <string>

#include "orrery/base/csv.h"
#include "orrery/base/run_context.h"
#include "orrery/schedule/predictor.h"

namespace orrery::schedule {

enum class KernelLayout : uint8_t { Auto, NeuSight, Mnk };
std::optional<KernelLayout> parse_kernel_layout(std::string_view);

// Auto: neusight where a column h or an op of bmm or linear stands; mnk where m, n, k stand without op and
// with dtype; there is nothing to decide in files without matrix products. Throws InputError where it stays
// open.
KernelLayout detect_layout(const CsvTable&);

// What the rows describe, one kernel a row. Throws InputError with the place of a row that describes none.
std::vector<graph::Kernel> read_kernels(const CsvTable&, KernelLayout);

struct KernelTimes {
  double milliseconds = 0, low = 0, high = 0;
  double cycles = 0;  // 0 where the model knows none
};

// One result a row; the same for any number of threads. `device`: the name or file of the device that all
// rows run on; empty: the one that the row's column gpu names.
std::vector<KernelTimes> price_kernels(const CsvTable&, KernelLayout, const Predictor&, const RunContext&,
                                       const std::string& device = {});
// The table written again with the times behind it; and the cycles, where every row has them (accelerators).
std::string write_kernels(const CsvTable&, const std::vector<KernelTimes>&);

}  // namespace orrery::schedule
