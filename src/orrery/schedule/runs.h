// Batch files of whole models: every row of a CSV is forecast and written again, in order, with latency_ms,
// low_ms and high_ms.
//
// Columns: gpu; model (a name or a config.json); mode; seq; batch (over all devices); option; dtype. Others
// pass through.
//   mode    inference          one forward pass with the logits of all tokens, by an eager framework
//           training, train    forward and backward, without loss or optimizer, by an eager framework
//           prefill, decode    by a serving engine: the last token's logits; one step with `seq` tokens
//           cached
//   option  empty, or some of, joined by '+':
//           fusion             neighbouring vector operators as one kernel
//           dpN                N replicas of batch/N; gradients all-reduced behind the backward pass
//           tpN                tensor parallel over N devices of a node
//           ppN_M              N stages, M micro-batches (GPipe): (M + N − 1)/N of the whole model's time at
//           batch/M, and 2(N − 1) sends
//   dtype   empty: fp32. Attention is eager at fp32 and flash below, as PyTorch chooses.
#pragma once

#include "orrery/base/csv.h"
#include "orrery/base/run_context.h"
#include "orrery/schedule/kernels.h"
#include "orrery/schedule/predictor.h"

namespace orrery::schedule {

// One result a row; throws InputError with its place for a row that cannot be forecast.
std::vector<KernelTimes> forecast_runs(const CsvTable&, const Predictor&, const RunContext&);
// Written as kernel files are: write_kernels.

}  // namespace orrery::schedule
